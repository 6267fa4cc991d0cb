package reader

import (
	"context"
	"errors"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/reader/identity"
)

// Verify says when a card is read a second time and compared.
type Verify string

const (
	// VerifyAuto reads twice when the first read has a finding that damage
	// could cause, or the line has shown an error within its last 50 reads or
	// 10 minutes.
	VerifyAuto Verify = "auto"
	// VerifyAlways reads every card twice.
	VerifyAlways Verify = "always"
	// VerifyNever trusts every read whose frame checks out.
	VerifyNever Verify = "never"
)

// Options say what a reader reads and where it goes.
type Options struct {
	Name string // the desk's name for the reader
	// Open opens the device. It is called again after every loss.
	Open func(ctx context.Context) (driver.Device, error)
	Sink Sink
	// Plugged returns a channel that is closed when something was plugged in or out
	// next, so that a reader that came back is not waited for any longer. nil:
	// nobody notices.
	Plugged func() <-chan struct{}

	Poll   time.Duration // between looks for a card; 0 means 150 ms
	Verify Verify        // "" means VerifyAuto
	// ComparePhoto makes the photo part of what two reads must agree on: for
	// desks that publish it. Otherwise a damaged photo holds nobody up.
	ComparePhoto bool

	Identity identity.Options // what the desk knows beside the card; Now is set at each read
	Clock    clockwork.Clock  // nil means the machine's
	Pulse    *Pulse           // is told each time the loop goes round; nil: nobody
}

// Waits of the loop. Together with the driver's own bounds they keep the
// promise that a reader is back within 2 s of its device.
const (
	defaultPoll = 150 * time.Millisecond

	// A lost device is opened again after 0.2, 0.4, 0.8 s and then every
	// second, for ever: the first three tries lie within 1.4 s of the loss.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Second
	// What does not come back by itself is looked at less often: a module that
	// failed its self-test, a driver with a hung command.
	slowRetry = 5 * time.Second

	// A module may take about 2 s from power-up to its first answer [ROUTON].
	powerUpGrace = 2500 * time.Millisecond
	powerUpPoll  = 200 * time.Millisecond
)

// Reader is the reading loop of one device.
type Reader struct {
	o     Options
	clock clockwork.Clock

	dev         *owner          // the open device
	hung        []*owner        // given up with a call still inside
	ident       driver.Identity // what the device said of itself
	opened      bool            // a device was opened before
	heard       uint64          // line errors that the device has counted
	silent      int             // calls in a row without a good answer
	silentSince time.Time

	line   line      // how well answers come through
	last   *handled  // the card handed on, until it is known to be lifted
	seenAt time.Time // when it last gave a clear answer
	twins  twins     // whole reads that wait for an equal one
	prompt time.Time // until when "place the card again" stays said

	counts Counts
	told   State // the last state told, and when
	toldAt time.Time
}

// New makes a reader. Run starts it.
func New(o Options) *Reader {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	if o.Verify == "" {
		o.Verify = VerifyAuto
	}
	return &Reader{o: o, clock: o.Clock}
}

// Run reads cards until the context ends, through every loss of the device. It
// returns within 2 s of that, whatever the device is doing.
func (r *Reader) Run(ctx context.Context) {
	r.o.Pulse.beat(r)
	defer r.o.Pulse.end(r)
	r.tell(Starting, nil, 0)
	wait := firstRetry
	for {
		plugged := r.plugged() // from before it is tried
		ready, err := r.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if ready {
			wait = firstRetry
		}
		phase := PhaseOf(err)
		switch phase {
		case Stopped: // no driver will appear while the program runs
			r.tell(phase, err, 0)
			r.o.Pulse.end(r)
			<-ctx.Done()
			return
		case Faulty, NoIdentity, Stuck, Telnet, Dialect:
			r.tell(phase, err, slowRetry)
			r.sleep(ctx, slowRetry)
		default:
			r.tell(phase, err, wait)
			r.sleepUntil(ctx, wait, plugged)
			wait = min(2*wait, lastRetry)
		}
	}
	r.tell(Stopped, nil, 0)
}

