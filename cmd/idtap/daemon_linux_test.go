package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/cmd/internal/daemon"
)

// A page port that another program has ends the daemon with the remedy, and
// leaves the file by which that other one, if it is an idtap, is found.
func TestBusyPagePort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	file, runtime := filepath.Join(dir, "desk.yaml"), filepath.Join(dir, "runtime.json")
	yaml := fmt.Sprintf("outbox: {dir: %s}\ndesk_page: {listen: %q}\n", dir, l.Addr())
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	other := daemon.Runtime{PID: os.Getpid() + 1}
	if err := daemon.WriteRuntime(runtime, other); err != nil {
		t.Fatal(err)
	}
	code, _, errs := executeIn(t, dir, "run", "-c", file)
	if code != exitFailed || !strings.Contains(errs, l.Addr().String()) || !strings.Contains(errs, "set desk_page.listen") {
		t.Errorf("%d %s", code, errs)
	}
	if r, err := daemon.ReadRuntime(runtime); err != nil || r.PID != other.PID {
		t.Errorf("the other daemon's runtime file: %+v, %v", r, err)
	}
}

// A daemon that is asked to stop before it has started has not failed.
func TestStopWhileStarting(t *testing.T) {
	r := startDaemon(t, "desk_page: {listen: \"\"}\nreaders: [{name: a, driver: mock}]")
	r.stop()
	if code := <-r.code; code != exitOK {
		t.Errorf("ended with %d:\n%s", code, r.err)
	}
	r.code <- exitOK
}

// The demo shows its page on the next free port.
func TestDemoBesideAnotherPage(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.1:7643"); err == nil { // else somebody has it already
		defer l.Close()
	}
	r := startDaemon(t, "", "--demo")
	deadline := time.After(30 * time.Second)
	for !strings.Contains(r.out.String(), "data") {
		select {
		case code := <-r.code:
			r.code <- code
			t.Fatalf("ended with %d:\n%s", code, r.err)
		case <-deadline:
			t.Fatal("the demo does not start")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if page := r.out.String(); !strings.Contains(page, "http://127.0.0.1:76") || strings.Contains(page, ":7643/") {
		t.Errorf("printed %q", page)
	}
}

// Whoever reads the daemon's lines may go; the desk goes on.
func TestLinesNobodyReads(t *testing.T) {
	cmd := exec.Command(os.Args[0], "run", "--demo", "--log-level", "info")
	cmd.Env = append(os.Environ(), asCommand+"=1", "HOME="+t.TempDir(), "XDG_STATE_HOME=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	taps := 0
	for lines := bufio.NewScanner(log); taps < 2 && lines.Scan(); {
		if strings.Contains(lines.Text(), "outcome=accepted") {
			taps++
		}
	}
	go io.Copy(io.Discard, log)
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil || taps < 2 {
		t.Errorf("%d taps, then %v", taps, err)
	}
}
