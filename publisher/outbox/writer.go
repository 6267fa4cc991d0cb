package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"idtap/publisher/outbox/journal"
)

const (
	maxBatch  = 256             // changes per transaction
	idleAfter = 5 * time.Second // then the write-ahead log is folded back
)

// op is one change on its way through the writer.
type op struct {
	name string
	run  func(*tx) error
	done chan error
}

// tx is the transaction that an op runs in, with what memory has to take over
// once it is committed.
type tx struct {
	q     *Queue
	ctx   context.Context
	now   time.Time
	tail  journal.Tail
	grown int64 // bytes added
	wakes bool  // something new waits for delivery

	added       []waiting // records that wait for delivery
	acked       []Ack
	sent        time.Time // of the last delivery
	quarantined int       // taps more in quarantine
	recount     bool      // more has changed than these

	remember []acceptance
	forget   []string
	numbers  map[string]Stamp // of renumbered records, by id
}

func (t *tx) exec(query string, args ...any) (changed int64, err error) {
	r, err := t.q.file.Conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// do has the writer run a change and returns once it is committed and synced. A
// context that ends first means that nothing was changed: from the moment the
// writer has taken the change its outcome is waited for.
func (q *Queue) do(ctx context.Context, name string, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{name: name, run: run, done: make(chan error, 1)}
	select {
	case q.ops <- o:
		return <-o.done
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closing:
		return ErrClosed
	}
}

// write is the one goroutine that changes the file.
func (q *Queue) write() {
	defer close(q.written)
	every := min(max(q.o.Retain/10, time.Second), 10*time.Minute)
	tick := q.o.Clock.NewTicker(min(idleAfter, every))
	defer tick.Stop()
	var (
		swept time.Time
		sweep = true // more to erase: a little at a time, between changes
		busy  = false
	)
	for {
		now := q.o.Clock.Now()
		q.turned.Store(&now)
		if sweep {
			select {
			case <-q.closing:
				return
			case o := <-q.ops:
				q.commit(q.collect(o))
			default:
				swept = q.o.Clock.Now()
				sweep = q.retain()
			}
			continue
		}
		select {
		case <-q.closing:
			q.rescueIdle()
			q.checkpoint()
			return
		case o := <-q.ops:
			q.commit(q.collect(o))
			busy = true
		case <-tick.Chan():
			age := q.o.Clock.Since(swept)
			sweep = age >= every || age < 0
			q.rescueIdle()
			q.counts.look(q.space.full())
			if !busy {
				q.checkpoint()
			}
			busy = false
		}
	}
}

// Progress returns when the writer last went round, which it does at least every
// idleAfter: one that does not is held up by the disk, or hangs.
func (q *Queue) Progress() time.Time { return *q.turned.Load() }

// collect takes whatever else waits by now into the same transaction: one sync
// for all of it.
func (q *Queue) collect(first *op) []*op {
	batch := []*op{first}
	for len(batch) < maxBatch {
		select {
		case o := <-q.ops:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction; if anything in it fails, each op in
// one of its own, so that none suffers for another.
func (q *Queue) commit(batch []*op) {
	if len(batch) > 1 {
		if stored, err := q.try(batch); stored {
			for _, o := range batch {
				o.done <- err
			}
			return
		}
	}
	for _, o := range batch {
		one := []*op{o}
		_, err := q.try(one)
		if errors.Is(err, journal.ErrMoved) {
			if err = q.rescue(err); err == nil {
				_, err = q.try(one)
			}
		}
		switch {
		case journal.IsFull(err):
			q.checkpoint() // the log's own room may be what is missing
			_, err = q.try(one)
		case journal.IsDamaged(err):
			if err = q.replace(context.Background(), err); err == nil {
				_, err = q.try(one)
			}
		}
		o.done <- q.explain(err)
	}
}

// try runs ops in one transaction and reports whether it was committed.
func (q *Queue) try(batch []*op) (stored bool, err error) {
	if q.file == nil {
		return false, fmt.Errorf("%w, and could not be replaced", ErrDamaged)
	}
	t := &tx{q: q, ctx: context.Background(), now: q.o.Clock.Now(), tail: q.file.Tail}
	if err := t.step(batch, "begin"); err != nil {
		return false, err
	}
	if err := q.checkFiles(t.ctx); err != nil {
		return false, err
	}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	for _, o := range batch {
		if err = o.run(t); err != nil {
			break
		}
	}
	if err == nil {
		err = t.step(batch, "written")
	}
	if err == nil {
		_, err = t.exec("COMMIT")
	}
	if err != nil {
		t.exec("ROLLBACK") // SQLite has done so by itself after a full disk
		return false, err
	}
	q.applyCommit(t)
	if err := t.step(batch, "committed"); err != nil {
		return true, err
	}
	return true, q.rescueIf(q.file.NoteSizes())
}

func (t *tx) step(batch []*op, when string) error {
	for _, o := range batch {
		if err := t.q.fail(o.name + "." + when); err != nil {
			return err
		}
	}
	return nil
}

// applyCommit brings memory up to what was committed.
func (q *Queue) applyCommit(t *tx) {
	q.file.Committed(t.tail)
	q.dirty = true
	q.space.grew(t.grown)
	for _, id := range t.forget {
		q.repeats.drop(id)
	}
	for _, m := range t.remember {
		q.repeats.add(m)
	}
	if t.numbers != nil {
		q.repeats.renumber(t.numbers)
	}
	if t.recount {
		if err := q.counts.recount(t.ctx, q.dir, q.file.Conn); err != nil {
			q.o.Log.Warn().Err(err).Msg("the queue could not be counted")
		}
	} else {
		q.counts.apply(t)
	}
	if t.wakes {
		q.wakeMu.Lock()
		close(q.wake)
		q.wake = make(chan struct{})
		q.wakeMu.Unlock()
	}
}

// explain turns what SQLite says of a full disk into ErrFull.
func (q *Queue) explain(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrFull):
		return err
	case journal.IsFull(err):
		return fmt.Errorf("%w: the disk is full", ErrFull)
	case journal.IsIOError(err) && q.space.full():
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
