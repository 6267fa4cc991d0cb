package outbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"idtap/publisher/event"
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
		return Accepted{Repeated: true, Earlier: earlier}, nil
	}
	first, err := t.append(d, d.Subject, placeOwn, t.tip.epoch, t.tip.next)
	if err != nil {
		return Accepted{}, err
	}
	for _, subject := range d.Also {
		if _, err := t.append(d, subject, placeFurther, t.tip.epoch, t.tip.next); err != nil {
			return Accepted{}, err
		}
	}
	if d.Repeat != "" && t.q.repeats.window > 0 {
		m := memory{content: d.Repeat, stamp: first, at: t.now}
		if _, err := t.exec("INSERT INTO repeats (id, epoch, seq, at, sealed) VALUES (?,?,?,?,?)", first.ID, first.Epoch, int64(first.Seq),
			first.AcceptedAt.UnixMilli(), t.q.keys.seal([]byte(d.Repeat), m.about())); err != nil {
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

// append adds one record behind the journal's last.
func (t *tx) append(d Draft, subject string, place int64, epoch string, seq uint64) (Stamp, error) {
	id, err := event.NewID()
	if err != nil {
		return Stamp{}, err
	}
	e := entry{row: t.tip.row + 1, id: id, epoch: epoch, seq: seq, acceptedAt: t.now.UnixMilli(), typ: d.Type, source: d.Source, subject: subject,
		filter: d.Filter, refers: d.Refers, kind: d.Kind, status: d.Status, codes: joinCodes(d.Codes), place: place, state: Waiting}
	body, err := d.Body(e.stamp())
	if err != nil {
		return Stamp{}, fmt.Errorf("event body: %w", err)
	}
	size := int64(len(body) + recordOverhead)
	if err := t.q.room.take(t.ctx, t.q.conn, t.grown+size); err != nil {
		return Stamp{}, err
	}
	e.body = t.q.keys.seal(body, e.clear())
	sum := sha256.Sum256(e.body)
	e.sum = sum[:]
	e.hash = e.link(t.tip.hash)
	if _, err := t.q.prepared.entry.ExecContext(t.ctx, e.values()...); err != nil {
		return Stamp{}, err
	}
	if _, err := t.q.prepared.body.ExecContext(t.ctx, e.row, e.body); err != nil {
		return Stamp{}, err
	}
	t.tip.row, t.tip.hash = e.row, e.hash
	if place != placeTaken {
		t.tip.next = seq + 1
	}
	t.grown += size
	t.wakes = true
	return e.stamp(), nil
}

// Tally counts an outcome that is no event.
func (q *Queue) Tally(ctx context.Context, c Tally) error {
	return q.do(ctx, "tally", func(t *tx) error {
		at := c.At
		if at.IsZero() {
			at = t.now
		}
		_, err := t.exec("INSERT INTO tallies (at, outcome, kind, codes) VALUES (?,?,?,?)", at.UnixMilli(), c.Outcome, c.Kind, joinCodes(c.Codes))
		return err
	})
}

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
		if err := t.q.room.take(t.ctx, t.q.conn, t.grown+size); err != nil {
			return err
		}
		t.grown += size
		_, err := t.exec("INSERT INTO quarantine (id, at, reader, kind, codes, verified, body) VALUES (?,?,?,?,?,?,?)",
			z.ID, z.At.UnixMilli(), z.Reader, z.Kind, joinCodes(z.Codes), z.Verified, t.q.keys.seal(z.Body, z.clear()))
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
	return err
}

// Audit notes who did what to which record. Nothing personal of a card holder
// may stand in it.
func (q *Queue) Audit(ctx context.Context, who, what, id string) error {
	return q.do(ctx, "audit", func(t *tx) error { return t.audit(who, what, id) })
}

func (t *tx) audit(who, what, id string) error {
	_, err := t.exec("INSERT INTO audit (at, who, what, id) VALUES (?,?,?,?)", t.now.UnixMilli(), who, what, id)
	return err
}

// entry reads one line of the journal inside the transaction.
func (t *tx) entry(where string, args ...any) (*entry, error) {
	e := new(entry)
	err := e.scan(t.q.conn.QueryRowContext(t.ctx, entrySelect+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %v", ErrNotFound, args)
	}
	return e, err
}
