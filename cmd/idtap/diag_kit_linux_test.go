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
	"idtap/driver/trace/guard"
)

// person does what the kit asks for, once it asks.
func person(ctx context.Context, m *mock.Module, c simcard.Card, asked *syncBuffer) {
	for _, step := range []struct {
		ask string
		do  func()
	}{{"step 2", func() { m.Place(c) }}, {"step 3", m.Lift}, {"step 4", func() { m.Place(c) }}, {"lift the card and wait", m.Lift}} {
		for !strings.Contains(asked.String(), step.ask) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		step.do()
	}
}

// TestKit: a reader that nobody has seen is walked through the steps; the file has
// what proves it, nothing of the person, and replays as a test.
func TestKit(t *testing.T) {
	card := simcard.Generate(41, 1)[0]
	m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Quirks: mock.Quirks{ChipNumbers: true}})
	s, err := mock.ListenTCP(m, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	ended := make(chan struct{})
	go func() { s.Serve(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })

	desk, _ := deskFile(t, "readers: [{name: front, driver: tcp, port: \""+s.Address()+"\"}]\n")
	corpus := t.TempDir()
	if err := os.CopyFS(corpus, os.DirFS("../../testdata/readers")); err != nil {
		t.Fatal(err)
	}
	const model = "kit-500"
	if err := os.MkdirAll(filepath.Join(corpus, model), 0o755); err != nil {
		t.Fatal(err)
	}
	kit := filepath.Join(corpus, model, "trace.jsonl")
	var out bytes.Buffer
	asked := &syncBuffer{}
	home := t.TempDir()
	a := &app{in: strings.NewReader(""), out: &out, err: asked, environ: func() []string { return nil },
		getenv: func(k string) string { return map[string]string{"HOME": home, "LANG": "en_US.UTF-8"}[k] }}
	go person(ctx, m, card, asked)
	if code := a.execute(ctx, []string{"diag", "-c", desk, "--kit", kit}); code != exitOK || strings.TrimSpace(out.String()) != kit {
		t.Fatalf("exit %d, %q, %s", code, out.String(), asked.String())
	}
	file, err := os.ReadFile(kit)
	if err != nil {
		t.Fatal(err)
	}
	if found := guard.Check(file); len(found) > 0 {
		t.Errorf("the kit may hold a person: %+v", found)
	}
	impersonalTrace(t, file, []simcard.Card{card})
	recorded, err := trace.Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	k := recorded.Header.Kit
	if k == nil || k.Module == "" || k.System == "" || len(k.Device) == 0 || len(k.Parts) != 5 || k.Timings["3001"].Count == 0 || k.Timings["2001"].Min <= 0 {
		t.Fatalf("kit = %+v", k)
	}
	for _, p := range k.Parts {
		if !p.Seen {
			t.Errorf("step %q was not seen", p.Name)
		}
	}
	if err := os.WriteFile(kit, bytes.Replace(file, []byte(`"model":""`), []byte(`"model":"Kit 500"`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-update"}, nil} {
		cmd := exec.Command("go", append([]string{"test", "idtap/driver/mock", "-count=1", "-run", "TestCorpus/" + model}, args...)...)
		cmd.Env = append(os.Environ(), "IDTAP_READERS="+corpus)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("replaying the kit: %v\n%s", err, out)
		}
	}
	if code := a.execute(ctx, []string{"diag", "-c", desk, "--kit", kit}); code != diagUnknown {
		t.Errorf("a file that is there: exit %d, want %d", code, diagUnknown)
	}
}
