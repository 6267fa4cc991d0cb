package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// Every command and flag is described in both languages, and nowhere but in
// texts.json.
func TestHelpIsInBothLanguages(t *testing.T) {
	trees := map[string]*cobra.Command{}
	for _, lang := range []string{"zh", "en"} {
		a := &app{lang: lang, out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }, environ: func() []string { return nil }}
		trees[lang] = a.root()
	}
	literal := map[string]bool{"console 或 json": true}
	var compare func(zh, en *cobra.Command)
	compare = func(zh, en *cobra.Command) {
		check := func(what, zh, en string) {
			if en == "" || hasHan(en) || !hasHan(zh) && !literal[zh] {
				t.Errorf("%s: zh %q, en %q, want a text in each language", what, zh, en)
			}
		}
		check(en.CommandPath(), zh.Short, en.Short)
		if en.Long != "" {
			check(en.CommandPath()+" long", zh.Long, en.Long)
		}
		en.LocalFlags().VisitAll(func(f *pflag.Flag) {
			check(en.CommandPath()+" --"+f.Name, zh.LocalFlags().Lookup(f.Name).Usage, f.Usage)
		})
		for i, sub := range en.Commands() {
			compare(zh.Commands()[i], sub)
		}
	}
	compare(trees["zh"], trees["en"])
}

// What is wrong with a command line is said in the language that it asks for or
// the locale has.
func TestCommandLineErrorsFollowTheLanguage(t *testing.T) {
	for _, c := range []struct {
		lang string
		args []string
		want string
	}{
		{"", []string{"diagg"}, `unknown command "diagg" for idtap; did you mean diag?`},
		{"zh_CN.UTF-8", []string{"diagg"}, `没有命令 "diagg"（idtap），是否指 diag？`},
		{"", []string{"--lang", "zh", "nothing"}, `没有命令 "nothing"`},
		{"", []string{"run", "--nope", "--lang=zh"}, "没有标志 --nope"},
		{"zh_CN", []string{"--lang", "en", "run", "--nope"}, "unknown flag: --nope"},
		{"zh", []string{"outbox", "list", "--limit", "x"}, `标志 --limit 的值 "x" 有误：不是数字`},
		{"zh", []string{"outbox", "list", "--limit"}, "标志 --limit 缺少值"},
		{"zh", []string{"config", "check", "a", "b"}, "最多接受 1 个参数"},
		{"zh", []string{"keys", "show"}, "至少需要 1 个参数"},
		{"zh", []string{"decode", "--at", "yesterday"}, "应为 YYYY-MM-DD 形式的日期"},
		{"zh", []string{"--lang", "fr", "version"}, `--lang "fr"`},
	} {
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: io.Discard, err: &errs, environ: func() []string { return nil },
			getenv: func(key string) string { return map[string]string{"LANG": c.lang}[key] }}
		if code := a.execute(context.Background(), c.args); code != exitUsage {
			t.Errorf("idtap %q exits with %d, want %d", c.args, code, exitUsage)
		}
		if !strings.Contains(errs.String(), c.want) {
			t.Errorf("LANG=%s idtap %q says %q, want %q", c.lang, c.args, errs.String(), c.want)
		}
	}
}
