package reader

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

const (
	// callBound is far above what any driver's own timeouts add up to at
	// 9600 bits per second.
	callBound = 20 * time.Second
	// overrun is what a call may take beyond the end of its context before
	// its device counts as stuck.
	overrun = 500 * time.Millisecond
	// closeBound is what closing a device may take.
	closeBound = 800 * time.Millisecond
	// maxHung is how many hung calls a reader leaves behind before it waits
	// for one of them to come back.
	maxHung = 3

	// A module that gave no good answer for this long, in at least this many
	// calls, is taken for gone and opened anew.
	silenceTime  = 3 * time.Second
	silenceCalls = 4
)

// owner is the one goroutine that talks to a device. The loop waits for its
// answers with a bound, so that a call that hangs inside a driver can hold up
// neither the loop nor the end of the program.
type owner struct {
	calls chan func()
	ended chan struct{} // closed once no call is running and the device is closed

	dev    driver.Device // set in the first call, used in calls only
	opened bool          // for the loop: dev is set
	close  func()        // closes dev, once
}

func newOwner() *owner {
	o := &owner{calls: make(chan func()), ended: make(chan struct{})}
	o.close = sync.OnceFunc(func() {
		if o.dev != nil {
			o.dev.Close()
		}
	})
	go func() {
		defer close(o.ended)
		for call := range o.calls {
			call()
		}
		o.close()
	}()
	return o
}

// do runs one call in the owner and waits for it. A call that does not come
// back soon after its context ended is driver.ErrStuck, or ctx's own error.
func do[T any](ctx context.Context, clock clockwork.Clock, o *owner, call func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	bounded, cancel := clockwork.WithTimeout(ctx, clock, callBound)
	defer cancel()
	answers := make(chan answer, 1)
	o.calls <- func() {
		value, err := call(bounded)
		answers <- answer{value, err}
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-bounded.Done():
	}
	late := clock.NewTimer(overrun)
	defer late.Stop()
	var none T
	select {
	case a := <-answers:
		return a.value, a.err
	case <-late.Chan():
		if err := ctx.Err(); err != nil {
			return none, err
		}
		return none, driver.ErrStuck
	}
}

// open opens the device in an owner of its own.
func (r *Reader) open(ctx context.Context) error {
	r.hung = slices.DeleteFunc(r.hung, func(o *owner) bool {
		select {
		case <-o.ended:
			return true
		default:
			return false
		}
	})
	if len(r.hung) >= maxHung {
		return &driver.Error{Op: "open", Reader: r.o.Name, Err: driver.ErrStuck}
	}
	o := newOwner()
	r.dev, r.heard = o, 0
	_, err := do(ctx, r.clock, o, func(ctx context.Context) (struct{}, error) {
		dev, err := r.o.Open(ctx)
		if err == nil {
			o.dev = dev
		}
		return struct{}{}, err
	})
	o.opened = err == nil
	if err != nil {
		r.close()
	}
	return err
}

// close ends the owner and its device. If a call hangs, the device is closed
// under it; if that does not bring the call back either, the owner is left
// behind and the device closed whenever it does.
func (r *Reader) close() {
	o := r.dev
	close(o.calls)
	if o.opened {
		go o.close()
	}
	late := r.clock.NewTimer(closeBound)
	defer late.Stop()
	select {
	case <-o.ended:
	case <-late.Chan():
		r.hung = append(r.hung, o)
	}
}

// ask makes one call of the open device, keeps account of its line and tells
// apart what the loop decides on: see lost and damaged.
func ask[T any](ctx context.Context, r *Reader, call func(driver.Device, context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		heard uint64
	}
	o := r.dev
	a, err := do(ctx, r.clock, o, func(ctx context.Context) (answer, error) {
		value, err := call(o.dev, ctx)
		return answer{value, driver.LineErrors(o.dev)}, err
	})
	if ctx.Err() != nil {
		return a.value, ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = &driver.Error{Op: "wait", Reader: r.o.Name, Err: driver.ErrTimeout, Cause: err}
	}
	now := r.clock.Now()
	bad := uint64(0)
	if a.heard > r.heard {
		bad = a.heard - r.heard
		r.heard = a.heard
	}
	if !damaged(err) {
		r.silent = 0
	} else {
		if errors.Is(err, driver.ErrProtocol) { // silence alone says nothing against the line
			bad = max(bad, 1)
		}
		if r.silent++; r.silent == 1 {
			r.silentSince = now
		}
		if r.silent >= silenceCalls && now.Sub(r.silentSince) >= silenceTime {
			err = &driver.Error{Op: "wait", Reader: r.o.Name, Err: driver.ErrGone, Cause: err}
		}
	}
	if bad > 0 && !driver.OtherForm(err) {
		r.counts.LineErrors += bad
		r.line.failed(now)
	}
	return a.value, err
}

// lost reports whether the device has to be opened anew, or the loop to end.
func lost(err error) bool {
	for _, e := range []error{context.Canceled, context.DeadlineExceeded, driver.ErrGone, driver.ErrDenied, driver.ErrBusy,
		driver.ErrNotBuilt, driver.ErrFaulty, driver.ErrNoSAM, driver.ErrStuck, driver.ErrTelnet, driver.ErrDialect} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// damaged reports whether no good answer came. A status that the module did
// send, even one that complains of the protocol, is an answer, except that it
// received the request damaged (10, 11).
func damaged(err error) bool {
	if !errors.Is(err, driver.ErrProtocol) && !errors.Is(err, driver.ErrTimeout) {
		return false
	}
	return !driver.Answered(err) || driver.DamagedRequest(err)
}

// PhaseOf returns the phase of a reader that was lost to an error.
func PhaseOf(err error) Phase {
	switch {
	case errors.Is(err, driver.ErrDenied):
		return Denied
	case errors.Is(err, driver.ErrBusy):
		return Busy
	case errors.Is(err, driver.ErrFaulty):
		return Faulty
	case errors.Is(err, driver.ErrNoSAM):
		return NoIdentity
	case errors.Is(err, driver.ErrStuck):
		return Stuck
	case errors.Is(err, driver.ErrTelnet):
		return Telnet
	case errors.Is(err, driver.ErrDialect):
		return Dialect
	case errors.Is(err, driver.ErrNotBuilt):
		return Stopped
	}
	return Away
}
