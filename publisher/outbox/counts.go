package outbox

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"idtap/publisher/outbox/journal"
)

// counts is the queue's state in memory: what the page, metrics and the forwarder
// ask for all the time costs no look at the file. It is read from the file at the
// start and after changes that are rare; accepting, delivering and tallying keep
// it up to date by themselves.
type counts struct {
	mu      sync.Mutex
	stats   Stats
	asides  []string       // damaged queues that were set aside, as long as they lie there
	waiting []waiting      // by row
	dead    map[int64]bool // rows
	shown   shown          // the rest of what is shown, as of the last change
	failed  error          // the file is damaged and could not be replaced
	changed chan struct{}  // closed and replaced with each change
}

// shown is what changes without a change of the queue.
type shown struct {
	full  bool
	fault string
}

type waiting struct {
	row int64
	at  int64 // accepted, Unix milliseconds
}

// recount reads everything from the file.
func (c *counts) recount(ctx context.Context, dir string, conn journal.Querier) error {
	s := Stats{Dir: dir}
	if err := readStats(ctx, conn, &s); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, "SELECT row, accepted_at, state FROM journal WHERE state IN ('waiting', 'dead') ORDER BY row")
	if err != nil {
		return err
	}
	defer rows.Close()
	var list []waiting
	dead := map[int64]bool{}
	for rows.Next() {
		var w waiting
		var state State
		if err := rows.Scan(&w.row, &w.at, (*string)(&state)); err != nil {
			return err
		}
		if state == Dead {
			dead[w.row] = true
		} else {
			list = append(list, w)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	asides := journal.Asides(dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats, c.waiting, c.dead, c.asides, c.failed = s, list, dead, asides, nil
	c.notify()
	return nil
}

// apply takes over what a transaction changed.
func (c *counts) apply(t *tx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, t.added...)
	for _, ack := range t.acked {
		c.settled(ack.Row, ack.Local)
	}
	if !t.sent.IsZero() {
		c.stats.LastDelivered = t.sent
	}
	c.stats.Epoch, c.stats.LastSeq = t.tail.Epoch, t.tail.Next-1
	c.stats.Quarantined += t.quarantined
	if len(t.added)+len(t.acked)+t.quarantined != 0 {
		c.notify()
	}
}

// look notices what changes without a change of the queue.
func (c *counts) look(full bool) {
	s := c.snapshot()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := (shown{full, s.Fault}); now != c.shown {
		c.shown = now
		c.notify()
	}
}

func (c *counts) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	c.notify()
}

// settled counts a record as delivered; one that was marked before is not counted
// twice.
func (c *counts) settled(row int64, local bool) {
	i, found := slices.BinarySearchFunc(c.waiting, row, func(w waiting, row int64) int { return cmp.Compare(w.row, row) })
	switch {
	case found && i == 0:
		c.waiting = c.waiting[1:]
	case found:
		c.waiting = slices.Delete(c.waiting, i, i+1)
	case c.dead[row]:
		delete(c.dead, row)
	default:
		return
	}
	c.stats.Delivered++
	if local {
		c.stats.Local++
	}
}

// notify wakes whoever waits for a change; mu is held.
func (c *counts) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change of Stats. What only
// the disk tells (Full, Fault) is noticed within seconds.
func (q *Queue) Changed() <-chan struct{} {
	q.counts.mu.Lock()
	defer q.counts.mu.Unlock()
	return q.counts.changed
}

// Stats returns the queue's state, from memory.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	if err := ctx.Err(); err != nil {
		return Stats{}, err
	}
	if q.ended() {
		return Stats{}, ErrClosed
	}
	q.counts.mu.Lock()
	failed := q.counts.failed
	q.counts.mu.Unlock()
	if failed != nil {
		return Stats{}, failed
	}
	s := q.counts.snapshot()
	s.MaxBytes, s.Full, s.Bytes = q.o.MaxBytes, q.space.full(), journal.DiskBytes(q.dir)
	if free, err := journal.FreeBytes(q.dir); err == nil {
		s.FreeBytes = free
	}
	return s, nil
}

func (c *counts) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Waiting, s.Dead, s.Oldest = len(c.waiting), len(c.dead), time.Time{}
	if len(c.waiting) > 0 {
		s.Oldest = journal.FromMillis(c.waiting[0].at)
	}
	if s.Foreign != nil {
		f := *s.Foreign
		s.Foreign = &f
	}
	c.asides = slices.DeleteFunc(c.asides, func(path string) bool {
		_, err := os.Stat(path)
		_, logErr := os.Stat(path + "-wal")
		return err != nil && logErr != nil
	})
	s.Fault = ""
	if n := len(c.asides); n > 0 {
		s.Fault = c.asides[n-1]
	}
	return s
}
