package faulttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// Queue is a queue in memory. It is strict: what the forwarder may not do, such
// as deliver a record twice or out of order, makes Err non-nil.
type Queue struct {
	Epoch    string
	Division string
	Desk     string

	mu      sync.Mutex
	records []outbox.Record
	acks    map[int64]outbox.Ack
	dead    map[int64]string
	chains  map[string]outbox.ChainState
	adopted string
	foreign *outbox.Foreign
	next    uint64
	first   int // records before it are settled
	changed chan struct{}
	err     error
	fail    error
}

// NewQueue is an empty queue of a desk.
func NewQueue(epoch, division, desk string) *Queue {
	return &Queue{Epoch: epoch, Division: division, Desk: desk, acks: map[int64]outbox.Ack{}, dead: map[int64]string{},
		chains: map[string]outbox.ChainState{}, changed: make(chan struct{})}
}

// Clone is the queue of a desk whose disk was copied: the same epoch, position
// and records, as a state of its own.
func (q *Queue) Clone() *Queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := NewQueue(q.Epoch, q.Division, q.Desk)
	c.records = append(c.records, q.records...)
	c.next = q.next
	for k, v := range q.acks {
		c.acks[k] = v
	}
	for k, v := range q.chains {
		c.chains[k] = v
	}
	return c
}

// Accept adds n events about people of the given hukou division.
func (q *Queue) Accept(n int, hukou string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range n {
		q.next++
		id, err := event.NewID()
		if err != nil {
			panic(err)
		}
		q.records = append(q.records, outbox.Record{
			Row:     int64(len(q.records) + 1),
			Stamp:   outbox.Stamp{ID: id, Epoch: q.Epoch, Seq: q.next, AcceptedAt: time.Now()},
			Type:    event.RecordedType,
			Source:  event.Source(q.Desk, "front"),
			Subject: event.Subject(event.RecordedType, event.Place{DeskDivision: q.Division, DeskID: q.Desk, HukouDivision: hukou}),
			Filter:  event.Filter(q.Division, q.Desk),
			Body:    fmt.Appendf(nil, `{"hukou":{"division":%q},"desk":{"seq":%d},"pad":"%0512d"}`, hukou, q.next, 0),
		})
	}
	q.tell()
}

// Change alters a waiting record before it is delivered.
func (q *Queue) Change(row int64, change func(*outbox.Record)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(&q.records[row-1])
}

// Requeue puts a delivered record back.
func (q *Queue) Requeue(row int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records[row-1].Requeued++
	delete(q.acks, row)
	q.first = 0
	q.tell()
}

// Unmark forgets that the records from row on were delivered, and takes the
// chain's positions of an earlier state: a crash before they were marked.
func (q *Queue) Unmark(row int64, earlier *Queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for r := range q.acks {
		if r >= row {
			delete(q.acks, r)
		}
	}
	q.chains = earlier.Clone().chains
	q.first = 0
	q.tell()
}

// Forget loses every chain position, as a queue that was begun anew has.
func (q *Queue) Forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.chains)
}

// Fail makes every further call fail with err; nil mends it.
func (q *Queue) Fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail = err
	q.tell()
}

