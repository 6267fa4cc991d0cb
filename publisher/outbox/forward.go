package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"idtap/publisher/event"
	"idtap/publisher/outbox/journal"
)

// Next returns the oldest records that wait for delivery, n at most, with their
// bodies, and blocks until there is one. Records of an earlier desk id come first
// by their order. One whose seal is broken is made a dead letter and passed
// over: what it said cannot be known, and nothing else may wait for it.
func (q *Queue) Next(ctx context.Context, n int) ([]Record, error) {
	for {
		q.wakeMu.Lock()
		wake := q.wake
		q.wakeMu.Unlock()
		list, err := q.oldest(ctx, n)
		if err != nil || len(list) > 0 {
			return list, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-q.closing:
			return nil, ErrClosed
		}
	}
}

// oldest returns what waits and is whole, up to the first record that is not; that
// one is put aside once it is the first.
func (q *Queue) oldest(ctx context.Context, n int) ([]Record, error) {
	for {
		var list []Record
		var hurt *journal.Entry
		err := q.read(ctx, func(db *sql.DB) error {
			list, hurt = nil, nil
			return journal.Each(ctx, db, func(e *journal.Entry) error {
				body, err := e.Open(q.keys)
				if err == nil && body == nil {
					err = fmt.Errorf("%w: its body is missing", ErrDamaged)
				}
				if err != nil {
					hurt = e
					return err
				}
				list = append(list, recordOf(e, body))
				return nil
			}, "WHERE state = 'waiting' ORDER BY row LIMIT ?", n)
		})
		switch {
		case err == nil || len(list) > 0:
			return list, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case q.ended():
			return nil, ErrClosed
		case hurt != nil && errors.Is(err, ErrDamaged):
			q.o.Log.Error().Str("id", hurt.ID).Str("epoch", hurt.Epoch).Uint64("seq", hurt.Seq).Msg("a record in the queue is damaged and cannot be published")
			err = q.DeadLetter(ctx, hurt.Row, "damaged")
		}
		if err != nil {
			return nil, err
		}
	}
}

func (q *Queue) ended() bool {
	select {
	case <-q.closing:
		return true
	default:
		return false
	}
}

// recoverFor has the writer recover the damaged file that a reader met.
func (q *Queue) recoverFor(ctx context.Context, cause error) error {
	told := false
	return q.do(ctx, "recover", func(*tx) error {
		if told {
			return nil
		}
		told = true
		return cause
	})
}

const deliveredUpdate = `UPDATE journal SET state = 'delivered', settled_at = ?, stream = ?, stream_seq = ?, duplicate = ?, local = ?, reason = NULL
	WHERE row = ? AND state IN ('waiting', 'dead')`

// Delivered marks records of one filter as stored by a stream, and stores where
// the filter's chain is after the last of them (a zero chain: none is
// kept): all of it in one transaction. A record that is marked already stays as
// it is.
func (q *Queue) Delivered(ctx context.Context, chain ChainState, acks ...Ack) error {
	return q.do(ctx, "delivered", func(t *tx) error {
		at := t.now
		for _, ack := range acks {
			r, err := t.q.delivered.ExecContext(t.ctx, t.now.UnixMilli(), ack.Stream, int64(ack.Sequence), ack.Duplicate, ack.Local, ack.Row)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil {
				return err
			} else if n == 0 {
				if _, err := t.entry("WHERE row = ?", ack.Row); err != nil {
					return err
				}
			}
			if !ack.At.IsZero() {
				at = ack.At
			}
		}
		if err := journal.SetMeta(t.ctx, t.q.file.Conn, journal.MetaSent, fmt.Sprint(at.UnixMilli())); err != nil {
			return err
		}
		t.acked, t.sent = append(t.acked, acks...), journal.FromMillis(at.UnixMilli())
		return t.setChain(chain)
	})
}

// SetChain stores where a chain is, e.g. after reading it back from the
// stream.
func (q *Queue) SetChain(ctx context.Context, c ChainState) error {
	return q.do(ctx, "chain", func(t *tx) error { return t.setChain(c) })
}

