package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/simcard"
)

// TestNoCommandLogsACard runs every command at trace level, on cards and on
// broken ones, and searches what it says for what the cards carry: everything on
// stderr, and stdout too where the data is not what the command is for.
func TestNoCommandLogsACard(t *testing.T) {
	cards := simcard.Generate(5, 200)
	file, _ := deskFile(t, "readers: [{name: front, driver: mock, port: \"seed:5\"}]\nnats: {embedded: {listen: \""+freeAddress(t)+"\"}}\npolicy: {poll: 20ms}\n")
	d := runDaemon(t, file)
	awaitLines(t, d.out, "recorded", 3)

	dir := t.TempDir()
	raw := driver.RawCard{Text: cards[0].Text()}
	whole, cut := filepath.Join(dir, "card.hex"), filepath.Join(dir, "cut.hex")
	writeFile(t, whole, hex.EncodeToString(raw.Text[:])+"\n")
	writeFile(t, cut, hex.EncodeToString(raw.Text[:200])+"\n")
	numbers := strings.NewReader(cards[0].Number + "\n" + cards[1].Number + "7\n")

	for _, tt := range []struct {
		args  []string
		in    *strings.Reader
		quiet bool // stdout carries nothing of a card either
	}{
		{args: []string{"diag", "-c", file}, quiet: true},
		{args: []string{"diag", "-c", file, "--json"}, quiet: true},
		{args: []string{"diag", "-c", file, "--tap"}, quiet: true},
		{args: []string{"outbox", "stats", "-c", file}, quiet: true},
		{args: []string{"outbox", "list", "-c", file}, quiet: true},
		{args: []string{"outbox", "verify", "-c", file}, quiet: true},
		{args: []string{"outbox", "quarantine", "-c", file}, quiet: true},
		{args: []string{"outbox", "audit", "-c", file}, quiet: true},
		{args: []string{"outbox", "requeue", "-c", file, "--from", "1", "--to", "2"}, quiet: true},
		{args: []string{"tail", "-c", file}, quiet: true},
		{args: []string{"tail", "-c", file, "--json"}},
		{args: []string{"simulate", "--tcp", "127.0.0.1:0", "--cards", "seed:5"}, quiet: true},
		{args: []string{"run", "-c", file}, quiet: true},
		{args: []string{"config", "check", file}, quiet: true},
		{args: []string{"bus", "check", "-c", file}, quiet: true},
		{args: []string{"version"}, quiet: true},
		{args: []string{"decode", whole}},
		{args: []string{"decode", cut}, quiet: true},
		{args: []string{"check"}, in: numbers},
	} {
		t.Run(strings.Join(tt.args[:min(len(tt.args), 2)], " "), func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Second) // tail and simulate go on
			defer stop()
			var out, errs bytes.Buffer
			a := &app{in: strings.NewReader(""), out: &out, err: &errs, environ: func() []string { return nil },
				getenv: func(k string) string { return map[string]string{"HOME": dir, "LANG": "en_US.UTF-8"}[k] }}
			if tt.in != nil {
				a.in = tt.in
			}
			a.execute(ctx, append(tt.args, "--log-level", "trace", "--log-format", "json"))
			hidden(t, "stderr", errs.Bytes(), cards)
			if tt.quiet {
				hidden(t, "stdout", out.Bytes(), cards)
			}
		})
	}
	hidden(t, "the daemon's log", []byte(d.err.String()), cards)
	hidden(t, "the daemon's output", []byte(d.out.String()), cards)
}

// hidden fails if text holds what a card carries, in any of the forms in which
// it passes through the program.
func hidden(t *testing.T, what string, text []byte, cards []simcard.Card) {
	t.Helper()
	for i, c := range cards {
		for field, secret := range map[string]string{"name": c.Name, "English name": c.NameEn, "number": c.Number, "address": c.Address, "pass": c.PassNumber} {
			if len([]rune(secret)) < 3 {
				continue
			}
			units := utf16LE(secret)
			for _, form := range [][]byte{[]byte(secret), units, []byte(hex.EncodeToString(units)), []byte(strings.ToUpper(hex.EncodeToString(units)))} {
				if bytes.Contains(text, form) {
					t.Errorf("%s holds the %s of card %d", what, field, i)
				}
			}
		}
	}
}
