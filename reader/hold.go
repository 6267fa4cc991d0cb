package reader

import (
	"context"
	"time"

	"idtap/driver"
)

const (
	// negatives is how many clear answers in a row that there is no card make a
	// removal.
	negatives = 2
	// deafPolls is how many damaged presence answers in a row make find the
	// judge instead: a module may know no presence check.
	deafPolls = 3
	// gapTime is how long a hold may go without an answer, beyond the pause
	// between two polls, before the card has to prove that it is the same: time
	// enough to lift one and place another, or for the machine to have slept.
	// A presence answer with four addresses takes 0.3 s at 9600 baud.
	gapTime = 500 * time.Millisecond

	// holdCheck is how often a card that is said to be still there is looked for
	// all the same: a module may say so for ever, and the next card would not be
	// noticed. Where find meets a card, its bytes decide whose it is; where it
	// meets none that means nothing, for some firmware finds a resting card once.
	holdCheck = 5 * time.Second

	// A tap that the sink did not settle is offered again after 1, 2, 4 s and
	// then every 5 s while its card lies there.
	firstOffer = time.Second
	lastOffer  = 5 * time.Second
)

// hold waits until the card handed on is lifted. found tells that a card was
// found again that has to be read to know whether it is the same.
//
// The card counts as the same without another read only while clear positive
// answers follow each other without a gap. A negative or damaged answer, or a
// gap, leaves room for a swap between two polls: then find decides, and where
// it finds a card, its bytes do.
func (r *Reader) hold(ctx context.Context) (found bool, err error) {
	r.tell(Held, r.last.unsettled, r.last.wait)
	missed, deaf, doubt := 0, 0, false
	looked := r.clock.Now()
	for {
		if err := r.sleep(ctx, r.o.Poll); err != nil {
			return false, err
		}
		there, err := r.present(ctx)
		now := r.clock.Now()
		doubt = doubt || gap(r.seenAt, now, r.o.Poll+gapTime)
		switch {
		case lost(err):
			return false, err
		case err != nil:
			doubt = true
			if deaf++; deaf < deafPolls {
				continue
			}
		case !there:
			doubt = true
			if missed++; missed == negatives {
				return false, nil
			}
			continue
		default:
			missed, deaf = 0, 0
			r.seenAt = now
		}
		if r.last.offer != nil { // it would be gone with its card
			looked = now
		}
		if doubt || now.Sub(looked) >= holdCheck {
			looked = now
			found, err := r.look(ctx)
			switch {
			case found || lost(err):
				return found, err
			case err != nil:
				continue
			case deaf > 0:
				return false, nil
			}
			doubt = false
		}
		if r.last.offer != nil && !now.Before(r.last.offerAt) {
			if err := r.handOn(ctx); err != nil {
				return false, err
			}
			r.tell(Held, r.last.unsettled, r.last.wait)
		}
	}
}

// present asks whether the card just read is still there. What the module
// answers instead of a clear yes is a no; a damaged answer is neither.
func (r *Reader) present(ctx context.Context) (bool, error) {
	there, err := ask(ctx, r, driver.Device.Present)
	if lost(err) || damaged(err) {
		return false, err
	}
	return there && err == nil, nil
}

// gap reports whether more than most lies between two answers, or it cannot be
// told. Wall clocks are compared: a machine's monotonic clock may stand still
// while it sleeps.
func gap(from, to time.Time, most time.Duration) bool {
	passed := to.Round(0).Sub(from.Round(0))
	return passed < 0 || passed > most
}

// handOn offers the tap of the card held to the sink. The only errors are the
// end of the context; what the sink says is kept with the card.
func (r *Reader) handOn(ctx context.Context) error {
	h := r.last
	h.unsettled = r.o.Sink.Tap(ctx, *h.offer)
	if h.unsettled == nil {
		r.counts.Taps++
		h.offer, h.wait = nil, 0
		return nil
	}
	h.wait = min(max(2*h.wait, firstOffer), lastOffer)
	h.offerAt = r.clock.Now().Add(h.wait)
	return ctx.Err()
}

// awaitLift waits until a card that was not handed on is lifted. found tells
// that a card was found that is to be read: there was room for a swap, or the
// retry time (0: never) is over. doubt tells that there was room for a swap
// already: a quick next card is read at the first find.
func (r *Reader) awaitLift(ctx context.Context, retry time.Duration, doubt bool) (found bool, err error) {
	began := r.clock.Now()
	missed := 0
	for {
		if err := r.sleep(ctx, r.o.Poll); err != nil {
			return false, err
		}
		found, err := r.find(ctx)
		switch {
		case lost(err):
			return false, err
		case err != nil:
			doubt = true
		case !found:
			doubt = true
			if missed++; missed == negatives {
				return false, nil
			}
		case doubt, retry > 0 && r.clock.Since(began) >= retry:
			return true, nil
		}
	}
}
