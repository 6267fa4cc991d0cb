package mock

import (
	"context"
	"errors"
	"time"

	"github.com/jonboulle/clockwork"
)

// Hand places cards on a module as a visitor does: lays one down, waits until it
// was read, lifts it.
type Hand struct {
	Module *Module
	// Dwell is how long a card lies there after its last read, so that a host may
	// read it again. Default 600 ms.
	Dwell time.Duration
	// Patience is how long a card lies there unread once the host looked for it,
	// before it is lifted and placed again. Default 8 s.
	Patience time.Duration
}

// tries is how often a card is placed that is not read.
const tries = 3

// noticing bounds the wait for the host to notice that the card is gone.
const noticing = 2 * time.Second

// Tap places a card, waits until its text was read and lifts it; it returns once
// the host met the empty reader twice, or had 2 s to. A card that is not read is
// placed three times; read reports whether it was. Without a host Tap waits until
// the context ends, whose error it returns.
func (h Hand) Tap(ctx context.Context, c Card) (read bool, err error) {
	dwell, patience := h.Dwell, h.Patience
	if dwell == 0 {
		dwell = 600 * time.Millisecond
	}
	if patience == 0 {
		patience = 8 * time.Second
	}
	defer h.Module.Lift()
	for range tries {
		h.Module.Place(c)
		if err := h.Module.Await(ctx, func(s State) bool { return s.Tried > 0 || !s.Present }); err != nil {
			return false, err
		}
		if _, err := h.within(ctx, patience, func(s State) bool { return s.Reads > 0 || !s.Present }); err != nil {
			return false, err
		}
		if read, err = h.rest(ctx, dwell); err != nil {
			return read, err
		}
		h.Module.Lift()
		if _, err := h.within(ctx, noticing, func(s State) bool { return s.Missed >= 2 }); err != nil {
			return read, err
		}
		if read {
			return true, nil
		}
	}
	return false, nil
}

// rest waits until the card has lain for dwell after its last read.
func (h Hand) rest(ctx context.Context, dwell time.Duration) (read bool, err error) {
	for {
		s := h.Module.State()
		if s.Reads == 0 {
			return read, nil
		}
		read = true
		left := dwell - h.Module.clock.Since(s.LastRead)
		if left <= 0 {
			return true, nil
		}
		if _, err := h.within(ctx, left, func(now State) bool { return now.Reads != s.Reads }); err != nil {
			return true, err
		}
	}
}

// within waits for a state, but no longer than d. Only the context's end is an
// error.
func (h Hand) within(ctx context.Context, d time.Duration, ok func(State) bool) (bool, error) {
	limited, cancel := clockwork.WithTimeout(ctx, h.Module.clock, d)
	defer cancel()
	err := h.Module.Await(limited, ok)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return false, nil
	default:
		return false, err
	}
}
