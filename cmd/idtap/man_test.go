package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var (
	manDir  = flag.String("man", "", "write the man pages into this folder")
	manDate = flag.String("date", "2026-01-01", "date on the man pages")
)

// Every command that is shown has a man page with its name, what it does and its
// flags; with -man DIR the pages are written there. The generator is used here
// only, so that the program does not carry it.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	date, err := time.Parse(time.DateOnly, *manDate)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{out: new(bytes.Buffer), err: new(bytes.Buffer), getenv: func(string) string { return "" }, environ: func() []string { return nil }}
	root := a.root()
	root.InitDefaultHelpCmd()
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Title: "IDTAP", Section: "1", Source: "idtap", Manual: "idtap", Date: &date}
	if err := doc.GenManTree(root, header, dir); err != nil {
		t.Fatal(err)
	}
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if !c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			return
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		page, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil {
			t.Errorf("%s: %v", c.CommandPath(), err)
			return
		}
		plain := strings.ReplaceAll(string(page), `\-`, "-")
		for _, want := range []string{".SH NAME\n" + name, ".SH SYNOPSIS", c.Short} {
			if !strings.Contains(plain, want) {
				t.Errorf("man page of %s has no %q", c.CommandPath(), want)
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(root)
}
