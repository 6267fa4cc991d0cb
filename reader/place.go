package reader

import (
	"context"
	"errors"
	"time"

	"idtap/driver"
	"idtap/reader/card"
	"idtap/reader/identity"
)

const (
	// maxReads is how many whole reads of one card may differ before the card
	// counts as unreadable.
	maxReads = 6
	// maxFailures is how many reads in a row may fail before the clerk is
	// asked to lift the card and place it again.
	maxFailures = 8
	// failurePause lies between two attempts to read a card [DKHID].
	failurePause = 100 * time.Millisecond
	// findTries is how often an empty find is repeated where a card was: the
	// first one may fail [SDTC, DELPHI].
	findTries = 2

	// promptTime is how long the clerk is asked to place the card again, and
	// how long its reads are kept to be compared.
	promptTime = time.Minute
	// tryAgain is how often a card that the clerk was asked to place again, but
	// that still lies there, is tried: it may have been pushed into place.
	tryAgain = time.Second
)

// place reads the card just found, hands it on and waits until it is lifted.
// again tells that something has lain there since the card before; the answer
// tells that a card was found again by the time that place is done.
func (r *Reader) place(ctx context.Context, again bool) (found bool, err error) {
	foundAt := r.clock.Now()
	carried := len(r.twins)
	if !again && r.last == nil {
		r.tell(Found, nil, 0)
		r.tell(Reading, nil, 0)
	}
	another := r.last == nil // it is not the card handed on before
	for reads := 1; ; reads++ {
		raw, err := r.readWhole(ctx, reads == 1)
		switch {
		case err == nil:
		case lost(err):
			return false, err
		case errors.Is(err, driver.ErrNotID):
			r.last, r.prompt = nil, time.Time{}
			r.tell(NotID, err, 0)
			return r.awaitLift(ctx, 0)
		case errors.Is(err, errSwapped):
			if another {
				r.prompt = r.clock.Now().Add(promptTime)
				r.tell(PlaceAgain, err, 0)
			}
			return true, nil
		case !another:
			return r.hold(ctx)
		case reads == 1 && !again && r.clock.Now().Before(r.prompt): // placed again, and not one read
			return r.giveUp(ctx, Unreadable, err)
		default:
			r.last = nil
			return r.giveUp(ctx, PlaceAgain, err)
		}
		now := r.clock.Now()
		r.counts.Reads++
		r.line.read()
		r.seenAt = now
		sum := digest(raw, false)
		if r.last != nil && r.last.sum == sum {
			r.twins.clear()
			return r.hold(ctx)
		}
		r.tell(Reading, nil, 0)

		o := r.o.Identity
		o.Now = now
		checked := identity.Check(card.Parse(raw), o)
		another = another || !r.last.sameCard(checked)
		verified := false
		if r.mustVerify(checked, now) {
			if verified = r.twins.match(digest(raw, r.o.ComparePhoto)); !verified {
				if reads > 1 {
					r.counts.Disagreed++
					r.line.failed(now)
				}
				if reads == maxReads {
					return r.giveUp(ctx, Unreadable, errUnlike)
				}
				continue
			}
		}
		r.twins.clear()
		r.prompt = time.Time{}
		if r.last != nil && r.last.sameCard(checked) {
			// One of the two was damaged before anything spoke against the
			// line. One card placed is one tap all the same.
			r.counts.Disagreed++
			r.line.failed(now)
			return r.hold(ctx)
		}
		r.last = newHandled(sum, checked)
		r.last.offer = &Tap{
			Reader: r.o.Name, FoundAt: foundAt, ReadTime: now.Sub(foundAt),
			Checked: checked, Photo: raw.Photo, Verified: verified, Attempts: carried + reads,
		}
		if err := r.handOn(ctx); err != nil {
			return false, err
		}
		return r.hold(ctx)
	}
}

// errUnlike is why a card is unreadable that answered every time.
var errUnlike = errors.New("no two reads of the card were alike")

// mustVerify reports whether one read is not enough to hand a card on.
func (r *Reader) mustVerify(c identity.Checked, now time.Time) bool {
	switch r.o.Verify {
	case VerifyNever:
		return false
	case VerifyAlways:
		return true
	}
	return c.Suspect() || c.Worst() == identity.Error || r.line.suspect(now) || len(r.twins) > 0
}

// errSwapped says that no card was there for a moment while one was being read:
// what lies there now may be another.
var errSwapped = errors.New("the card was lifted while it was read")

// readWhole makes one whole read. fresh tells that the card was just found;
// otherwise the first try is a bare second read, which needs no other find.
// After failures the card is found anew where the module lets it; where it does
// not, a read that was damaged on the line is repeated bare.
//
// An error that is not lost is final for this card: it is foreign (a driver says
// so only once the module has said it several times), left, refuses a second
// read, was swapped, or fails every time.
func (r *Reader) readWhole(ctx context.Context, fresh bool) (driver.RawCard, error) {
	absent := false
	for failures := 1; ; failures++ {
		raw, err := ask(ctx, r, driver.Device.Read)
		if err == nil || lost(err) || errors.Is(err, driver.ErrNotID) || failures == maxFailures {
			return raw, err
		}
		if err := r.sleep(ctx, failurePause); err != nil {
			return raw, err
		}
		if fresh {
			fresh = false
			continue
		}
		found, findErr := r.look(ctx)
		switch {
		case lost(findErr):
			return raw, findErr
		case found && absent:
			return raw, errSwapped
		case !found && findErr == nil && !damaged(err):
			return raw, err
		}
		fresh, absent = found, absent || !found && findErr == nil
	}
}

// look finds a card where one lay: an empty find is repeated.
func (r *Reader) look(ctx context.Context) (found bool, err error) {
	for range findTries {
		if found, err = r.find(ctx); found || err != nil {
			break
		}
	}
	return found, err
}

// find asks for a card. No card is no error.
func (r *Reader) find(ctx context.Context) (bool, error) {
	found, err := ask(ctx, r, driver.Device.Find)
	if errors.Is(err, driver.ErrNoCard) {
		return false, nil
	}
	return found && err == nil, err
}

// giveUp asks the clerk to act and waits for it.
func (r *Reader) giveUp(ctx context.Context, p Phase, because error) (found bool, err error) {
	r.prompt = r.clock.Now().Add(promptTime)
	retry := time.Duration(0)
	if p == PlaceAgain {
		retry = tryAgain
	}
	r.tell(p, because, retry)
	return r.awaitLift(ctx, retry)
}
