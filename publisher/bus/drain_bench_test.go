package bus

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// BenchmarkDrain drains a backlog from a real queue into a fresh stream on one
// server (synced before each acknowledgement) and publishes as many messages of
// the same size and headers bare and one by one into another fresh one. Design
// section 12: the drain's rate over the bare rate is to be 0.8.
func BenchmarkDrain(b *testing.B) {
	const backlog = 3000
	q, err := outbox.Open(b.Context(), outbox.Options{Dir: filepath.Join(b.TempDir(), "desk"), Log: zerolog.New(io.Discard)})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	var bare, drain time.Duration
	n := 0
	for b.Loop() {
		for range backlog {
			if _, err := q.Accept(b.Context(), benchDraft()); err != nil {
				b.Fatal(err)
			}
		}
		drain += drainInto(b, freshStream(b), q, backlog)
		bare += publishInto(b, freshStream(b), backlog)
		n += backlog
	}
	b.ReportMetric(float64(n)/drain.Seconds(), "drained/s")
	b.ReportMetric(float64(n)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/drain.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

func benchDraft() outbox.Draft {
	return outbox.Draft{
		Type: event.RecordedType, Source: event.Source("d1", "front"), Kind: "resident", Status: "clean", Filter: event.Filter(division, "d1"),
		Subject: event.Subject(event.RecordedType, event.Place{DeskDivision: division, DeskID: "d1", HukouDivision: hukou}),
		Body:    func(s outbox.Stamp) ([]byte, error) { return fmt.Appendf(nil, `{"pad":"%01000d"}`, s.Seq), nil },
	}
}

func freshStream(b *testing.B) string {
	c, err := faulttest.NewCluster(b.TempDir(), 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	if err := c.MakeStream(b.Context(), RecommendedStream(stream, 1, 0, 0)); err != nil {
		b.Fatal(err)
	}
	return c.URL()
}

func drainInto(b *testing.B, url string, q *outbox.Queue, n uint64) time.Duration {
	begin := time.Now()
	d, err := Start(b.Context(), Options{DeskID: "d1", DeskDivision: division, Server: Server{URL: url}, Log: zerolog.New(io.Discard)}, q)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Stop()
	for d.Health().Acked < n {
		<-time.After(time.Millisecond)
	}
	return time.Since(begin)
}

func publishInto(b *testing.B, url string, n int) time.Duration {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	draft := benchDraft()
	begin := time.Now()
	for i := range n {
		id, err := event.NewID()
		if err != nil {
			b.Fatal(err)
		}
		body, err := draft.Body(outbox.Stamp{Seq: uint64(i)})
		if err != nil {
			b.Fatal(err)
		}
		env := event.Envelope{ID: id, Type: draft.Type, Source: draft.Source, Time: begin, Seq: uint64(i), Epoch: "bench", Subject: draft.Subject, Content: event.ContentJSON}
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		_, err = js.PublishMsg(ctx, &nats.Msg{Subject: draft.Subject, Header: nats.Header(env.Headers()), Data: body})
		cancel()
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin)
}
