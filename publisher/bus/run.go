package bus

import (
	"context"
	"time"

	"idtap/publisher/outbox"
)

// A record's mark in the queue costs a sync to disk, as its place in the stream
// does. So what waits is taken in runs: read at once, published one by one, and
// marked together. A tap by itself is a run of one.
//
// A crash may leave a whole run stored and not marked. The queue publishes in its
// own order, so whatever waits before a record that is stored is stored too
// (own); see docs/decisions/marking-behind.md.
const (
	runLength   = 64
	markWithin  = 50 * time.Millisecond // of the first acknowledgement, seen to at each
	flushWithin = time.Second           // bounds the last mark when the bus is stopped
)

// take gives the next record of the run at hand, or marks it and waits for
// another one.
func (f *forwarder) take(ctx context.Context) (outbox.Record, error) {
	if len(f.ahead) == 0 {
		if err := f.flush(ctx); err != nil { // the queue would give the same records again
			return outbox.Record{}, err
		}
		var err error
		if f.ahead, err = f.next(ctx); err != nil {
			return outbox.Record{}, err
		}
	}
	r := f.ahead[0]
	f.ahead = f.ahead[1:]
	return r, nil
}

// mayWait reports whether r's mark may wait for the next record's. Without the
// chain nothing would tell, after a crash, that r is stored; nor for long that a
// record is which was put back by hand (own).
func (f *forwarder) mayWait(r outbox.Record) bool {
	return len(f.ahead) > 0 && f.view.chain && r.Requeued == 0 && f.clock.Since(f.acked[0].At) < markWithin
}

// flush marks what is stored and not marked. If it fails, the chain will find
// the records to be stored.
func (f *forwarder) flush(ctx context.Context) error {
	acks := f.acked
	f.acked = nil
	if len(acks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	return f.mark(ctx, *f.chain, acks...)
}
