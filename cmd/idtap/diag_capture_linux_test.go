package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/driver/mock"
	"idtap/driver/simcard"
	"idtap/driver/trace"
)

// unknownReader is a reader with a set of quirks that no entry of the corpus has,
// on a TCP port, and somebody who places cards.
func unknownReader(t *testing.T, cards []simcard.Card) (address string, visited func() error) {
	t.Helper()
	m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Quirks: mock.Quirks{Refinds: true, ReadsOnce: true, ChipNumbers: true, CardWords: true, MergedSelect: true}})
	s, err := mock.ListenTCP(m, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Serve(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	visits := make(chan error, 1)
	go func() {
		hand := mock.Hand{Module: m, Patience: 5 * time.Second}
		if err := m.Await(ctx, func(s mock.State) bool { return s.Commands > 4 }); err != nil {
			visits <- err
			return
		}
		for _, c := range cards {
			if _, err := hand.Tap(ctx, c); err != nil {
				visits <- err
				return
			}
		}
		before := m.State().Commands
		visits <- m.Await(ctx, func(s mock.State) bool { return s.Commands > before+6 }) // empty at the end
	}()
	return s.Address(), func() error { return <-visits }
}

// capture runs `idtap diag --capture` until the cards were shown.
func capture(t *testing.T, file, recorded string, visited func() error, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, errs bytes.Buffer
	home := t.TempDir()
	a := &app{in: strings.NewReader(""), out: &out, err: &errs, environ: func() []string { return nil },
		getenv: func(k string) string { return map[string]string{"HOME": home, "LANG": "en_US.UTF-8"}[k] }}
	code := make(chan int)
	go func() { code <- a.execute(ctx, append([]string{"diag", "-c", file, "--capture", recorded}, args...)) }()
	if err := visited(); err != nil {
		t.Error(err)
	}
	stop()
	if c := <-code; c != exitOK || strings.TrimSpace(out.String()) != recorded {
		t.Fatalf("exit %d, %q, %s", c, out.String(), errs.String())
	}
}

// TestUnknownReaderBecomesACorpusEntry follows docs/new-reader.md: record, name,
// complete the head, let idtap say what it makes of it, and from then on the
// corpus test replays it.
func TestUnknownReaderBecomesACorpusEntry(t *testing.T) {
	cards := simcard.Generate(21, 2)
	address, visited := unknownReader(t, cards)
	file, _ := deskFile(t, "readers: [{name: front, driver: tcp, port: \""+address+"\"}]\n")

	corpus := t.TempDir()
	if err := os.CopyFS(corpus, os.DirFS("../../testdata/readers")); err != nil {
		t.Fatal(err)
	}
	const model = "unknown-500"
	entry := filepath.Join(corpus, model)
	if err := os.MkdirAll(entry, 0o755); err != nil {
		t.Fatal(err)
	}
	recorded := filepath.Join(entry, "trace.jsonl")
	capture(t, file, recorded, visited)

	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	impersonalTrace(t, text, cards)
	head, rest, _ := strings.Cut(string(text), "\n")
	head = strings.Replace(head, `"model":""`, `"model":"Unknown 500"`, 1)
	if err := os.WriteFile(recorded, []byte(head+"\n"+rest), 0o644); err != nil {
		t.Fatal(err)
	}

	goTest := func(args ...string) {
		t.Helper()
		cmd := exec.Command("go", append([]string{"test", "idtap/driver/mock", "-count=1", "-run", "TestCorpus/" + model}, args...)...)
		cmd.Env = append(os.Environ(), "IDTAP_READERS="+corpus)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	goTest("-update")
	goTest()
	golden, err := os.ReadFile(filepath.Join(entry, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"call": "identify"`, `status 90`, `"call": "read"`, `"kind"`, `"call": "present"`} {
		if !strings.Contains(string(golden), want) {
			t.Errorf("the golden lacks %s:\n%s", want, golden)
		}
	}
	if n := strings.Count(string(golden), `"result": "a card"`); n < 2 {
		t.Errorf("%d reads in\n%s", n, golden)
	}
}

// impersonalTrace fails if a trace holds the bytes of a card's name, number or
// address.
func impersonalTrace(t *testing.T, text []byte, cards []simcard.Card) {
	t.Helper()
	recorded, err := trace.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var wire []byte
	for _, s := range recorded.Steps {
		if !s.Sent {
			wire = append(wire, s.Bytes...)
		}
	}
	specimens := map[string]bool{} // what blanking puts in
	for _, c := range simcard.Demo() {
		specimens[c.Name], specimens[c.Number], specimens[c.Address] = true, true, true
	}
	for i, c := range cards {
		for _, s := range append([]string{c.Name, c.Number, c.Address}, c.Appended...) {
			if len(s) > 3 && !specimens[s] && bytes.Contains(wire, utf16LE(s)) {
				t.Errorf("card %d is in the recording: %q (%s)", i, s, c.Kind)
			}
		}
	}
}

// TestCaptureThroughTheDaemon: the daemon goes on reading while it is recorded,
// and what comes out can be decoded; with the flag it holds the card.
func TestCaptureThroughTheDaemon(t *testing.T) {
	for _, personal := range []bool{false, true} {
		cards := simcard.Generate(22, 2)
		m := mock.NewModule(mock.Options{Timing: mock.DeskTiming})
		s, err := mock.ListenTCP(m, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(t.Context())
		file, _ := deskFile(t, "readers: [{name: front, driver: tcp, port: \""+s.Address()+"\"}]\n")
		d := runDaemon(t, file)
		awaitState(t, d)
		visited := func() error {
			awaitLog(t, d, "a technician records this reader")
			awaitLog(t, d, `opened anew`)
			hand := mock.Hand{Module: m, Patience: 10 * time.Second}
			for _, c := range cards {
				if _, err := hand.Tap(t.Context(), c); err != nil {
					return err
				}
			}
			return nil
		}
		recorded := filepath.Join(t.TempDir(), "trace.jsonl")
		args := []string(nil)
		if personal {
			args = append(args, "--with-personal-data")
		}
		capture(t, file, recorded, visited, args...)
		awaitLines(t, d.out, "recorded", 2)
		text, err := os.ReadFile(recorded)
		if err != nil {
			t.Fatal(err)
		}
		code, out, errs := executeIn(t, t.TempDir(), "decode", recorded)
		if n := strings.Count(out, `"kind":"`); n != 2 && code == exitOK {
			t.Errorf("%d cards were decoded: %s %s", n, out, errs)
		}
		if shows := strings.Contains(out, cards[0].Number); shows != personal {
			t.Errorf("personal data asked for: %v, there: %v", personal, shows)
		}
		if !personal {
			impersonalTrace(t, text, cards)
		}
		if again, _, errs := executeIn(t, t.TempDir(), "diag", "-c", file, "--capture", recorded); again != diagUnknown || !strings.Contains(errs, "exists") {
			t.Errorf("an existing file is written over: %d %s", again, errs)
		}
	}
}
