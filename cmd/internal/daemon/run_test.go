package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"idtap/config"
	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/serial"
	"idtap/publisher"
	"idtap/reader"
)

// running is a daemon under test.
type running struct {
	cfg         config.Config
	at          Address
	runtimeFile string
	taps        chan publisher.Tapped
	states      chan reader.State
	stop        func() error // ends it; what Run returned
}

var _ publisher.Observer = (*running)(nil)

// Reader, Tapped and FollowedUp implement publisher.Observer; what nobody takes
// is dropped.
func (r *running) Reader(s reader.State) { offer(r.states, s) }

func (r *running) Tapped(t publisher.Tapped) { offer(r.taps, t) }

func (r *running) FollowedUp(publisher.FollowUp) {}

func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// runDesk runs a daemon until the test ends.
func runDesk(t *testing.T, lines string) *running {
	t.Helper()
	cfg := loadConfig(t, lines)
	r := &running{cfg: cfg, taps: make(chan publisher.Tapped, 64), states: make(chan reader.State, 64), runtimeFile: filepath.Join(cfg.Outbox.Dir, "runtime.json")}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan Address, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, cfg, Options{Version: "test", Lang: "en", RuntimeFile: r.runtimeFile, Log: zerolog.Nop(), Floor: time.Unix(0, 0),
			Drivers:   driver.Registry{"mock": &mock.Driver{}, "serial": &serial.Driver{}},
			Observers: []publisher.Observer{r}, Started: func(a Address) { started <- a }})
	}()
	r.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	select {
	case r.at = <-started:
	case err := <-ended:
		ended <- nil
		t.Fatalf("Run = %v before it had started", err)
	}
	return r
}

// TestRunLeavesNothing: what lets others reach the daemon goes with it.
func TestRunLeavesNothing(t *testing.T) {
	d := runDesk(t, "readers: [{name: front, driver: mock}]\n")
	if r, err := ReadRuntime(d.runtimeFile); err != nil || r.PID != os.Getpid() || r.Control == "" {
		t.Fatalf("runtime file of a running daemon = %+v, %v", r, err)
	}
	if _, ok := Dial(t.Context(), d.runtimeFile); !ok {
		t.Error("Dial = false, want the running daemon")
	}
	if err := d.stop(); err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	if _, err := ReadRuntime(d.runtimeFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the runtime file after the end: %v, want none", err)
	}
	if _, ok := Dial(t.Context(), d.runtimeFile); ok {
		t.Error("Dial = true after the end")
	}
}

// TestRunRefusesAConfiguration that only starting shows to be wrong.
func TestRunRefusesAConfiguration(t *testing.T) {
	for _, lines := range []string{
		"nats: {encrypt_to: [{key: /nowhere.pub}]}\n",
		"desk_page: {listen: \"127.0.0.1:0\", pin_file: /nowhere.pin}\n",
	} {
		cfg := loadConfig(t, lines)
		err := Run(t.Context(), cfg, Options{RuntimeFile: filepath.Join(cfg.Outbox.Dir, "runtime.json"), Log: zerolog.Nop()})
		if !errors.As(err, new(*ConfigError)) {
			t.Errorf("Run with %s = %v, want a ConfigError", lines, err)
		}
	}
}

// TestClient asks a running daemon for what it knows.
func TestClient(t *testing.T) {
	d := runDesk(t, "readers: [{name: front, driver: mock, port: \"seed:5\"}]\n")
	<-d.taps
	c, ok := Dial(t.Context(), d.runtimeFile)
	if !ok {
		t.Fatal("Dial = false, want the running daemon")
	}
	report, err := c.Report(t.Context(), "front", false)
	if err != nil || report.Via != "daemon" || len(report.Findings()) != 0 {
		t.Errorf("Report = via %s, %+v, %v, want the daemon's and nothing found", report.Via, report.Findings(), err)
	}
	if _, err := c.Report(t.Context(), "back", false); err == nil || err.Error() != ErrNoSuchReader.Error() {
		t.Errorf("Report of another reader = %v, want %v", err, ErrNoSuchReader)
	}
}
