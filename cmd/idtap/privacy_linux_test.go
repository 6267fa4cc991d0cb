package main

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"idtap/driver/simcard"
)

// TestNothingReadableAtRest runs a daemon with everything that writes to disk
// (queue, embedded store, log file at trace level), taps cards of all kinds, and
// searches every byte it left, while it runs and after, for what the cards
// carry.
func TestNothingReadableAtRest(t *testing.T) {
	dir := t.TempDir()
	cards := simcard.Generate(5, 400)
	d := startDaemon(t, `
desk: {id: desk-1, division: "410105"}
readers: [{name: front, driver: mock, port: "seed:5"}]
policy: {poll: 20ms}
desk_page: {listen: ""}
log: {file: "`+filepath.Join(dir, "idtap.log")+`"}
`)
	awaitLines(t, d.out, "recorded", 6)
	state := dataLine(t, d.out)
	searchFiles(t, "running", dir, cards)
	searchFiles(t, "running", state, cards)
	d.stop()
	awaitCode(t, d)
	searchFiles(t, "stopped", dir, cards)
	searchFiles(t, "stopped", state, cards)
}

// awaitLines waits until n lines of the output hold a word.
func awaitLines(t *testing.T, out *syncBuffer, word string, n int) {
	t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for strings.Count(out.String(), word) < n {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%d of %d lines with %q:\n%s", strings.Count(out.String(), word), n, word, out)
		}
	}
}

// dataLine is the data directory that the daemon printed.
func dataLine(t *testing.T, out *syncBuffer) string {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(line, "data"); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no data line:\n%s", out)
	return ""
}

// awaitCode waits for the daemon's end and leaves its code for the clean-up.
func awaitCode(t *testing.T, d *running) {
	t.Helper()
	select {
	case code := <-d.code:
		d.code <- code
	case <-time.After(10 * time.Second):
		t.Fatal("the daemon does not end")
	}
}

func searchFiles(t *testing.T, when, root string, cards []simcard.Card) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, c := range cards {
			for what, secret := range map[string]string{"name": c.Name, "English name": c.NameEn, "number": c.Number, "address": c.Address} {
				if len([]rune(secret)) < 3 {
					continue // two characters turn up by chance in sealed bytes
				}
				if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, utf16LE(secret)) || strings.Contains(path, secret) {
					t.Errorf("%s: %s holds the %s of a card", when, filepath.Base(path), what)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if files == 0 {
		t.Errorf("%s: nothing to search in %s", when, root)
	}
}

func utf16LE(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
