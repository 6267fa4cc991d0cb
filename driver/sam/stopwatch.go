package sam

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// Exchange is one command and its answer as they passed on the line. Nothing of
// what they carry is kept.
type Exchange struct {
	Code     Code
	Sent     int           // bytes of the command
	Received int           // bytes until the next command; 0: no answer
	Took     time.Duration // from the command's last byte handed over to the answer's last byte
}

// Wire is how long the bytes of the exchange take at a rate, 8N1.
func (e Exchange) Wire(baud int) time.Duration { return wireTime(e.Sent+e.Received, baud) }

// Stopwatch measures the exchanges of one reader: a driver.WireObserver that may
// be asked from any goroutine.
type Stopwatch struct {
	clock clockwork.Clock

	mu      sync.Mutex // guards all below
	now     Exchange   // under way; Code 0: none
	began   time.Time
	last    map[Code]Exchange // the last that was answered
	quick   map[Code]Exchange // the quickest of them
	answers uint64
	silent  uint64
}

var _ driver.WireObserver = (*Stopwatch)(nil)

// NewStopwatch makes a Stopwatch; a nil clock is the machine's.
func NewStopwatch(clock clockwork.Clock) *Stopwatch {
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	return &Stopwatch{clock: clock, last: map[Code]Exchange{}, quick: map[Code]Exchange{}}
}

// Sent implements driver.WireObserver.
func (w *Stopwatch) Sent(p []byte) {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle()
	if len(p) > 8 {
		w.now, w.began = Exchange{Code: Code(p[7])<<8 | Code(p[8]), Sent: len(p)}, now
	}
}

// Received implements driver.WireObserver.
func (w *Stopwatch) Received(p []byte) {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.Code != 0 {
		w.now.Received += len(p)
		w.now.Took = now.Sub(w.began)
	}
}

// settle takes down the exchange that a new command ends. w.mu is held.
func (w *Stopwatch) settle() {
	e := w.now
	w.now = Exchange{}
	switch {
	case e.Code == 0:
	case e.Received == 0:
		w.silent++
	default:
		w.answers++
		w.last[e.Code] = e
		if q, ok := w.quick[e.Code]; !ok || e.Took < q.Took {
			w.quick[e.Code] = e
		}
	}
}

// Last is the last exchange of a command that was answered, the one under way
// included.
func (w *Stopwatch) Last(c Code) (Exchange, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.Code == c && w.now.Received > 0 {
		return w.now, true
	}
	e, ok := w.last[c]
	return e, ok
}

// Quickest is the exchange of a command that took the least time: what the line
// and the module can do, whatever else the machine was busy with.
func (w *Stopwatch) Quickest(c Code) (Exchange, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q, ok := w.quick[c]
	if e := w.now; e.Code == c && e.Received > 0 && (!ok || e.Took < q.Took) {
		return e, true
	}
	return q, ok
}

// Answers counts commands that were answered and that were not.
func (w *Stopwatch) Answers() (answered, silent uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answered, silent = w.answers, w.silent
	if w.now.Received > 0 {
		answered++
	}
	return answered, silent
}

// Reset forgets all, for a device that was opened anew.
func (w *Stopwatch) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.answers, w.silent = Exchange{}, 0, 0
	clear(w.last)
	clear(w.quick)
}
