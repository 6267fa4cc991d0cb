package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"idtap/publisher/outbox"
)

// position is where the chain of the record's filter stands. Where the queue
// does not know it for this incarnation of the stream, it is read from there;
// settled: the record turned out to be stored already.
func (f *forwarder) position(ctx context.Context, nc *nats.Conn, r outbox.Record) (chain outbox.ChainState, settled bool, err error) {
	chain, known, err := f.queue.Chain(ctx, r.Filter)
	if err != nil {
		return chain, false, &stop{QueueFailed, err}
	}
	if known && chain.StreamCreated.Equal(f.view.created) {
		return chain, false, nil
	}
	return f.resolve(ctx, nc, r, 0)
}

// resolve reads the last message on the record's filter and takes the chain's
// position from it.
func (f *forwarder) resolve(ctx context.Context, nc *nats.Conn, r outbox.Record, atLeast uint64) (next outbox.ChainState, settled bool, err error) {
	chain, known, err := f.queue.Chain(ctx, r.Filter)
	if err != nil {
		return next, false, &stop{QueueFailed, err}
	}
	last, err := f.last(ctx, nc, r.Filter, atLeast)
	if err != nil {
		return next, false, err
	}
	same := chain.StreamCreated.Equal(f.view.created)
	next = outbox.ChainState{Filter: r.Filter, StreamCreated: f.view.created, LastSequence: last.Seq}
	own, err := f.own(ctx, last, next)
	if err != nil {
		return next, false, err
	}
	switch reconcile(r, chain, known, same, own, last) {
	case isStored:
		return next, true, f.settle(ctx, r, last.Seq, true, next)
	case foreign:
		return next, false, f.meet(ctx, last, next)
	case adopt:
		if err := f.adopt(ctx, last); err != nil {
			return next, false, err
		}
	}
	if err := f.queue.SetChain(ctx, next); err != nil {
		return next, false, &stop{QueueFailed, err}
	}
	return next, false, nil
}

func (f *forwarder) last(ctx context.Context, nc *nats.Conn, filter string, atLeast uint64) (stored, error) {
	last, err := lastStored(ctx, f.link, nc, f.stream, filter, f.ackWait, atLeast)
	if err != nil {
		if errors.Is(err, errDenied) || errors.Is(err, nats.ErrNoResponders) {
			f.view.at = time.Time{} // the chain may no longer be possible
		}
		return last, &stop{chainInterrupted, err}
	}
	return last, nil
}

// own reports whether the last message is in this queue's journal. It may be
// another record than the one at hand, put behind that by a requeue after its
// acknowledgement was lost: then it is settled here, or it would be stored again.
func (f *forwarder) own(ctx context.Context, last stored, next outbox.ChainState) (bool, error) {
	if last.ID == "" {
		return false, nil
	}
	mine, err := f.queue.Get(ctx, last.ID)
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		return false, nil
	case err != nil:
		return false, &stop{QueueFailed, err}
	case messageID(mine) != last.MsgID:
		return true, nil // stored before it was put back by hand
	}
	return true, f.mark(ctx, mine, last.Seq, true, next)
}

// meet stops delivery: somebody else publishes under this desk's id. The chain
// moves behind them now, so that once they are adopted delivery goes on there
// and nowhere else; until then the note in the queue holds it, over restarts too.
func (f *forwarder) meet(ctx context.Context, last stored, next outbox.ChainState) error {
	if err := f.queue.SetForeign(ctx, outbox.Foreign{Epoch: last.Epoch, LastSeq: last.Desk}); err != nil {
		return &stop{QueueFailed, err}
	}
	if err := f.queue.SetChain(ctx, next); err != nil {
		return &stop{QueueFailed, err}
	}
	f.stopped = true
	return inUse(outbox.Foreign{Epoch: last.Epoch, LastSeq: last.Desk})
}

func inUse(f outbox.Foreign) error {
	return &stop{DeskIDInUse, fmt.Errorf("epoch %s has stored desk sequence %d on this desk's subjects", f.Epoch, f.LastSeq)}
}

// adopted is nil unless the queue holds a note of somebody else's events.
func (f *forwarder) adopted(ctx context.Context) error {
	if !f.stopped {
		return nil
	}
	s, err := f.queue.Stats(ctx)
	switch {
	case err != nil:
		return &stop{QueueFailed, err}
	case s.Foreign != nil:
		return inUse(*s.Foreign)
	}
	f.stopped = false
	return nil
}

func (f *forwarder) adopt(ctx context.Context, last stored) error {
	f.log.Warn().Str("epoch", last.Epoch).Uint64("desk_seq", last.Desk).Msg("going on behind what an earlier queue of this desk has stored")
	if err := f.queue.Adopt(ctx, last.Desk, last.Epoch); err != nil {
		return &stop{QueueFailed, err}
	}
	return nil
}

// introduce takes up the chain of a queue that has not published here yet and
// holds nothing, before its first record: a re-imaged desk's numbers then go on
// behind the old ones. With something waiting, resolve decides.
func (f *forwarder) introduce(ctx context.Context, nc *nats.Conn) error {
	if !f.view.chain {
		return nil
	}
	_, known, err := f.queue.Chain(ctx, f.want.Subject)
	if err != nil {
		return &stop{QueueFailed, err}
	} else if known {
		return nil
	}
	s, err := f.queue.Stats(ctx)
	if err != nil {
		return &stop{QueueFailed, err}
	} else if s.Waiting > 0 {
		return nil
	}
	last, err := f.last(ctx, nc, f.want.Subject, 0)
	if err != nil {
		return err
	}
	if last.Seq > 0 && last.Epoch == s.Epoch {
		return nil // our own: resolve knows more with a record at hand
	}
	if last.Seq > 0 {
		if err := f.adopt(ctx, last); err != nil {
			return err
		}
	}
	next := outbox.ChainState{Filter: f.want.Subject, StreamCreated: f.view.created, LastSequence: last.Seq}
	if err := f.queue.SetChain(ctx, next); err != nil {
		return &stop{QueueFailed, err}
	}
	return nil
}
