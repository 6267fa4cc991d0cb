package text_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"idtap/internal/text"
)

func TestLocale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want text.Lang
	}{
		{nil, text.En},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, text.Zh},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, text.En},
		{map[string]string{"LANG": "de_DE", "LC_MESSAGES": "zh"}, text.Zh},
	} {
		if got := text.Locale(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("Locale(%v) = %q, want %q", c.env, got, c.want)
		}
	}
}

const file = `{
  "free": {"zh": "剩余 %d MiB", "en": "%d MiB free"},
  "order": {"zh": "%[2]s 在 %[1]s", "en": "%s has %s"},
  "clean": {"zh": "清理", "en": "free some"},
  "failed": {"zh": "无法打开：%v", "en": "cannot be opened: %v"},
  "disk_full": {
    "title": {"zh": "磁盘空间不足", "en": "The disk is full"},
    "why": {"zh": "因", "en": "because"},
    "do": "clean",
    "who": "technician",
    "tone": "bad"
  }
}`

func TestBook(t *testing.T) {
	b := text.MustLoad("test", []byte(file))
	if got := strings.Join(b.Keys(), " "); got != "free order clean failed disk_full" {
		t.Errorf("Keys() = %s, want the order of the file", got)
	}
	e := b.Entry("disk_full")
	if e.Title.Zh != "磁盘空间不足" || e.Why.En != "because" || e.Do.Zh != "清理" || e.Who != text.Technician || e.Tone != "bad" {
		t.Errorf("Entry(disk_full) = %+v, want what the file has", e)
	}
	if got, want := b.Say("order", "a", b.Say("free", 3)), (text.Text{Zh: "剩余 3 MiB 在 a", En: "a has 3 MiB free"}); got != want {
		t.Errorf("Say = %+v, want %+v", got, want)
	}
	if got := b.Say("no_such"); got != text.Plain("no_such") {
		t.Errorf("Say of an unknown key = %+v, want the key", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	for file, want := range map[string]string{
		``:                                "want one object",
		`[]`:                              "want one object",
		`{"a": {"zh": "一"}}`:              `"a": text: a language is missing`,
		`{"a": {"zh": "%d", "en": "%s"}}`: `"a": text: the verbs differ`,
		`{"a": {"zh": "一", "en": "1", "who": "clerk"}}`:                `"a": has no title`,
		`{"a": {"zh": "一", "en": "1", "sign": "x"}}`:                   `"a": json: unknown field`,
		`{"a": {"zh": "一", "en": "1"}, "a": {"zh":"","en":""}}`:        `"a" is there twice`,
		`{"a": {"zh": "一", "en": "1"}, "a": {"zh":"1","en":"1"}}`:      `"a" is there twice`,
		`{"a": {"title": {"zh": "一", "en": "1"}}}`:                     `"a": want title, why, do and who`,
		`{"a": {"title": "b", "why": "b", "do": "b", "who": "clerk"}}`: `"a": title: a language is missing`,
		`{} {}`: "something follows",
	} {
		if _, err := text.Load("test", []byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s) = %v, want %q", file, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	b := text.MustLoad("test", []byte(file))
	_, missing := os.Open(t.TempDir() + "/none")
	err := b.Errorf("failed", missing)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap its argument", err)
	}
	if got := text.Of(err, text.En); got != err.Error() || !strings.HasPrefix(got, "cannot be opened: open ") {
		t.Errorf("Of(err, en) = %q, want Error()", got)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{err, "无法打开：" + missing.(*fs.PathError).Path + "：不存在"},
		{fmt.Errorf("desk: %w", err), "desk: 无法打开：" + missing.(*fs.PathError).Path + "：不存在"},
		{errors.Join(b.Errorf("free", 1), b.Errorf("free", 2)), "剩余 1 MiB\n剩余 2 MiB"},
		{fs.ErrPermission, "没有权限"},
		{errors.New("as it is"), "as it is"},
	} {
		if got := text.Of(c.err, text.Zh); got != c.want {
			t.Errorf("Of(%v, zh) = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestJoin(t *testing.T) {
	got := text.Join(text.Text{}, text.Plain("1"), text.Text{Zh: "二", En: "two"})
	if want := (text.Text{Zh: "1；二", En: "1; two"}); got != want {
		t.Errorf("Join = %+v, want %+v", got, want)
	}
}
