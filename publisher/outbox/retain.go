package outbox

import (
	"context"
	"database/sql"
	"time"

	"idtap/publisher/outbox/journal"
)

const sweepLimit = 200 // records per transaction, so that a tap never waits for a long sweep

// retain erases what may no longer be kept: bodies of delivered records and
// quarantined taps after the retention time, clear columns after keep_counts.
// It reports whether more is to do. Distances in time count in both directions:
// what bears a date of a clock that ran ahead is not kept until then.
func (q *Queue) retain() (more bool) {
	now := q.o.Clock.Now()
	old := func(d time.Duration) (before, after int64) { return now.Add(-d).UnixMilli(), now.Add(d).UnixMilli() }
	var changed int64
	_, err := q.try([]*op{{name: "retain", run: func(t *tx) error {
		changed = 0
		before, after := old(q.o.Retain)
		const due = " WHERE row IN (SELECT row FROM journal WHERE state = 'delivered' AND NOT settled_at BETWEEN ? AND ? ORDER BY row LIMIT ?)"
		if _, err := t.exec("DELETE FROM bodies"+due, before, after, sweepLimit); err != nil {
			return err
		}
		n, err := t.exec("UPDATE journal SET state = 'erased'"+due, before, after, sweepLimit)
		if err != nil {
			return err
		}
		changed += n
		if n, err = t.exec("DELETE FROM quarantine WHERE NOT at BETWEEN ? AND ?", before, after); err != nil {
			return err
		}
		changed += n
		fresh, ahead := old(q.o.RepeatWindow)
		if n, err = t.exec("DELETE FROM repeats WHERE NOT at BETWEEN ? AND ?", fresh, ahead); err != nil {
			return err
		}
		changed += n
		t.forget = append(t.forget, q.repeats.stale(now)...)
		kept := now.Add(-q.o.KeepCounts).UnixMilli()
		if n, err = t.exec("DELETE FROM tallies WHERE at < ?", kept); err != nil {
			return err
		}
		changed += n
		if n, err = q.file.PruneAudit(t.ctx, now.Add(-q.o.KeepCounts)); err != nil {
			return err
		}
		changed += n
		n, err = t.prune(kept)
		changed += n
		t.recount = changed > 0
		return err
	}}})
	if err != nil {
		q.o.Log.Warn().Err(q.explain(err)).Msg("queue retention failed, will be tried again")
		return false
	}
	if changed >= sweepLimit {
		return true
	}
	if changed > 0 {
		q.file.Shrink(context.Background()) // what fails here is tried at the next sweep
		q.checkpoint()
	}
	return false
}

// prune deletes the oldest lines of the journal that are settled and older than
// kept, and anchors the chain after them. The last line stays: it holds the
// sequence.
func (t *tx) prune(kept int64) (int64, error) {
	var first, stop sql.NullInt64
	err := t.q.file.Conn.QueryRowContext(t.ctx, `SELECT (SELECT min(row) FROM journal), (SELECT row FROM journal
		WHERE state NOT IN ('erased', 'discarded') OR accepted_at >= ? OR row = (SELECT row FROM journal WHERE place <> ? ORDER BY row DESC LIMIT 1)
		ORDER BY row LIMIT 1)`, kept, journal.PlaceTaken).Scan(&first, &stop)
	if err != nil || !stop.Valid || stop.Int64 <= first.Int64 {
		return 0, err
	}
	stop.Int64 = min(stop.Int64, first.Int64+sweepLimit)
	var hash []byte
	var row int64
	if err := t.q.file.Conn.QueryRowContext(t.ctx, "SELECT row, hash FROM journal WHERE row < ? ORDER BY row DESC LIMIT 1", stop.Int64).Scan(&row, &hash); err != nil {
		return 0, err
	}
	if err := journal.SetAnchor(t.ctx, t.q.file.Conn, row, hash); err != nil {
		return 0, err
	}
	return t.exec("DELETE FROM journal WHERE row < ?", stop.Int64)
}

// checkpoint folds the write-ahead log back into the file and empties it: bodies
// that were erased stay in it otherwise, and a damaged place in a long log takes
// everything after it along. A reader that is in the way is not waited for; the
// next tick tries again.
func (q *Queue) checkpoint() {
	if !q.dirty || q.file == nil {
		return
	}
	err := func() error {
		ctx := context.Background()
		if err := q.fail("checkpoint.begin"); err != nil {
			return err
		}
		done, err := q.file.Checkpoint(ctx)
		if err != nil {
			return err
		}
		q.dirty = !done
		return q.space.measure(ctx, q.file.Conn)
	}()
	if err != nil {
		q.o.Log.Warn().Err(q.explain(err)).Msg("queue checkpoint failed, will be tried again")
	}
}
