package bus

import (
	"idtap/publisher/event"
	"idtap/publisher/outbox"

	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stored is a message of the stream, as far as the chain asks: its headers only.
type stored struct {
	Seq   uint64 // stream sequence; 0: the filter is empty
	ID    string
	MsgID string
	Epoch string
	Desk  uint64 // ce-sequence

	// Stranger marks a message that no desk's queue published: it is no envelope,
	// or brings headers that only a server sets.
	Stranger bool
}

// verdict is what becomes of an event whose compare-and-set did not hold, or
// whose chain is not known yet.
type verdict int

const (
	carryOn  verdict = iota // publish behind last.Seq
	isStored                // the last message is this event: its acknowledgement was lost
	adopt                   // a new queue at a desk that has published before: go on behind it
	foreign                 // somebody else publishes under this desk's id
)

// reconcile decides by the last message on the desk's own filter.
//
// chain is where the queue believes the filter to stand; known says that it has
// published on this filter before, on whichever incarnation of the stream; same
// that chain belongs to the incarnation that last was read from; own that the
// last message's id stands in this queue's journal.
//
//	a stranger's message                    carry on: it is passed over, see resolve
//	nothing stored                          carry on from 0: new, purged or re-created
//	this event                              it was stored
//	at or before our position               carry on: messages were erased, or nothing moved
//	in our journal                          carry on: ours
//	another epoch, we never published here  adopt: a re-imaged desk
//	another epoch                           foreign
//	our epoch, an earlier desk sequence     carry on: ours, from before the journal was begun anew
//	our epoch, this desk sequence or later  foreign: a clone of this desk's image
func reconcile(r outbox.Record, chain outbox.ChainState, known, same, own bool, last stored) verdict {
	switch {
	case last.Seq == 0, last.Stranger:
		return carryOn
	case last.MsgID == messageID(r):
		return isStored
	case known && same && last.Seq <= chain.LastSequence, own:
		return carryOn
	case last.Epoch != r.Epoch && !known:
		return adopt
	case last.Epoch == r.Epoch && last.Desk < r.Seq:
		return carryOn
	}
	return foreign
}

// messageID is the event id; an event that was put back by hand gets another
// one each time, or the duplicate window would swallow it.
func messageID(r outbox.Record) string {
	if r.Requeued == 0 {
		return r.ID
	}
	return r.ID + ".r" + strconv.Itoa(r.Requeued)
}

// lastStored reads the last message on filter, headers only in effect: the body
// is dropped here. Replicas may answer from behind: an answer older than
// atLeast is errBehind.
func lastStored(ctx context.Context, l *link, nc *nats.Conn, stream, filter string, limit time.Duration, atLeast uint64) (stored, error) {
	subject := l.server.api() + ".DIRECT.GET." + stream + "." + filter
	ctx, done := l.expect(ctx, subject, limit)
	defer done()
	m, err := nc.RequestWithContext(ctx, subject, nil)
	if err != nil {
		return stored{}, fmt.Errorf("read back the last event: %w", because(ctx, err))
	}
	last, err := parseStored(m.Header)
	if err != nil {
		return stored{}, fmt.Errorf("read back the last event: %w", err)
	}
	if last.Seq < atLeast {
		return stored{}, errBehind
	}
	return last, nil
}

// parseStored reads the headers of a direct get's answer. The server adds its own
// behind those that the message brought, so the last Nats-Sequence is the true
// one. A message that brings any of them was put there by having a server answer
// to this subject.
func parseStored(h nats.Header) (stored, error) {
	seqs := h[jetstream.SequenceHeader]
	if len(seqs) == 0 {
		if status := h.Get("Status"); status != "404" {
			return stored{}, fmt.Errorf("status %q and no sequence in the answer", status)
		}
		return stored{}, nil
	}
	seq, err := strconv.ParseUint(seqs[len(seqs)-1], 10, 64)
	if err != nil || seq == 0 {
		return stored{}, errors.New("no sequence in the answer")
	}
	s := stored{Seq: seq, ID: h.Get(event.HeaderID), MsgID: h.Get(event.HeaderMsgID), Epoch: h.Get(event.HeaderEpoch)}
	s.Desk, err = strconv.ParseUint(h.Get(event.HeaderSequence), 10, 64)
	s.Stranger = err != nil || s.Desk == 0 || s.ID == "" || s.Epoch == "" || len(h["Status"]) > 0 ||
		len(seqs) > 1 || len(h[jetstream.StreamHeader]) > 1 || len(h[jetstream.SubjectHeader]) > 1
	return s, nil
}

var errBehind = errors.New("a replica answered from behind")

// because gives the cause for which a request's context was ended, if it was.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return cause
	}
	return err
}

// wrongLast takes the filter's true position out of error 10071 ("wrong last
// sequence: 17"); 0 where the text has none.
func wrongLast(e *jetstream.APIError) uint64 {
	_, text, _ := strings.Cut(e.Description, "wrong last sequence: ")
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
