package bus

import (
	"context"
	"time"

	"idtap/publisher/outbox"
)

// A record's mark in the queue costs a sync to disk, as its place in the stream
// does. While one record is on its way to the stream, the one before it is
// marked and the one after it is read: a backlog drains at the stream's pace.
//
// So a crash may leave two records stored and not marked. The queue publishes in
// its own order, so whatever waits before a record that is stored is stored too
// (own); see docs/decisions/marking-behind.md.

// acked is a record that the stream has and the queue does not know of yet.
type acked struct {
	record    outbox.Record
	seq       uint64
	duplicate bool
	chain     outbox.ChainState // behind it
}

const (
	flushWithin = time.Second // bounds the last mark when the bus is stopped
	listAhead   = 32
)

// take gives the record that was read ahead, or waits for one.
func (f *forwarder) take(ctx context.Context) (outbox.Record, error) {
	if r := f.ahead; r != nil {
		f.ahead = nil
		return *r, nil
	}
	if err := f.flush(ctx); err != nil { // the queue would give the same record again
		return outbox.Record{}, err
	}
	return f.next(ctx)
}

// meanwhile marks the record before r and reads the one after it, while r is on
// its way. The function it gives waits for both.
func (f *forwarder) meanwhile(ctx context.Context, r outbox.Record) (join func() error) {
	before := f.acked
	f.acked = nil
	var after *outbox.Record
	done := make(chan error, 1)
	go func() {
		if before != nil {
			if err := f.settle(ctx, before.record, before.seq, before.duplicate, before.chain); err != nil {
				done <- err
				return
			}
		}
		after = f.after(ctx, r)
		done <- nil
	}()
	return func() error {
		err := <-done
		f.ahead = after
		return err
	}
}

// after reads the next waiting record behind r on the same filter, by a list
// that is fetched for many at a time. Nothing but speed hangs on it: nil where
// there is none, or any doubt.
func (f *forwarder) after(ctx context.Context, r outbox.Record) *outbox.Record {
	if len(f.listed) == 0 {
		var err error
		if f.listed, err = f.queue.List(ctx, outbox.ListFilter{State: outbox.Waiting, After: r.Row, Limit: listAhead}); err != nil || len(f.listed) == 0 {
			return nil
		}
	}
	next, err := f.queue.Get(ctx, f.listed[0].ID)
	if err != nil || next.Body == nil || next.Filter != r.Filter || next.Row <= r.Row {
		f.listed = nil
		return nil
	}
	f.listed = f.listed[1:]
	return &next
}

// flush marks what is stored and not marked, and forgets what was read ahead.
// If it fails, the chain will find the record to be stored.
func (f *forwarder) flush(ctx context.Context) error {
	last := f.acked
	f.acked, f.ahead, f.listed = nil, nil, nil
	if last == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	return f.settle(ctx, last.record, last.seq, last.duplicate, last.chain)
}
