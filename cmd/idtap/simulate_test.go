package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/simcard"
	"idtap/driver/tcp"
)

// simulateApp is an app whose output goes to out and err.
func simulateApp(out, err io.Writer) *app {
	return &app{in: strings.NewReader(""), out: out, err: err, getenv: func(string) string { return "" }, environ: func() []string { return nil }}
}

func TestSimulateServesCardAfterCard(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var logs bytes.Buffer
	code := make(chan int)
	go func() {
		code <- simulateApp(w, &logs).execute(ctx, []string{"simulate", "--tcp", "127.0.0.1:0", "--cards", "seed:5", "--every", "0s"})
	}()
	address, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	d, err := tcp.Driver{}.Open(deadline, driver.Spec{Port: strings.TrimSpace(address), Baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, want := range simcard.Generate(5, 2) {
		for found := false; !found; {
			if found, err = d.Find(deadline); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := d.Read(deadline)
		if err != nil || raw.Text != want.Text() {
			t.Fatalf("card %d: another one, error %v", i, err)
		}
		for here := true; here; {
			if here, err = d.Present(deadline); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	if got := <-code; got != exitOK {
		t.Errorf("exit %d", got)
	}
	for _, c := range simcard.Generate(5, 2) {
		if strings.Contains(logs.String(), c.Number) || strings.Contains(logs.String(), c.Name) {
			t.Error("a card's data is in the log")
		}
	}
}

func TestSimulateRefusesBadInput(t *testing.T) {
	cards := filepath.Join(t.TempDir(), "cards.yaml")
	if err := os.WriteFile(cards, []byte("- kind: resident\n  nmae: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, says := range map[string]string{
		"":                            "want one of --pty, --tcp ADDR and --vpcd ADDR",
		"--pty --tcp 127.0.0.1:0":     "want one of --pty, --tcp ADDR and --vpcd ADDR",
		"--tcp 127.0.0.1:0 extra":     "extra",
		"--pty --baud 1200":           "--baud 1200: want one of [115200",
		"--pty --fault flop=1":        `--fault "flop=1": unknown name; there are`,
		"--pty --fault unplug=9":      "use --tcp",
		"--pty --quirk refind":        `--quirk "refind" is unknown; there are refinds`,
		"--pty --every -1s":           "--every",
		"--pty --cards seed:x":        "want seed:N",
		"--pty --cards " + cards:      cards + ": line 2, nmae: unknown key",
		"--pty --cards /nonexistent/": "--cards: ",
	} {
		var errs bytes.Buffer
		code := simulateApp(io.Discard, &errs).execute(t.Context(), append([]string{"simulate"}, strings.Fields(args)...))
		if code != exitUsage || !strings.Contains(errs.String(), says) {
			t.Errorf("simulate %s: exit %d, %q; want 2 and %q", args, code, errs.String(), says)
		}
	}
}
