package daemon

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/cmd/internal/systemd"
	"idtap/driver"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// manager is a service manager's socket.
func manager(t *testing.T) (systemd.Manager, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"}
	return systemd.Find(func(k string) string { return env[k] }, 1), l
}

// said reads what a manager was told until now.
func said(t *testing.T, l *net.UnixConn) string {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(time.Millisecond))
	b := make([]byte, 1000)
	n, err := l.Read(b)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Fatal(err)
	}
	return string(b[:n])
}

// The manager is fed only while every part goes on; else the log names the part.
func TestWatchdogNeedsEveryPart(t *testing.T) {
	m, l := manager(t)
	var log bytes.Buffer
	hangs := ""
	part := func(name string) func(context.Context) error {
		return func(context.Context) error {
			if name == hangs {
				return errors.New(name + " hangs")
			}
			return nil
		}
	}
	w := &watchdog{manager: m, clock: clockwork.NewFakeClock(), log: zerolog.New(&log),
		parts: []func(context.Context) error{part("readers"), part("queue"), part("page")}}
	w.look(t.Context())
	if got := said(t, l); got != systemd.Alive {
		t.Errorf("all go on: told %q, want %q", got, systemd.Alive)
	}
	for _, hangs = range []string{"readers", "queue", "page"} {
		log.Reset()
		w.look(t.Context())
		if got := said(t, l); got != "" || !strings.Contains(log.String(), hangs+" hangs") {
			t.Errorf("%s hangs: told %q, want nothing; log %s", hangs, got, &log)
		}
	}
}

// stuckSink is a sink that does not return, as with a disk that hangs.
type stuckSink struct{ entered, leave chan struct{} }

func (s stuckSink) State(reader.State) {
	select {
	case s.entered <- struct{}{}:
	case <-s.leave:
	}
	<-s.leave
}
func (s stuckSink) Tap(context.Context, reader.Tap) error { return nil }

func TestReadersGoOn(t *testing.T) {
	var p reader.Pulse
	clock := clockwork.NewFakeClock()
	goesOn := readersGoOn(&p, clock)
	if err := goesOn(t.Context()); err != nil {
		t.Errorf("no reader: %v", err)
	}
	sink := stuckSink{make(chan struct{}), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		reader.New(reader.Options{Name: "front", Sink: sink, Clock: clock, Pulse: &p,
			Open: func(context.Context) (driver.Device, error) { return nil, driver.ErrGone }}).Run(ctx)
	}()
	<-sink.entered
	if err := goesOn(t.Context()); err != nil {
		t.Errorf("just begun: %v", err)
	}
	clock.Advance(reader.PulseBound + time.Second)
	if err := goesOn(t.Context()); err == nil || !strings.Contains(err.Error(), "reader front hangs") {
		t.Errorf("held up by the sink: %v, want it named", err)
	}
	cancel()
	close(sink.leave)
	<-done
	if err := goesOn(t.Context()); err != nil {
		t.Errorf("ended: %v", err)
	}
}

func TestQueueGoesOn(t *testing.T) {
	clock := clockwork.NewFakeClock()
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: t.TempDir(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := queueGoesOn(q, clock)(t.Context()); err != nil {
		t.Errorf("just begun: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	clock.Advance(writerBound + time.Second)
	if err := queueGoesOn(q, clock)(t.Context()); err == nil || !strings.Contains(err.Error(), "writer hangs") {
		t.Errorf("a writer that does not go round: %v, want it named", err)
	}
}

func TestPageAnswers(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(http.StatusServiceUnavailable) // an ill daemon is alive
	}))
	if err := pageAnswers(s.URL + "/")(t.Context()); err != nil {
		t.Errorf("a page that answers: %v", err)
	}
	s.Close()
	if err := pageAnswers(s.URL + "/")(t.Context()); err == nil {
		t.Error("a page that is gone: no error")
	}
}
