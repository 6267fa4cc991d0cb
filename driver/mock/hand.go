package mock

import (
	"context"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver/simcard"
)

// Hand places cards on a module as a visitor does: lays one down, waits until the
// host is done with it, lifts it.
type Hand struct {
	Module *Module
	// Dwell is how much longer a card stays once the host is done with it, without
	// being read again.
	Dwell time.Duration
	// Patience is how long a card lies there once the host looked for it, unread
	// or with nothing more being heard of the host, before it is lifted. Default
	// 8 s.
	Patience time.Duration
}

const (
	// tries is how often a card is placed that is not read.
	tries = 3
	// settled is how often the host asks whether the card is still there until it
	// is taken to wait for nothing else. A read itself ends with one such command.
	settled = 4
	// lookedFor is the same for hosts that only look with find, which a host that
	// is about to read again does as well, in vain where firmware does not find a
	// resting card.
	lookedFor = 12
	// noticing bounds the wait for the host to notice that the card is gone.
	noticing = 2 * time.Second
)

// Tap places a card, waits until its text was read and the host does no more than
// look whether it is still there, and lifts it; it returns once the host met the empty
// reader twice, or had 2 s to. A card that is not read is placed three times; read
// reports whether it was. Without a host Tap waits until the context ends, whose
// error it returns.
func (h Hand) Tap(ctx context.Context, c simcard.Card) (read bool, err error) {
	patience := h.Patience
	if patience == 0 {
		patience = 8 * time.Second
	}
	defer h.Module.Lift()
	for range tries {
		h.Module.Place(c)
		if err := h.Module.Await(ctx, func(s State) bool { return s.Tried > 0 || !s.Present }); err != nil {
			return false, err
		}
		if err := h.within(ctx, patience, func(s State) bool { return s.Reads > 0 || !s.Present }); err != nil {
			return false, err
		}
		reads := h.Module.State().Reads
		for before := 0; reads != before; {
			before = reads
			if err := h.within(ctx, patience, h.done); err != nil {
				return true, err
			}
			if err := h.within(ctx, h.Dwell, func(s State) bool { return s.Reads != before }); err != nil {
				return true, err
			}
			reads = h.Module.State().Reads
		}
		read = reads > 0
		h.Module.Lift()
		if err := h.within(ctx, noticing, func(s State) bool { return s.Missed >= 2 }); err != nil {
			return read, err
		}
		if read {
			return true, nil
		}
	}
	return false, nil
}

// done reports that the host waits for the card to be lifted.
func (h Hand) done(s State) bool { return s.Held >= settled || s.Looks >= lookedFor || !s.Present }

// within waits for a state, but no longer than d. Only the context's end is an
// error.
func (h Hand) within(ctx context.Context, d time.Duration, ok func(State) bool) error {
	limited, cancel := clockwork.WithTimeout(ctx, h.Module.clock, d)
	defer cancel()
	if err := h.Module.Await(limited, ok); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}
