package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"idtap/publisher/event"
	"idtap/publisher/outbox/journal"
)

// Discard takes an undelivered record out, erases its body and stores the given
// cancelled event under its sequence number, so that none is missing
// downstream. A delivered record cannot be taken out: ErrDelivered.
func (q *Queue) Discard(ctx context.Context, id string, cancelled Draft) (Accepted, error) {
	var a Accepted
	err := q.do(ctx, "discard", func(t *tx) error {
		t.recount = true
		e, err := t.entry("WHERE id = ?", id)
		if err != nil {
			return err
		}
		switch e.State {
		case Delivered, Erased:
			return fmt.Errorf("%w: %s", ErrDelivered, id)
		case Discarded:
			return fmt.Errorf("%w: %s is discarded already", ErrNotFound, id)
		}
		if _, err := t.exec("UPDATE journal SET state = 'discarded', settled_at = ? WHERE row = ?", t.now.UnixMilli(), e.Row); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM bodies WHERE row = ?", e.Row); err != nil {
			return err
		}
		if err := t.forgetRepeat(id); err != nil {
			return err
		}
		a.Stamp, err = t.append(cancelled, cancelled.Subject, journal.PlaceTaken, e.Epoch, e.Seq)
		return err
	})
	if err != nil {
		return Accepted{}, err
	}
	return a, nil
}

// DiscardDraft returns the cancelled event for a record that is discarded: about
// that record, on the same places' subject. A record whose body is damaged will do.
func DiscardDraft(r Record, op event.Operator, zone *time.Location) Draft {
	var data struct {
		Test bool       `json:"test"`
		Desk event.Desk `json:"desk"`
	}
	if json.Unmarshal(r.Body, &data) != nil { // no body: what the source says
		data.Desk.ID, data.Desk.Reader, _ = event.ParseSource(r.Source)
	}
	return Draft{
		Type: event.CancelledType, Source: r.Source, Subject: event.SubjectOf(r.Subject, event.CancelledType), Filter: r.Filter, Refers: r.ID, Kind: r.Kind,
		Body: func(s Stamp) ([]byte, error) {
			data.Desk.Epoch, data.Desk.Seq = s.Epoch, s.Seq
			return json.Marshal(event.Cancelled{Refers: r.ID, Test: data.Test, Desk: data.Desk, Operator: op,
				At: event.Time{Time: s.AcceptedAt.In(zone)}, Reason: "discarded"})
		},
	}
}