func (t *tx) setChain(c ChainState) error {
	if c.Filter == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO chains (filter, stream_created, last_sequence) VALUES (?,?,?)
		ON CONFLICT DO UPDATE SET stream_created = excluded.stream_created, last_sequence = excluded.last_sequence`,
		c.Filter, c.StreamCreated.UnixNano(), int64(c.LastSequence))
	return err
}

// DeadLetter puts aside a record that no stream will take, e.g. one too large.
// It stays, sealed and listed, until it is put back (Requeue) or taken out
// (Discard).
func (q *Queue) DeadLetter(ctx context.Context, row int64, reason string) error {
	return q.do(ctx, "dead", func(t *tx) error {
		t.recount = true
		n, err := t.exec("UPDATE journal SET state = 'dead', reason = ? WHERE row = ? AND state = 'waiting'", reason, row)
		if err == nil && n == 0 {
			return fmt.Errorf("%w: waiting row %d", ErrNotFound, row)
		}
		return err
	})
}

// Requeue has delivered records and dead letters of the current epoch published
// again under their old ids: the one way to store an event twice. Erased ones
// cannot be. It returns how many there are.
func (q *Queue) Requeue(ctx context.Context, from, to uint64) (int, error) {
	var n int64
	err := q.do(ctx, "requeue", func(t *tx) (err error) {
		t.recount = true
		n, err = t.exec(`UPDATE journal SET state = 'waiting', requeued = requeued + 1, reason = NULL
			WHERE epoch = ? AND seq BETWEEN ? AND ? AND state IN ('delivered', 'dead') AND reason IS NOT 'damaged'`,
			t.tail.Epoch, int64(from), int64(to))
		t.wakes = n > 0
		return err
	})
	return int(n), err
}

// SetForeign notes the epoch and last sequence number of events on this desk's
// filter that are not this queue's; they stay noted until Adopt. The forwarder
// stops there.
func (q *Queue) SetForeign(ctx context.Context, f Foreign) error {
	return q.do(ctx, "foreign", func(t *tx) error {
		t.recount = true
		return journal.SetMeta(t.ctx, t.q.file.Conn, journal.MetaForeign, fmt.Sprintf("%s %d", f.Epoch, f.LastSeq))
	})
}

// Adopt makes this queue the successor of whoever published the stream's last
// message of this desk: the note of foreign events goes, and a new epoch begins
// after lastSeq, whatever either of them has counted. Which numbers were given
// since a disk was copied or put back cannot be known, and none may be given
// twice. What waits gets numbers of the new epoch and keeps its id.
func (q *Queue) Adopt(ctx context.Context, lastSeq uint64, epoch string) error {
	q.o.Log.Warn().Str("after_epoch", epoch).Uint64("after_seq", lastSeq).Msg("a new epoch begins; what waits is numbered again")
	return q.do(ctx, "adopt", func(t *tx) error {
		t.recount = true
		conn := t.q.file.Conn
		if err := journal.BeginEpoch(t.ctx, conn, lastSeq+1, t.tail.Row+1, t.now); err != nil {
			return err
		}
		var err error
		if t.tail.Epoch, t.tail.Next, err = journal.CurrentEpoch(t.ctx, conn); err != nil {
			return err
		}
		renumber := func(e *journal.Entry, body []byte) ([]byte, error) { return event.Renumber(body, e.Epoch, e.Seq) }
		if err := t.q.file.Renumber(t.ctx, &t.tail, renumber, t.renumbered); err != nil {
			return err
		}
		for id, s := range t.numbers {
			if _, err := t.exec("UPDATE repeats SET epoch = ?, seq = ? WHERE id = ?", s.Epoch, int64(s.Seq), id); err != nil {
				return err
			}
		}
		t.wakes = true
		_, err = t.exec("DELETE FROM meta WHERE name = ?", journal.MetaForeign)
		return err
	})
}

func (t *tx) renumbered(e *journal.Entry) {
	if t.numbers == nil {
		t.numbers = map[string]Stamp{}
	}
	t.numbers[e.ID] = stampOf(e)
}
