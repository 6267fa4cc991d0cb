package outbox

import (
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/publisher/event"
)

func card(n int, content string) Draft {
	d := draft(n)
	d.Repeat = content
	return d
}

func cancel(id string) Draft {
	d := draft(0)
	d.Type, d.Refers = event.CancelledType, id
	return d
}

func TestRepeatWithinWindow(t *testing.T) {
	clock := clockwork.NewFakeClockAt(testStart)
	q := openTest(t, Options{RepeatWindow: 5 * time.Minute, Clock: clock})
	first := accept(t, q, card(0, "a"))
	clock.Advance(4 * time.Minute)
	if a := accept(t, q, card(1, "a")); !a.Repeated || a.Earlier != first.Stamp || a.ID != "" {
		t.Fatalf("not a repeat: %+v", a)
	}
	if a := accept(t, q, card(2, "b")); a.Repeated || a.Seq != 2 {
		t.Fatalf("another card: %+v", a)
	}
	clock.Advance(2 * time.Minute) // the repeat has not moved the window
	if a := accept(t, q, card(3, "a")); a.Repeated || a.Seq != 3 {
		t.Fatalf("after the window: %+v", a)
	}
	if a := accept(t, q, draft(4)); a.Repeated {
		t.Fatal("a draft without content was a repeat")
	}
}

func TestRepeatSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	clock := clockwork.NewFakeClockAt(testStart)
	o := Options{Dir: dir, RepeatWindow: 5 * time.Minute, Clock: clock}
	q := openTest(t, o)
	first := accept(t, q, card(0, "a"))
	q.Close()
	clock.Advance(time.Minute)
	q = openTest(t, o)
	if a := accept(t, q, card(1, "a")); !a.Repeated || a.Earlier != first.Stamp {
		t.Fatalf("forgotten over the restart: %+v", a)
	}
	q.Close()
	clock.Advance(10 * time.Minute)
	q = openTest(t, o)
	if a := accept(t, q, card(2, "a")); a.Repeated {
		t.Fatal("remembered beyond the window")
	}
}

func TestRepeatForgottenByCancelAndDiscard(t *testing.T) {
	for _, restart := range []bool{false, true} {
		o := Options{Dir: t.TempDir(), RepeatWindow: 5 * time.Minute}
		q := openTest(t, o)
		again := func() {
			if restart {
				q.Close()
				q = openTest(t, o)
			}
		}
		a := accept(t, q, card(0, "a"))
		accept(t, q, cancel(a.ID))
		again()
		b := accept(t, q, card(1, "a"))
		if b.Repeated {
			t.Fatalf("restart %v: a cancelled tap made a repeat", restart)
		}
		if _, err := q.Discard(t.Context(), b.ID, cancel(b.ID)); err != nil {
			t.Fatal(err)
		}
		again()
		if c := accept(t, q, card(2, "a")); c.Repeated {
			t.Fatalf("restart %v: a discarded tap made a repeat", restart)
		}
	}
}

func TestRepeatNotMadeByFailedTap(t *testing.T) {
	q := openTest(t, Options{RepeatWindow: 5 * time.Minute})
	broken := card(0, "a")
	broken.Body = func(Stamp) ([]byte, error) { return nil, errors.New("no body") }
	if _, err := q.Accept(t.Context(), broken); err == nil {
		t.Fatal("accepted without a body")
	}
	if a := accept(t, q, card(1, "a")); a.Repeated || a.Seq != 1 {
		t.Fatalf("a failed tap made a repeat or took a number: %+v", a)
	}
}

// A clock that jumps over a restart: distance in either direction counts.
func TestRepeatClockJumps(t *testing.T) {
	for _, c := range []struct {
		jump   time.Duration
		repeat bool
	}{{time.Minute, true}, {-time.Minute, true}, {24 * time.Hour, false}, {-24 * time.Hour, false}, {-20 * 365 * 24 * time.Hour, false}} {
		dir := t.TempDir()
		q := openTest(t, Options{Dir: dir, RepeatWindow: 5 * time.Minute})
		first := accept(t, q, card(0, "a"))
		q.Close()
		q = openTest(t, Options{Dir: dir, RepeatWindow: 5 * time.Minute, Clock: clockwork.NewFakeClockAt(testStart.Add(c.jump))})
		a := accept(t, q, card(1, "a"))
		if a.Repeated != c.repeat {
			t.Errorf("jump %v: repeated %v", c.jump, a.Repeated)
		}
		// Whatever the clock does: the first tap is stored once, and numbers go on.
		if want := first.Seq + 1; !c.repeat && a.Seq != want {
			t.Errorf("jump %v: seq %d, want %d", c.jump, a.Seq, want)
		}
		if r := verify(t, q); r.Opened != map[bool]int{true: 1, false: 2}[c.repeat] {
			t.Errorf("jump %v: %+v", c.jump, r)
		}
		q.Close()
	}
}

// While the process lives its monotonic clock counts, not the wall clock.
func TestRepeatMonotonic(t *testing.T) {
	r := repeats{window: 5 * time.Minute}
	now := time.Now()
	m := acceptance{at: now}
	wall := now.Round(0).Add(time.Hour) // a wall clock an hour off, without a monotonic reading
	if r.fresh(m, wall) {
		t.Fatal("wall times an hour apart are within the window")
	}
	if !r.fresh(m, now.Add(time.Minute)) {
		t.Fatal("a minute later by the monotonic clock is not")
	}
}
