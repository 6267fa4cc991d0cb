// Package watch looks over the shoulder of a desk's readers.
//
// It stands between the reading loops and the drivers and lets a diagnosis in:
// exchanges are timed, the wire can be recorded while the reader is in use, and
// a reader that does not work can be lent to an examination, so that nobody
// fights for its port. With no recording on, a passing frame costs one lock.
package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/sam"
)

// Readers watches all readers of a program. The zero Readers is ready; it must
// not be copied after use.
type Readers struct {
	Clock clockwork.Clock // nil means the real one

	mu      sync.Mutex
	watched map[string]*Reader
}

// Reader is one watched reader.
type Reader struct {
	Times *sam.Stopwatch

	held chan struct{} // a token while the reader's device is open or lent

	clock clockwork.Clock

	mu      sync.Mutex // guards all below
	spec    driver.Spec
	next    driver.WireObserver // waits for the next session
	record  driver.WireObserver // nil: nobody records
	stopped chan struct{}       // closed once the recording has ended; nil: it need not
	errors  uint64              // line errors of the open device so far
	bad     []lineErrors        // the latest, oldest first
}

// lineErrors are those of one call.
type lineErrors struct {
	at time.Time
	n  uint64
}

// mostBad bounds how many calls with line errors are remembered.
const mostBad = 64

// heard notes how many line errors the open device has counted so far. Those of a
// call whose answers came whole in another form are not the line's.
func (r *Reader) heard(n uint64, otherForm bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.errors && !otherForm {
		r.bad = append(r.bad, lineErrors{r.clock.Now(), n - r.errors})
		if len(r.bad) > mostBad {
			r.bad = r.bad[1:]
		}
	}
	r.errors = n
}

// LineErrors counts damaged and foreign messages on the reader's line within
// the last while.
func (r *Reader) LineErrors(within time.Duration) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := uint64(0)
	for _, b := range r.bad {
		if r.clock.Since(b.at) <= within {
			sum += b.n
		}
	}
	return sum
}

// Of gives the watched reader of that name.
func (w *Readers) Of(name string) *Reader {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.watched[name]
	if !ok {
		clock := w.Clock
		if clock == nil {
			clock = clockwork.NewRealClock()
		}
		r = &Reader{Times: sam.NewStopwatch(clock), clock: clock, held: make(chan struct{}, 1)}
		if w.watched == nil {
			w.watched = map[string]*Reader{}
		}
		w.watched[name] = r
	}
	return r
}

// Registry is the drivers with everything that they open watched.
func (w *Readers) Registry(drivers driver.Registry) driver.Registry {
	watched := driver.Registry{}
	for name, d := range drivers {
		watched[name] = watching{d, w}
	}
	return watched
}

// watching is a driver whose devices are watched.
type watching struct {
	driver.Driver
	w *Readers
}

// Open implements driver.Driver. While the reader is lent it waits.
func (d watching) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	r := d.w.Of(s.Name)
	if err := r.take(ctx); err != nil {
		return nil, &driver.Error{Op: "open", Reader: s.Name, Err: err}
	}
	r.opening(s)
	s.Wire = r
	dev, err := d.Driver.Open(ctx, s)
	if err != nil {
		r.free()
		return nil, err
	}
	return &device{dev: dev, r: r, close: sync.OnceValue(func() error {
		defer r.free()
		defer r.settle()
		return dev.Close()
	})}, nil
}

// Watch implements driver.Watcher where the driver does.
func (d watching) Watch(ctx context.Context, changed func()) {
	if w, ok := d.Driver.(driver.Watcher); ok {
		w.Watch(ctx, changed)
	}
}

// device is a watched device. Recordings begin and end between its calls.
type device struct {
	dev   driver.Device
	r     *Reader
	close func() error
}

func call[T any](d *device, op string, do func() (T, error)) (T, error) {
	if d.r.leaves() {
		var none T
		return none, &driver.Error{Op: op, Reader: d.r.Spec().Name, Err: driver.ErrGone, Cause: errRecorded}
	}
	defer d.r.settle()
	v, err := do()
	d.r.heard(d.LineErrors(), driver.OtherForm(err))
	return v, err
}

// errRecorded makes the reading loop open its device anew, so that a recording
// begins where a session does.
var errRecorded = errors.New("opened anew for a recording")

func (d *device) Identify(ctx context.Context) (driver.Identity, error) {
	return call(d, "identify", func() (driver.Identity, error) { return d.dev.Identify(ctx) })
}

func (d *device) Find(ctx context.Context) (bool, error) {
	return call(d, "find", func() (bool, error) { return d.dev.Find(ctx) })
}

func (d *device) Read(ctx context.Context) (driver.RawCard, error) {
	return call(d, "read", func() (driver.RawCard, error) { return d.dev.Read(ctx) })
}

func (d *device) Present(ctx context.Context) (bool, error) {
	return call(d, "present", func() (bool, error) { return d.dev.Present(ctx) })
}

func (d *device) Close() error { return d.close() }

// LineErrors implements driver.LineCounter with what the device itself counts.
func (d *device) LineErrors() uint64 { return driver.LineErrors(d.dev) }

func (r *Reader) take(ctx context.Context) error {
	select {
	case r.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reader) free() { <-r.held }

// Lend takes the reader once no device of it is open, for an examination; until
// the returned function is called its loop waits to open it.
func (r *Reader) Lend(ctx context.Context) (giveBack func(), err error) {
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	return sync.OnceFunc(r.free), nil
}

// Spec is what the reader was last opened with.
func (r *Reader) Spec() driver.Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spec
}

// opening notes a new session; a recording that was asked for begins with it.
func (r *Reader) opening(s driver.Spec) {
	r.Times.Reset()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spec, r.errors = s, 0
	if r.next != nil {
		r.record, r.next = r.next, nil
	}
}

// leaves reports whether the session has to end for a recording to begin.
func (r *Reader) leaves() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next != nil
}

// settle ends a recording that is to stop, now that a call is complete.
func (r *Reader) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != nil {
		r.record = nil
		close(r.stopped)
		r.stopped = nil
	}
}

// stopWithin bounds the wait for a call to end: longer than any but one that
// hangs.
const stopWithin = 5 * time.Second

// Record shows o every byte from the beginning of the next session on, which it
// brings about, until the returned function is called: the whole identity on a
// card, so only ever because a person asked. The recording ends between two
// calls; o is not used after stop has returned. ok is false while somebody else
// records.
func (r *Reader) Record(o driver.WireObserver) (stop func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.record != nil || r.next != nil {
		return nil, false
	}
	r.next = o
	return sync.OnceFunc(func() {
		r.mu.Lock()
		r.next = nil
		done := make(chan struct{})
		if r.record == nil {
			close(done)
		} else {
			r.stopped = done
		}
		r.mu.Unlock()
		t := r.clock.NewTimer(stopWithin)
		defer t.Stop()
		select {
		case <-done:
		case <-t.Chan():
		}
		r.mu.Lock()
		r.record, r.stopped = nil, nil
		r.mu.Unlock()
	}), true
}

var _ driver.WireObserver = (*Reader)(nil)

// Sent implements driver.WireObserver.
func (r *Reader) Sent(p []byte) {
	r.Times.Sent(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.record != nil {
		r.record.Sent(p)
	}
}

// Received implements driver.WireObserver.
func (r *Reader) Received(p []byte) {
	r.Times.Received(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.record != nil {
		r.record.Received(p)
	}
}
