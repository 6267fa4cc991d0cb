package reader

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/simcard"
	"idtap/reader/card"
	"idtap/reader/identity"
)

// step is one call that a scripted device expects, and its answer.
type step struct {
	call  string
	yes   bool
	raw   driver.RawCard
	err   error
	after time.Duration // how long the call takes
	hang  bool          // it ignores its context until the test ends
	bad   uint64        // line errors that it meets
}

func opens() step                     { return step{call: "open"} }
func identifies() step                { return step{call: "identify"} }
func finds(yes bool) step             { return step{call: "find", yes: yes} }
func reads(raw driver.RawCard) step   { return step{call: "read", raw: raw} }
func here(yes bool) step              { return step{call: "present", yes: yes} }
func closes() step                    { return step{call: "close"} }
func fails(call string, e error) step { return step{call: call, err: &driver.Error{Op: call, Err: e}} }

func (s step) taking(d time.Duration) step { s.after = d; return s }
func (s step) noisy(n uint64) step         { s.bad = n; return s }

func says(call string, e error, sw3 byte) step {
	return step{call: call, err: &driver.Error{Op: call, Err: e, Status: []byte{0, 0, sw3}}}
}

// started are the calls of every script before the first look for a card.
func started(more ...step) []step { return append([]step{opens(), identifies()}, more...) }

// times repeats a step.
func times(n int, s step) []step { return slices.Repeat([]step{s}, n) }

func script(parts ...any) []step {
	var all []step
	for _, p := range parts {
		switch p := p.(type) {
		case step:
			all = append(all, p)
		case []step:
			all = append(all, p...)
		}
	}
	return all
}

// scripted is a strict device: a call that the script does not expect next
// fails the test, and so does one that never comes. Once the script is over it
// ends the reader.
type scripted struct {
	t     *testing.T
	stop  context.CancelFunc
	end   chan struct{} // closed after the run, frees hung calls
	steps []step

	mu  sync.Mutex
	at  int
	bad uint64
}

func (d *scripted) next(ctx context.Context, call string) step {
	s := d.take(call)
	switch {
	case s.hang:
		<-d.end
	case s.call == "":
		<-ctx.Done()
		return step{err: ctx.Err()}
	case s.after > 0:
		select {
		case <-time.After(s.after):
		case <-ctx.Done():
			return step{err: ctx.Err()}
		}
	}
	return s
}

// take is the next step, or a step without a call where the script ends.
func (d *scripted) take(call string) step {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == len(d.steps) {
		d.stop()
		return step{}
	}
	s := d.steps[d.at]
	if s.call != call {
		d.t.Errorf("step %d: got %s, the script has %s", d.at, call, s.call)
		d.at = len(d.steps)
		d.stop()
		return step{}
	}
	d.at++
	d.bad += s.bad
	return s
}

// used is how many steps were taken.
func (d *scripted) used() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

func (d *scripted) Identify(ctx context.Context) (driver.Identity, error) {
	s := d.next(ctx, "identify")
	return driver.Identity{Model: "scripted"}, s.err
}

func (d *scripted) Find(ctx context.Context) (bool, error) {
	s := d.next(ctx, "find")
	return s.yes, s.err
}

func (d *scripted) Read(ctx context.Context) (driver.RawCard, error) {
	s := d.next(ctx, "read")
	return s.raw, s.err
}

func (d *scripted) Present(ctx context.Context) (bool, error) {
	s := d.next(ctx, "present")
	return s.yes, s.err
}

func (d *scripted) LineErrors() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bad
}

// Close is in a script only where it is followed by another open.
func (d *scripted) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at < len(d.steps) && d.steps[d.at].call == "close" {
		d.at++
		d.bad = 0
	}
	return nil
}

// record is a sink that keeps everything.
type record struct {
	mu     sync.Mutex
	states []State
	taps   []Tap
	refuse func(n int) error // answer to the nth tap offered, from 0
	offers int
	on     func() // called after every change, without the lock
}

func (r *record) State(s State) {
	r.mu.Lock()
	r.states = append(r.states, s)
	r.mu.Unlock()
	if r.on != nil {
		r.on()
	}
}

func (r *record) Tap(_ context.Context, t Tap) error {
	r.mu.Lock()
	n := r.offers
	r.offers++
	var err error
	if r.refuse != nil {
		err = r.refuse(n)
	}
	if err == nil {
		r.taps = append(r.taps, t)
	}
	r.mu.Unlock()
	if r.on != nil {
		r.on()
	}
	return err
}

func (r *record) phases() []Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	var p []Phase
	for _, s := range r.states {
		p = append(p, s.Phase)
	}
	return p
}

func (r *record) last() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.states) == 0 {
		return State{}
	}
	return r.states[len(r.states)-1]
}

// bubble runs a test in fake time, at a date when the generated cards are valid.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
		f(t)
	})
}

// play runs a reader against a script and checks that all of it was used.
func play(t *testing.T, o Options, steps []step) *record {
	t.Helper()
	sink, _ := o.Sink.(*record)
	if sink == nil {
		sink = &record{}
	}
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		d := &scripted{t: t, stop: stop, end: make(chan struct{}), steps: steps}
		o.Name, o.Sink = "front", sink
		o.Open = func(ctx context.Context) (driver.Device, error) {
			if s := d.next(ctx, "open"); s.err != nil {
				return nil, s.err
			}
			return d, nil
		}
		New(o).Run(ctx)
		close(d.end)
		if n := d.used(); n != len(steps) {
			t.Errorf("the script has %d steps, %d were used; next is %s", len(steps), n, steps[n].call)
		}
	})
	return sink
}

// clean are generated cards that give no reason for a second read.
func clean(n int) []driver.RawCard {
	var out []driver.RawCard
	for _, c := range simcard.Generate(7, 20*n) {
		if raw := c.Raw(); len(out) < n && plausible(raw) {
			out = append(out, raw)
		}
	}
	if len(out) < n {
		panic(fmt.Sprintf("only %d clean cards", len(out)))
	}
	return out
}

func plausible(raw driver.RawCard) bool {
	c := identity.Check(card.Parse(raw), identity.Options{Now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)})
	return !c.Suspect() && c.Worst() != identity.Error
}

// damage flips two bits of one column in a name: the frame's XOR still fits and
// no rule of package identity can tell.
func damage(raw driver.RawCard) driver.RawCard {
	raw.Text[0] ^= 0x01
	raw.Text[2] ^= 0x01
	return raw
}
