package bus

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// BenchmarkDrain drains a backlog from a real queue into a fresh stream on one
// server (synced before each acknowledgement), in turn with as many bare
// synchronous publishes of the same size and headers into the same stream. Design
// section 12: the drain's rate over the bare rate is to be 0.8. Whatever else the
// machine does meets both alike; the ratio is the median of the turns'.
func BenchmarkDrain(b *testing.B) { benchmarkDrain(b, "") }

// BenchmarkDrainSigned is the same with every event signed.
func BenchmarkDrainSigned(b *testing.B) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		b.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		b.Fatal(err)
	}
	key := filepath.Join(b.TempDir(), "desk.nk")
	if err := os.WriteFile(key, seed, 0o600); err != nil {
		b.Fatal(err)
	}
	benchmarkDrain(b, key)
}

func benchmarkDrain(b *testing.B, signingKey string) {
	const turn = 512
	q, err := outbox.Open(b.Context(), outbox.Options{Dir: filepath.Join(b.TempDir(), "desk"), Log: zerolog.New(io.Discard)})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	url := freshStream(b)
	g := &gate{Queue: q, open: make(chan int), drained: make(chan struct{})}
	d, err := Start(b.Context(), Options{DeskID: "d1", DeskDivision: division, Server: Server{URL: url}, SigningKey: signingKey, Log: zerolog.New(io.Discard)}, g)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Stop()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	var bare, drain time.Duration
	var ratios []float64
	for b.Loop() {
		for range turn {
			if _, err := q.Accept(b.Context(), benchDraft("d1")); err != nil {
				b.Fatal(err)
			}
		}
		begin := time.Now()
		g.open <- turn
		<-g.drained
		one := time.Since(begin)
		begin = time.Now()
		publishBare(b, js, turn)
		other := time.Since(begin)
		drain, bare, ratios = drain+one, bare+other, append(ratios, other.Seconds()/one.Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(float64(len(ratios)*turn)/drain.Seconds(), "drained/s")
	b.ReportMetric(float64(len(ratios)*turn)/bare.Seconds(), "bare/s")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

// gate holds a queue's records back until so many are let through.
type gate struct {
	*outbox.Queue
	open    chan int
	drained chan struct{}
	left    int // let through and not marked; the forwarder's
}

func (g *gate) Next(ctx context.Context, n int) ([]outbox.Record, error) {
	if g.left == 0 {
		select {
		case g.left = <-g.open:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return g.Queue.Next(ctx, min(n, g.left))
}

func (g *gate) Delivered(ctx context.Context, chain outbox.ChainState, acks ...outbox.Ack) error {
	err := g.Queue.Delivered(ctx, chain, acks...)
	if err == nil {
		if g.left -= len(acks); g.left == 0 {
			g.drained <- struct{}{}
		}
	}
	return err
}

func benchDraft(desk string) outbox.Draft {
	return outbox.Draft{
		Type: event.RecordedType, Source: event.Source(desk, "front"), Kind: "resident", Status: "clean", Filter: event.Filter(division, desk),
		Subject: event.Subject(event.RecordedType, event.Place{DeskDivision: division, DeskID: desk, HukouDivision: hukou}),
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

func publishBare(b *testing.B, js jetstream.JetStream, n int) {
	draft := benchDraft("d2")
	for i := range n {
		id, err := event.NewID()
		if err != nil {
			b.Fatal(err)
		}
		body, err := draft.Body(outbox.Stamp{Seq: uint64(i)})
		if err != nil {
			b.Fatal(err)
		}
		env := event.Envelope{ID: id, Type: draft.Type, Source: draft.Source, Time: time.Now(), Seq: uint64(i), Epoch: "bench", Subject: draft.Subject, Content: event.ContentJSON}
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		_, err = js.PublishMsg(ctx, &nats.Msg{Subject: draft.Subject, Header: nats.Header(env.Headers()), Data: body})
		cancel()
		if err != nil {
			b.Fatal(err)
		}
	}
}
