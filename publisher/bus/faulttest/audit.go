package faulttest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/event"
)

// Stored is one message of a stream, by its headers.
type Stored struct {
	Sequence uint64
	Subject  string
	ID       string // ce-id
	MsgID    string
	Epoch    string
	Seq      uint64 // ce-sequence
	Requeued string
	Time     time.Time
	Header   nats.Header
	Data     []byte
}

// ReadStream reads everything that a stream holds, oldest first, by an ordered
// consumer.
func ReadStream(ctx context.Context, js jetstream.JetStream, name string) ([]Stored, error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	left := s.CachedInfo().State.Msgs
	all := make([]Stored, 0, left)
	if left == 0 {
		return all, nil
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	it, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for uint64(len(all)) < left {
		m, err := it.Next()
		if err != nil {
			return nil, fmt.Errorf("read stream: %d of %d: %w", len(all), left, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		h := nats.Header(m.Headers())
		seq, _ := strconv.ParseUint(h.Get(event.HeaderSequence), 10, 64)
		all = append(all, Stored{Sequence: meta.Sequence.Stream, Subject: m.Subject(), ID: h.Get(event.HeaderID),
			MsgID: h.Get(event.HeaderMsgID), Epoch: h.Get(event.HeaderEpoch), Seq: seq,
			Requeued: h.Get(event.HeaderRequeued), Time: meta.Timestamp, Header: h, Data: m.Data()})
	}
	return all, nil
}

// Tally is what an audit counts: the promises of docs/delivery.md.
type Tally struct {
	Accepted int
	Stored   int
	Lost     int // accepted, not stored
	Doubled  int // stored more often than once
	Strange  int // stored, never accepted
	Gaps     int // desk sequences missing within an epoch
}

// OK reports whether every promise was kept.
func (t Tally) OK() bool { return t.Lost+t.Doubled+t.Strange+t.Gaps == 0 }

func (t Tally) String() string {
	return fmt.Sprintf("accepted %d, stored %d, lost %d, doubled %d, strange %d, gaps %d",
		t.Accepted, t.Stored, t.Lost, t.Doubled, t.Strange, t.Gaps)
}

// Audit holds what was accepted, by id, against what is stored.
func Audit(accepted map[string]bool, stored []Stored) Tally {
	t := Tally{Accepted: len(accepted), Stored: len(stored)}
	times := map[string]int{}
	before, highest, distinct := map[string]uint64{}, map[string]uint64{}, map[string]map[uint64]bool{} // by epoch
	last := map[string]uint64{}                                                                         // by desk
	for _, m := range stored {
		times[m.ID]++
		// An epoch begins with 1, or after the desk's last event if that was adopted.
		desk, _, _ := strings.Cut(strings.TrimPrefix(m.Header.Get("ce-source"), "/idtap/"), "/")
		if distinct[m.Epoch] == nil && m.Seq == last[desk]+1 {
			before[m.Epoch] = last[desk]
		}
		last[desk] = m.Seq
		if !accepted[m.ID] {
			t.Strange++
		}
		if distinct[m.Epoch] == nil {
			distinct[m.Epoch] = map[uint64]bool{}
		}
		distinct[m.Epoch][m.Seq] = true
		highest[m.Epoch] = max(highest[m.Epoch], m.Seq)
	}
	for id := range accepted {
		switch n := times[id]; {
		case n == 0:
			t.Lost++
		case n > 1:
			t.Doubled += n - 1
		}
	}
	for epoch, top := range highest {
		t.Gaps += int(top-before[epoch]) - len(distinct[epoch])
	}
	return t
}
