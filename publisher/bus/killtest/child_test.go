//go:build unix

package killtest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"idtap/publisher/bus"
	"idtap/publisher/event"
	"idtap/publisher/internal/failpoint"
	"idtap/publisher/outbox"
)

const (
	childDir   = "IDTAP_KILLTEST_DIR"   // makes the test binary a child; the queue's directory
	childURL   = "IDTAP_KILLTEST_URL"   // server; empty: the embedded one
	childDeath = "IDTAP_KILLTEST_DEATH" // fail point at which it dies, counted from the start; 0: none
	childTaps  = "IDTAP_KILLTEST_TAPS"  // events it accepts
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) == "" {
		os.Exit(m.Run())
	}
	if err := child(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is the desk. It prints "accepted <id>" for what it has accepted, as the
// clerk's green light, and ends when told to (SIGTERM) with an empty queue.
func child() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	death, err := strconv.ParseInt(os.Getenv(childDeath), 10, 64)
	if err != nil {
		return err
	}
	taps, err := strconv.Atoi(os.Getenv(childTaps))
	if err != nil {
		return err
	}
	var points atomic.Int64
	die := func(string) error {
		if points.Add(1) == death {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
		return nil
	}
	dir := os.Getenv(childDir)
	q, err := outbox.Open(failpoint.With(ctx, die), outbox.Options{Dir: dir, Log: zerolog.New(io.Discard)})
	if err != nil {
		return err
	}
	b, err := bus.Start(ctx, bus.Options{DeskID: desk, DeskDivision: division, Server: bus.Server{URL: os.Getenv(childURL)},
		Embedded: bus.Embedded{Dir: filepath.Join(dir, "nats"), Key: q.EmbeddedStoreKey()},
		AckWait:  300 * time.Millisecond, Log: zerolog.New(io.Discard), Fail: die}, q)
	if err != nil {
		return err
	}
	for range taps {
		a, err := q.Accept(ctx, draft())
		if err != nil {
			return err
		}
		fmt.Printf("accepted %s\n", a.ID)
	}
	for {
		s, err := q.Stats(ctx)
		if err != nil {
			return err
		}
		if s.Waiting == 0 {
			break
		}
		if s.Foreign != nil {
			return fmt.Errorf("its own events are foreign to it: %+v", *s.Foreign)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d events still wait: %+v", s.Waiting, b.Health())
		case <-time.After(5 * time.Millisecond):
		}
	}
	fmt.Println("drained")
	b.Stop()
	return q.Close()
}

func draft() outbox.Draft {
	hukou := fmt.Sprintf("6204%02d", 21+rand.IntN(3))
	return outbox.Draft{
		Type: event.RecordedType, Source: event.Source(desk, "front"), Kind: "resident", Status: "clean",
		Subject: event.Subject(event.RecordedType, event.Place{DeskDivision: division, DeskID: desk, HukouDivision: hukou}),
		Filter:  event.Filter(division, desk),
		Body: func(s outbox.Stamp) ([]byte, error) {
			return fmt.Appendf(nil, `{"desk":{"epoch":%q,"seq":%d},"pad":"%01000d"}`, s.Epoch, s.Seq, 0), nil
		},
	}
}
