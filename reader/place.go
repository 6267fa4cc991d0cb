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

// errUnlike is why a card is unreadable that answered every time.
var errUnlike = errors.New("no two reads of the card were alike")

// placement is one card lying there, from the find that met it.
type placement struct {
	foundAt time.Time
	again   bool // something has lain there since the card before
	absent  bool // a find while it was read met no card: what comes next may be another
	another bool // it is not the card handed on before
	carried int  // whole reads that waited for a twin before it was found
	reads   int  // whole reads of it
}

// place reads the card just found, hands it on and waits until it is lifted.
// again tells that something has lain there since the card before; the answer
// tells that a card was found again by the time that place is done.
func (r *Reader) place(ctx context.Context, again bool) (found bool, err error) {
	p := placement{foundAt: r.clock.Now(), again: again, another: r.last == nil, carried: len(r.twins)}
	if p.another && !again {
		r.tell(Found, nil, 0)
		r.tell(Reading, nil, 0)
	}
	for {
		raw, absent, err := r.readWhole(ctx, p.reads == 0)
		p.absent = p.absent || absent
		if err != nil {
			return r.unread(ctx, p, err)
		}
		p.reads++
		switch r.judge(&p, raw) {
		case fresh:
			if err := r.handOn(ctx); err != nil {
				return false, err
			}
			return r.hold(ctx)
		case handedOn:
			return r.hold(ctx)
		case unlike:
			return r.giveUp(ctx, Unreadable, errUnlike, p.absent)
		}
	}
}

// unread ends a placement after an error that no further try can mend.
func (r *Reader) unread(ctx context.Context, p placement, err error) (found bool, _ error) {
	switch {
	case lost(err):
		return false, err
	case errors.Is(err, driver.ErrNotID):
		r.last = nil
		r.tell(NotID, err, 0)
		return r.awaitLift(ctx, 0, p.absent)
	case errors.Is(err, errSwapped):
		if p.another {
			r.prompt = r.clock.Now().Add(promptTime)
			r.tell(PlaceAgain, err, 0)
		}
		return true, nil
	case !p.another:
		return r.hold(ctx)
	}
	r.last = nil
	if p.reads == 0 && !p.again && r.clock.Now().Before(r.prompt) { // placed again, and not one read
		return r.giveUp(ctx, Unreadable, err, p.absent)
	}
	return r.giveUp(ctx, PlaceAgain, err, p.absent)
}

// verdict is what one more whole read says of a card.
type verdict int

const (
	doubtful verdict = iota // it has to be read again
	fresh                   // it can be handed on: r.last has its tap
	handedOn                // it is the card that was handed on before
	unlike                  // its reads never agree
)

// judge takes a whole read into account.
func (r *Reader) judge(p *placement, raw driver.RawCard) verdict {
	now := r.clock.Now()
	r.counts.Reads++
	r.line.read()
	r.seenAt = now
	sum := digest(raw, false)
	if r.last != nil && r.last.sum == sum {
		r.twins.clear()
		return handedOn
	}
	r.tell(Reading, nil, 0)

	o := r.o.Identity
	o.Now = now
	checked := identity.Check(card.Parse(raw), o)
	same := r.last != nil && r.last.sameCard(checked)
	p.another = p.another || !same
	verified := false
	if r.mustVerify(checked, now) {
		verified = r.twins.match(digest(raw, r.o.ComparePhoto))
		if !verified {
			if p.reads > 1 {
				r.disagree(now)
			}
			if p.reads == maxReads {
				return unlike
			}
			return doubtful
		}
	}
	r.twins.clear()
	r.prompt = time.Time{}
	if same {
		// One of the two was damaged before anything spoke against the line.
		// One card placed is one tap all the same.
		r.disagree(now)
		return handedOn
	}
	r.last = newHandled(sum, checked)
	r.last.offer = &Tap{
		Reader: r.o.Name, FoundAt: p.foundAt, ReadTime: now.Sub(p.foundAt),
		Simulated: r.ident.Simulated, Checked: checked, Photo: raw.Photo, Verified: verified, Attempts: p.carried + p.reads,
	}
	return fresh
}

// disagree notes two reads of one card that differ.
func (r *Reader) disagree(now time.Time) {
	r.counts.Disagreed++
	r.line.failed(now)
}

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

// readWhole makes one whole read. found tells that the card was just found;
// otherwise the first try is a bare second read, which needs no other find.
// After failures the card is found anew where the module lets it; where it does
// not, a read that was damaged on the line is repeated bare.
//
// An error that is not lost is final for this card: it is foreign (a driver says
// so only once the module has said it several times), left, refuses a second
// read, was swapped, or fails every time. absent tells that a find met no card
// after it.
func (r *Reader) readWhole(ctx context.Context, found bool) (raw driver.RawCard, absent bool, err error) {
	for failures := 1; ; failures++ {
		raw, err = ask(ctx, r, driver.Device.Read)
		if err == nil || lost(err) || errors.Is(err, driver.ErrNotID) || failures == maxFailures {
			return raw, absent, err
		}
		if err := r.sleep(ctx, failurePause); err != nil {
			return raw, absent, err
		}
		if found {
			found = false
			continue
		}
		var findErr error
		found, findErr = r.look(ctx)
		switch {
		case lost(findErr):
			return raw, absent, findErr
		case found && absent:
			return raw, absent, errSwapped
		}
		absent = absent || !found && findErr == nil
		if !found && findErr == nil && !damaged(err) {
			return raw, absent, err
		}
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

// giveUp asks the clerk to act and waits for it. absent tells that no card was
// there when it was looked for last.
func (r *Reader) giveUp(ctx context.Context, p Phase, because error, absent bool) (found bool, err error) {
	r.prompt = r.clock.Now().Add(promptTime)
	retry := time.Duration(0)
	if p == PlaceAgain {
		retry = tryAgain
	}
	r.tell(p, because, retry)
	return r.awaitLift(ctx, retry, absent)
}
