package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"idtap/config"
)

const referencePage = "../../docs/reference.md"

// TestReferencePage keeps docs/reference.md equal to the program; with -update
// it writes it.
func TestReferencePage(t *testing.T) {
	want := reference()
	if *updateGolden {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(referencePage); err != nil || string(got) != want {
		t.Errorf("docs/reference.md differs from the program (%v): make codes", err)
	}
}

func reference() string {
	tree := func(lang string) *cobra.Command {
		a := &app{lang: lang, out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }, environ: func() []string { return nil }}
		return a.root()
	}
	var b strings.Builder
	b.WriteString("# Reference / 命令和配置一览\n\nGenerated from the program by `make codes`; do not edit.\n\n## Commands / 命令\n")
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	var walk func(zh, en *cobra.Command)
	walk = func(zh, en *cobra.Command) {
		if en.Hidden || en.Name() == "help" {
			return
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s<br>%s\n", en.CommandPath(), zh.Short, en.Short)
		first := true
		en.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || f.Hidden {
				return
			}
			if first {
				b.WriteString("\n| flag | 中文 | English |\n|---|---|---|\n")
				first = false
			}
			fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, cell(zh.LocalFlags().Lookup(f.Name).Usage), cell(f.Usage))
		})
		for i, sub := range en.Commands() {
			walk(zh.Commands()[i], sub)
		}
	}
	walk(tree("zh"), tree("en"))
	fmt.Fprintf(&b, "\n## Configuration / 配置\n\nEvery key with its default, as `idtap config example` prints it.\n\n```yaml\n%s```\n", config.Example)
	return b.String()
}