// session opens the device and serves it until it fails. ready tells that it
// got as far as looking for cards.
func (r *Reader) session(ctx context.Context) (ready bool, err error) {
	if err := r.open(ctx); err != nil {
		return false, err
	}
	defer r.close()
	if r.opened {
		r.counts.Reopened++
	}
	r.opened = true
	r.silent = 0

	grace := powerUpGrace
	for {
		if err := r.identify(ctx, grace); err != nil {
			return ready, err
		}
		ready, grace = true, 0
		if err := r.serve(ctx); !errors.Is(err, driver.ErrFaulty) {
			return ready, err
		}
	}
}

// identify asks the module who it is until it answers well. Within the grace a
// module that is starting up may say anything; after it, a module that says it
// is faulty is asked again slowly and one that says nothing is an error.
func (r *Reader) identify(ctx context.Context, grace time.Duration) error {
	began := r.clock.Now()
	for {
		ident, err := ask(ctx, r, driver.Device.Identify)
		if ident != (driver.Identity{}) {
			r.ident = ident
		}
		starting := r.clock.Since(began) < grace
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case starting && (damaged(err) || errors.Is(err, driver.ErrFaulty)):
			r.sleep(ctx, powerUpPoll)
		case errors.Is(err, driver.ErrFaulty) || errors.Is(err, driver.ErrNoSAM):
			r.tell(PhaseOf(err), err, slowRetry)
			r.sleep(ctx, slowRetry)
		default:
			return err
		}
	}
}

// serve takes one card after the other.
func (r *Reader) serve(ctx context.Context) error {
	again := false
	for {
		if !again {
			if err := r.seek(ctx); err != nil {
				return err
			}
		}
		var err error
		if again, err = r.place(ctx, again); err != nil {
			return err
		}
	}
}

// seek looks for a card until there is one. A clear answer that there is none
// means that the card handed on before was lifted: two others preceded it (see
// hold), or the device was lost meanwhile.
func (r *Reader) seek(ctx context.Context) error {
	for {
		found, err := r.find(ctx)
		switch {
		case lost(err):
			return err
		case found:
			return nil
		case err == nil:
			r.last = nil
			over := r.clock.Now().After(r.prompt)
			if over {
				r.twins.clear()
			}
			if over || r.told.Phase != PlaceAgain && r.told.Phase != Unreadable {
				r.tell(Ready, nil, 0)
			}
		}
		if err := r.sleep(ctx, r.o.Poll); err != nil {
			return err
		}
	}
}

// sleep waits or gives the context's error.
func (r *Reader) sleep(ctx context.Context, d time.Duration) error {
	r.o.Pulse.beat(r)
	t := r.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.Chan():
		return nil
	}
}

func (r *Reader) plugged() <-chan struct{} {
	if r.o.Plugged == nil {
		return nil
	}
	return r.o.Plugged()
}

// settle is how long a device that is plugged in makes more events.
const settle = 50 * time.Millisecond

// sleepUntil is sleep that ends early, soon after something was plugged in.
func (r *Reader) sleepUntil(ctx context.Context, d time.Duration, plugged <-chan struct{}) {
	t := r.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.Chan():
	case <-plugged:
		r.sleep(ctx, min(d, settle))
	}
}

// countsEvery is how often new counts alone are worth a state.
const countsEvery = 10 * time.Second

// tell hands a state to the sink if it says anything new.
func (r *Reader) tell(p Phase, err error, retry time.Duration) {
	now := r.clock.Now()
	s := State{Reader: r.o.Name, Phase: p, Since: now, Identity: r.ident, Err: err, Retry: retry, Counts: r.counts}
	if s.Phase == r.told.Phase && s.Identity == r.told.Identity && sameError(s.Err, r.told.Err) {
		if s.Counts == r.told.Counts || now.Sub(r.toldAt) < countsEvery {
			return
		}
		s.Since, s.Retry = r.told.Since, r.told.Retry
	}
	r.told, r.toldAt = s, now
	r.o.Sink.State(s)
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}
