package mock

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// Driver opens simulated readers (driver: mock). A Spec's port is a source for
// [simcard.Load]; without one the reader shows the cards of [simcard.Demo]. Cards are placed
// and lifted one after another, and from the first again after the last.
type Driver struct {
	Clock clockwork.Clock // nil: the machine's
	// Every is the time from one card to the next. Default 3 s.
	Every time.Duration
	// Quirks and Faults are those of every reader opened.
	Quirks Quirks
	Faults Faults

	mu     sync.Mutex
	placed map[string]int // cards placed so far, by reader
}

var _ driver.Driver = (*Driver)(nil)

// Open implements driver.Driver.
func (d *Driver) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	cards := simcard.Demo()
	if s.Port != "" {
		var err error
		if cards, err = simcard.Load(s.Port); err != nil {
			return nil, &driver.Error{Op: "open", Reader: s.Name, Err: openKind(err), Cause: err}
		}
	}
	clock := d.Clock
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	timing := DeskTiming
	if s.Baud != 0 {
		timing.Baud = s.Baud
	}
	m := NewModule(Options{Clock: clock, Timing: timing, Quirks: d.Quirks, Faults: d.Faults})
	t, err := m.Open()
	if err != nil {
		return nil, err
	}
	desk := &desk{
		Client: sam.NewClient(driver.Observed(t, s.Wire), sam.Options{Name: s.Name, Model: "simulated", Detail: "mock", Baud: timing.Baud,
			MaxRFBytes: s.MaxRFBytes, Clock: clock}),
	}
	ctx, desk.stop = context.WithCancel(context.WithoutCancel(ctx))
	desk.visits.Go(func() { d.visits(ctx, s.Name, m, cards) })
	return desk, nil
}

// openKind is the sentinel for cards that cannot be had.
func openKind(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return driver.ErrGone
	case errors.Is(err, fs.ErrPermission):
		return driver.ErrDenied
	default:
		return driver.ErrProtocol
	}
}

// visits places card after card until the context ends.
func (d *Driver) visits(ctx context.Context, reader string, m *Module, cards []simcard.Card) {
	every := d.Every
	if every == 0 {
		every = 3 * time.Second
	}
	hand := Hand{Module: m, Patience: every} // a card that cannot be read is not waited for longer
	for {
		next := m.clock.After(every)
		if _, err := hand.Tap(ctx, cards[d.turn(reader)%len(cards)]); err != nil {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// turn counts a reader's cards, through reopenings.
func (d *Driver) turn(reader string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.placed == nil {
		d.placed = map[string]int{}
	}
	d.placed[reader]++
	return d.placed[reader] - 1
}

// Discover implements driver.Driver: simulated readers are never found, only
// configured.
func (d *Driver) Discover(context.Context) ([]driver.Spec, error) { return nil, nil }

// Detail implements driver.Driver.
func (d *Driver) Detail() string { return "simulated reader" }

// desk is a client with somebody in front of it who places cards.
type desk struct {
	*sam.Client
	stop   context.CancelFunc
	visits sync.WaitGroup
}

// Identify implements driver.Device: what the module says, and that it is none.
func (d *desk) Identify(ctx context.Context) (driver.Identity, error) {
	id, err := d.Client.Identify(ctx)
	id.Simulated = true
	return id, err
}

func (d *desk) Close() error {
	d.stop()
	err := d.Client.Close()
	d.visits.Wait()
	return err
}
