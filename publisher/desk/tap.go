package desk

import (
	"errors"
	"time"

	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// released is what becomes of a quarantined tap that a clerk compared with the
// card; other decisions have the names of their events' tokens.
const released = "released"

// tap is a tap on the board. It is never changed: a change makes a copy, so
// that a subscriber may still be encoding the old one.
type tap struct {
	id          string
	outcome     publisher.Outcome
	reader      string
	at          time.Time
	found       time.Time // when the card was found
	earlier     time.Time
	seq         uint64
	kind        string
	status      string
	findings    []event.Finding
	quarantined bool
	look        bool   // a clerk should compare it with the card
	label       string // the masked name, kept in the to-do list until it is settled
	decided     string // confirmed, corrected, cancelled or released
	problem     string
	given       []string // origins that its data went to

	// Personal data, gone after clear_after. Nil or empty since.
	person *event.Registration
	photo  []byte
}

func newTap(t publisher.Tapped) *tap {
	data := t.Data
	return &tap{
		id: t.ID, outcome: t.Outcome, reader: t.Reader, at: t.At, found: data.Timing.FoundAt.Time, earlier: t.Earlier, seq: t.Seq,
		kind: data.Document.Kind, status: data.Quality.Status, findings: data.Quality.Findings,
		quarantined: t.Quarantined, look: needsLook(t), label: data.Person.Label(),
		problem: problemOf(t.Err), person: &data, photo: t.Photo,
	}
}

// impersonal is the tap without its personal fields. The masked name stays
// where a clerk must still find the person's card.
func (t *tap) impersonal() *tap {
	c := *t
	c.person, c.photo = nil, nil
	if !c.open() {
		c.label = ""
	}
	return &c
}

// settled is the tap once a clerk has decided.
func (t *tap) settled(decision string) *tap {
	c := *t
	c.decided = decision
	return &c
}

// is reports whether the tap is the one with an id. A repeat has the id of the
// record that it repeats.
func (t *tap) is(id string) bool { return t.id == id && id != "" && t.outcome != publisher.Repeat }

// taken reports whether the queue settled the tap.
func (t *tap) taken() bool { return t.outcome != publisher.Full && t.outcome != publisher.Failed }

// open reports whether the tap waits for a clerk.
func (t *tap) open() bool { return t.look && t.decided == "" }

// problemOf names why the queue did not take a tap; error texts stay in the log.
func problemOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, outbox.ErrFull):
		return "queue_full"
	case errors.Is(err, outbox.ErrDamaged):
		return "queue_damaged"
	}
	return "queue_failed"
}
