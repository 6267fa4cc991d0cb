package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"idtap/publisher/event"
	"idtap/publisher/outbox/journal"
)

// recordOverhead is what a record takes beyond its body: columns, indexes, the
// unused part of its page.
const recordOverhead = 2 << 10

// Accept stores an event and returns once it is synced: only then may the clerk
// see green. ErrFull means that it was not stored and that a later tap may be,
// as soon as there is room. A cancelled event makes the card it refers to new
// again for the repeat rule.
func (q *Queue) Accept(ctx context.Context, d Draft) (Accepted, error) {
	var a Accepted
	err := q.do(ctx, "accept", func(t *tx) (err error) {
		a, err = t.accept(d)
		return err
	})
	if err != nil {
		return Accepted{}, err
	}
	return a, nil
}

func (t *tx) accept(d Draft) (Accepted, error) {
	if earlier, ok := t.repeated(d.Repeat); ok {
		return Accepted{Repeated: true, Earlier: earlier}, t.tally(Tally{Outcome: repeatOutcome, Kind: d.Kind, Codes: d.Codes})
	}
	first, err := t.append(d, d.Subject, journal.PlaceOwn, t.tail.Epoch, t.tail.Next)
	if err != nil {
		return Accepted{}, err
	}
	also := d
	also.Body = func(s Stamp) ([]byte, error) {
		s.CopyOf = first.ID
		return d.Body(s)
	}
	for _, subject := range d.Also {
		if _, err := t.append(also, subject, journal.PlaceFurther, t.tail.Epoch, t.tail.Next); err != nil {
			return Accepted{}, err
		}
	}
	if d.Repeat != "" && t.q.repeats.window > 0 {
		m := acceptance{content: d.Repeat, stamp: first, at: t.now}
		if _, err := t.exec("INSERT INTO repeats (id, epoch, seq, at, sealed) VALUES (?,?,?,?,?)", first.ID, first.Epoch, int64(first.Seq),
			first.AcceptedAt.UnixMilli(), t.q.keys.Seal([]byte(d.Repeat), m.about())); err != nil {
			return Accepted{}, err
		}
		t.remember = append(t.remember, m)
	}
	if d.Type == event.CancelledType {
		if err := t.forgetRepeat(d.Refers); err != nil {
			return Accepted{}, err
		}
	}
	return Accepted{Stamp: first}, nil
}

// append adds one record after the journal's last.
func (t *tx) append(d Draft, subject string, place journal.Place, epoch string, seq uint64) (Stamp, error) {
	id, err := event.NewID()
	if err != nil {
		return Stamp{}, err
	}
	e := journal.Entry{ID: id, Epoch: epoch, Seq: seq, AcceptedAt: t.now.UnixMilli(), Type: d.Type, Source: d.Source, Subject: subject,
		Filter: d.Filter, Refers: d.Refers, Kind: d.Kind, Status: d.Status, Codes: joinCodes(d.Codes), Place: place, State: Waiting}
	body, err := d.Body(stampOf(&e))
	if err != nil {
		return Stamp{}, fmt.Errorf("event body: %w", err)
	}
	size := int64(len(body) + recordOverhead)
	if err := t.q.space.take(t.ctx, t.q.file.Conn, t.grown+size); err != nil {
		return Stamp{}, err
	}
	if err := t.q.file.Append(t.ctx, &t.tail, &e, body); err != nil {
		return Stamp{}, err
	}
	t.grown += size
	t.wakes = true
	stamp := stampOf(&e)
	t.added = append(t.added, waiting{e.Row, e.AcceptedAt})
	return stamp, nil
}

// Tally counts an outcome that is no event. Repeats and quarantined taps are
// counted where they are found.
func (q *Queue) Tally(ctx context.Context, c Tally) error {
	return q.do(ctx, "tally", func(t *tx) error { return t.tally(c) })
}

func (t *tx) tally(c Tally) error {
	if c.At.IsZero() {
		c.At = t.now
	}
	_, err := t.exec("INSERT INTO tallies (at, outcome, kind, codes) VALUES (?,?,?,?)", c.At.UnixMilli(), c.Outcome, c.Kind, joinCodes(c.Codes))
	return err
}

// Outcomes that the queue tallies itself.
const (
	repeatOutcome  = "repeat"
	refusedOutcome = "refused"
)

// Quarantine keeps a tap with error findings, sealed, for the retention time.
// It takes no sequence number.
func (q *Queue) Quarantine(ctx context.Context, z Quarantined) (string, error) {
	if z.ID == "" {
		id, err := event.NewID()
		if err != nil {
			return "", err
		}
		z.ID = id
	}
	err := q.do(ctx, "quarantine", func(t *tx) error {
		if z.At.IsZero() {
			z.At = t.now
		}
		size := int64(len(z.Body) + recordOverhead)
		if err := t.q.space.take(t.ctx, t.q.file.Conn, t.grown+size); err != nil {
			return err
		}
		t.grown += size
		t.quarantined++
		if err := t.tally(Tally{At: z.At, Outcome: refusedOutcome, Kind: z.Kind, Codes: z.Codes}); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO quarantine (id, at, reader, kind, codes, verified, body) VALUES (?,?,?,?,?,?,?)",
			z.ID, z.At.UnixMilli(), z.Reader, z.Kind, joinCodes(z.Codes), z.Verified, t.q.keys.Seal(z.Body, z.clear()))
		return err
	})
	if err != nil {
		return "", err
	}
	return z.ID, nil
}

// Release publishes a quarantined tap as the draft says: it leaves the
// quarantine and enters the journal in one transaction.
func (q *Queue) Release(ctx context.Context, quarantineID string, d Draft) (Accepted, error) {
	var a Accepted
	err := q.do(ctx, "release", func(t *tx) (err error) {
		if err := t.dropQuarantined(quarantineID); err != nil {
			return err
		}
		a, err = t.accept(d)
		return err
	})
	if err != nil {
		return Accepted{}, err
	}
	return a, nil
}

// DropQuarantined erases a quarantined tap.
func (q *Queue) DropQuarantined(ctx context.Context, quarantineID string) error {
	return q.do(ctx, "drop", func(t *tx) error { return t.dropQuarantined(quarantineID) })
}

func (t *tx) dropQuarantined(id string) error {
	n, err := t.exec("DELETE FROM quarantine WHERE id = ?", id)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: quarantined tap %s", ErrNotFound, id)
	}
	t.quarantined -= int(n)
	return err
}

// Audit notes who did what to which record. Nothing personal of a card holder
// may be in it.
func (q *Queue) Audit(ctx context.Context, who, what, id string) error {
	return q.do(ctx, "audit", func(t *tx) error { return t.audit(who, what, id) })
}

func (t *tx) audit(who, what, id string) error { return t.q.file.Audit(t.ctx, t.now, who, what, id) }

// entry reads one line of the journal inside the transaction.
func (t *tx) entry(where string, args ...any) (*journal.Entry, error) {
	e, err := journal.One(t.ctx, t.q.file.Conn, where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %v", ErrNotFound, args)
	}
	return e, err
}
