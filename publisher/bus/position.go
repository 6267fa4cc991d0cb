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
	if c := f.chain; c != nil && c.Filter == r.Filter && c.StreamCreated.Equal(f.view.created) {
		return *c, false, nil
	}
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
	f.chain, f.ahead = nil, nil // what was read ahead may be settled here
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
	seen := last
	if last.Stranger {
		if seen, err = f.behind(ctx, nc, r, last); err != nil {
			return next, false, err
		}
	}
	own, stored, err := f.own(ctx, r, seen, next)
	if err != nil || stored {
		return next, stored, err
	}
	switch reconcile(r, chain, known, same, own, seen) {
	case isStored:
		return next, true, f.mark(ctx, next, f.ack(r.Row, seen.Seq, true))
	case foreign:
		return next, false, f.meet(ctx, nc, r, seen, next)
	case adopt:
		if err := f.settleHidden(ctx, nc, r, next); err != nil {
			return next, false, err
		}
		if err := f.adopt(ctx, seen); err != nil {
			return next, false, err
		}
		settled = true // or numbered again: it is taken from the queue once more
	}
	if err := f.queue.SetChain(ctx, next); err != nil {
		return next, false, &stop{QueueFailed, err}
	}
	return next, settled, nil
}

// behind passes a stranger's message over and returns what stands before it on
// the record's own subject, which the desk's permission covers too: that is the
// record, if it was stored. What hides behind a stranger's message on that very
// subject is left to the duplicate window.
func (f *forwarder) behind(ctx context.Context, nc *nats.Conn, r outbox.Record, last stored) (stored, error) {
	f.log.Warn().Uint64("stream_seq", last.Seq).Msg("a message on this desk's subjects is none of a desk: passed over")
	f.report(func(h *Health) {
		h.strangers = []Problem{{Stranger, fmt.Sprintf("message %d of stream %s, on %s", last.Seq, f.stream, r.Filter)}}
	})
	seen, err := f.last(ctx, nc, r.Subject, 0)
	if err != nil || seen.Stranger {
		return stored{}, err
	}
	return seen, nil
}

func (f *forwarder) last(ctx context.Context, nc *nats.Conn, filter string, atLeast uint64) (stored, error) {
	last, err := lastStored(ctx, f.link, nc, f.stream, filter, f.ackWait, atLeast)
	if err != nil {
		if errors.Is(err, errDenied) || errors.Is(err, nats.ErrNoResponders) {
			f.view.at = time.Time{} // the chain may no longer be possible
		}
		return last, &stop{ChainInterrupted, err}
	}
	return last, nil
}

// own reports whether the last message is in this queue's journal, and whether r
// is therefore stored.
//
// It may be another record than the one at hand: stored and not marked when the
// process died, or overtaken by a requeue after its acknowledgement was lost. All
// that waits before it was published before it and is stored as well, unless it
// was put back by hand since: what was put back is marked before anything else
// is published.
func (f *forwarder) own(ctx context.Context, r outbox.Record, last stored, next outbox.ChainState) (own, settled bool, err error) {
	if last.ID == "" || last.MsgID == messageID(r) {
		return false, false, nil
	}
	mine, err := f.queue.Get(ctx, last.ID)
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		return false, false, nil
	case err != nil:
		return false, false, &stop{QueueFailed, err}
	case messageID(mine) != last.MsgID:
		return true, false, nil // stored before it was put back by hand
	}
	settled, err = f.settleBefore(ctx, r, mine.Row, last.Seq, next)
	return true, settled, err
}

// settleBefore marks what waits up to a row that is stored: it was published
// before it. settled: r is among it.
func (f *forwarder) settleBefore(ctx context.Context, r outbox.Record, upTo int64, seq uint64, next outbox.ChainState) (settled bool, err error) {
	var acks []outbox.Ack
	for row := int64(0); row < upTo; {
		list, err := f.queue.List(ctx, outbox.ListFilter{State: outbox.Waiting, After: row})
		if err != nil {
			return false, &stop{QueueFailed, err}
		}
		if len(list) == 0 {
			break
		}
		for _, l := range list {
			row = l.Row
			if row < upTo && l.Requeued == 0 && l.Filter == r.Filter {
				acks = append(acks, f.ack(row, 0, true))
				settled = settled || row == r.Row
			}
		}
	}
	return settled || upTo == r.Row, f.mark(ctx, next, append(acks, f.ack(upTo, seq, true))...)
}

// settleHidden marks what is stored and not marked, as its acknowledgement was
// lost, although somebody else's event is the last one now: before what waits is
// numbered again. It asks for the last event on each subject that the run at hand
// may have been published on; one that somebody else has published on since hides
// it, and it is stored again then, under its id.
func (f *forwarder) settleHidden(ctx context.Context, nc *nats.Conn, r outbox.Record, next outbox.ChainState) error {
	list, err := f.queue.List(ctx, outbox.ListFilter{State: outbox.Waiting, Limit: runLength})
	if err != nil {
		return &stop{QueueFailed, err}
	}
	rows, asked := map[string]int64{}, map[string]bool{}
	for _, l := range list {
		if l.Requeued == 0 && l.Filter == r.Filter {
			rows[l.ID] = l.Row
		}
	}
	var found stored
	for _, l := range list {
		if rows[l.ID] == 0 || asked[l.Subject] {
			continue
		}
		asked[l.Subject] = true
		last, err := f.last(ctx, nc, l.Subject, 0)
		if err != nil {
			return err
		}
		if rows[last.MsgID] > rows[found.MsgID] {
			found = last
		}
	}
	if row := rows[found.MsgID]; row > 0 {
		_, err = f.settleBefore(ctx, r, row, found.Seq, next)
	}
	return err
}

// meet stops delivery: somebody else publishes under this desk's id. The chain
// moves behind them now, so that once they are adopted delivery goes on there
// and nowhere else; until then the note in the queue holds it, over restarts too.
func (f *forwarder) meet(ctx context.Context, nc *nats.Conn, r outbox.Record, last stored, next outbox.ChainState) error {
	if err := f.queue.SetForeign(ctx, outbox.Foreign{Epoch: last.Epoch, LastSeq: last.Desk}); err != nil {
		return &stop{QueueFailed, err}
	}
	f.stopped = true
	if err := f.settleHidden(ctx, nc, r, next); err != nil {
		return err
	}
	if err := f.queue.SetChain(ctx, next); err != nil {
		return &stop{QueueFailed, err}
	}
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
	if last.Seq > 0 && !last.Stranger {
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