func (q *Queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Next implements bus.Queue.
func (q *Queue) Next(ctx context.Context, n int) ([]outbox.Record, error) {
	for {
		q.mu.Lock()
		if q.fail != nil {
			defer q.mu.Unlock()
			return nil, q.fail
		}
		for q.first < len(q.records) && !q.waits(q.records[q.first]) {
			q.first++
		}
		var run []outbox.Record
		for _, r := range q.records[q.first:] {
			if len(run) == n {
				break
			}
			if q.waits(r) {
				run = append(run, r)
			}
		}
		changed := q.changed
		q.mu.Unlock()
		if len(run) > 0 {
			return run, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// Delivered implements bus.Queue.
func (q *Queue) Delivered(_ context.Context, chain outbox.ChainState, acks ...outbox.Ack) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	if before, ok := q.chains[chain.Filter]; ok && before.StreamCreated.Equal(chain.StreamCreated) && chain.LastSequence < before.LastSequence {
		q.err = fmt.Errorf("the chain went back from %d to %d", before.LastSequence, chain.LastSequence)
	}
	for i, ack := range acks {
		switch r := q.records[ack.Row-1]; {
		case i > 0 && acks[i-1].Row >= ack.Row:
			q.err = fmt.Errorf("row %d is marked behind row %d", ack.Row, acks[i-1].Row)
		case i < len(acks)-1 && r.Requeued > 0:
			q.err = fmt.Errorf("row %d was put back by hand and not marked at once", ack.Row)
		case r.Filter != chain.Filter:
			q.err = fmt.Errorf("row %d is of filter %s, the chain of %s", ack.Row, r.Filter, chain.Filter)
		}
		if _, marked := q.acks[ack.Row]; !marked {
			q.acks[ack.Row] = ack
		}
	}
	q.chains[chain.Filter] = chain
	q.tell()
	return nil
}

// DeadLetter implements bus.Queue.
func (q *Queue) DeadLetter(_ context.Context, row int64, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	q.dead[row] = reason
	q.tell()
	return nil
}

// Chain implements bus.Queue.
func (q *Queue) Chain(_ context.Context, filter string) (outbox.ChainState, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, ok := q.chains[filter]
	return c, ok, q.fail
}

// SetChain implements bus.Queue.
func (q *Queue) SetChain(_ context.Context, c outbox.ChainState) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	q.chains[c.Filter] = c
	return nil
}

// List implements bus.Queue, as far as it is asked: what waits.
func (q *Queue) List(_ context.Context, f outbox.ListFilter) ([]outbox.Listed, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f.State != outbox.Waiting {
		return nil, errors.New("only what waits can be listed")
	}
	var list []outbox.Listed
	for _, r := range q.records[min(int(f.After), len(q.records)):] {
		if !q.waits(r) {
			continue
		}
		list = append(list, outbox.Listed{Row: r.Row, Stamp: r.Stamp, Subject: r.Subject, Filter: r.Filter, State: outbox.Waiting, Requeued: r.Requeued})
		if len(list) == f.Limit {
			break
		}
	}
	return list, q.fail
}

// Get implements bus.Queue.
func (q *Queue) Get(_ context.Context, id string) (outbox.Record, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.records {
		if r.ID == id {
			return r, q.fail
		}
	}
	return outbox.Record{}, outbox.ErrNotFound
}

// SetForeign implements bus.Queue.
func (q *Queue) SetForeign(_ context.Context, f outbox.Foreign) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.foreign = &f
	return q.fail
}

// Adopt implements bus.Queue: a new epoch begins after lastSeq, and what waits is
// numbered again under its id.
func (q *Queue) Adopt(_ context.Context, lastSeq uint64, epoch string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	q.Epoch += "+"
	q.next = lastSeq
	for i := range q.records {
		if r := &q.records[i]; q.waits(*r) && r.Requeued == 0 {
			q.next++
			r.Epoch, r.Seq = q.Epoch, q.next
			if body, err := event.Renumber(r.Body, r.Epoch, r.Seq); err == nil {
				r.Body = body
			}
		}
	}
	q.adopted, q.foreign = fmt.Sprintf("%s/%d", epoch, lastSeq), nil
	q.tell()
	return nil
}

// Stats implements bus.Queue, as far as it is asked.
func (q *Queue) Stats(context.Context) (outbox.Stats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return outbox.Stats{Epoch: q.Epoch, LastSeq: q.next, Waiting: q.left(), Foreign: q.foreign}, q.fail
}

func (q *Queue) waits(r outbox.Record) bool {
	_, acked := q.acks[r.Row]
	_, dead := q.dead[r.Row]
	return !acked && !dead
}

func (q *Queue) left() int { return len(q.records) - len(q.acks) - len(q.dead) }

// Adopted is "epoch/sequence" of the last adoption.
func (q *Queue) Adopted() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.adopted
}

// Drained waits until nothing is waiting.
func (q *Queue) Drained(ctx context.Context) error {
	for {
		q.mu.Lock()
		left, changed, err := q.left(), q.changed, q.err
		q.mu.Unlock()
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d records still wait", left)
		case <-changed:
		}
	}
}

// Acks and Dead are what was settled, by row.
func (q *Queue) Acks() map[int64]outbox.Ack {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := map[int64]outbox.Ack{}
	for k, v := range q.acks {
		c[k] = v
	}
	return c
}

// Dead is the reasons of the dead letters, by row.
func (q *Queue) Dead() map[int64]string {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := map[int64]string{}
	for k, v := range q.dead {
		c[k] = v
	}
	return c
}

// Accepted is every record's stamp, in order.
func (q *Queue) Accepted() []outbox.Stamp {
	q.mu.Lock()
	defer q.mu.Unlock()
	var s []outbox.Stamp
	for _, r := range q.records {
		s = append(s, r.Stamp)
	}
	return s
}
