package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/publisher/bus"
	"idtap/publisher/bus/faulttest"
)

const (
	division = "410105"
	stream   = "REGISTRATIONS"
	nodes    = 3
	// window is far shorter than any outage here: message ids alone would let
	// doubles through.
	window = 200 * time.Millisecond
)

// plan is one run.
type plan struct {
	desks   int
	rate    float64       // taps per desk and second
	phase   time.Duration // of each of the four phases
	swallow float64       // share of acknowledgements that get lost
}

// fleet is desks and a cluster in one process.
type fleet struct {
	plan
	out      io.Writer
	cluster  *faulttest.Cluster
	networks []*faulttest.Network
	queues   []*faulttest.Queue
	buses    []*bus.Bus
}

// phase is a stretch of the run by the time its events were accepted in.
type phase struct {
	name       string
	begin, end time.Time
	hindered   string // desks that did not deliver at its end, and the commonest reason
}

// run carries the plan out and prints what it measured. Its error is a promise
// that was broken, or something that kept the run from being made.
func run(ctx context.Context, p plan, out io.Writer) error {
	dir, err := os.MkdirTemp("", "idtap-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f := &fleet{plan: p, out: out}
	if f.cluster, err = faulttest.NewCluster(dir, nodes, nil); err != nil {
		return err
	}
	defer f.cluster.Close()
	config := bus.RecommendedStream(stream, nodes, 0, 0)
	config.Duplicates = window
	if err := f.cluster.MakeStream(ctx, config); err != nil {
		return err
	}
	memory, err := f.memory(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	if err := f.connectThroughNetworks(ctx); err != nil {
		return err
	}
	begin := time.Now()
	phases, err := f.phases(ctx)
	if err != nil {
		return err
	}
	if err := f.drain(ctx); err != nil {
		return err
	}
	f.table(phases, time.Since(begin))
	fmt.Fprintf(out, "\nmemory: %d KiB per connection, both ends\n", memory>>10)
	return f.audit(ctx)
}

func (f *fleet) start(ctx context.Context, url string) error {
	f.queues, f.buses = nil, nil
	for i := range f.desks {
		q := faulttest.NewQueue(fmt.Sprintf("epoch-%d", i), division, fmt.Sprintf("desk-%d", i))
		b, err := bus.Start(ctx, bus.Options{DeskID: q.Desk, DeskDivision: division, Server: bus.Server{URL: url},
			Replicas: nodes, AckWait: 2 * time.Second, Log: zerolog.Nop()}, q)
		if err != nil {
			return err
		}
		f.queues, f.buses = append(f.queues, q), append(f.buses, b)
	}
	for _, b := range f.buses {
		if err := until(ctx, func() bool { return b.Health().Delivering() }); err != nil {
			return fmt.Errorf("a desk does not connect: %+v", b.Health())
		}
	}
	return nil
}

func (f *fleet) stop() {
	var wg sync.WaitGroup
	for _, b := range f.buses {
		wg.Go(b.Stop)
	}
	wg.Wait()
	for _, n := range f.networks {
		n.Close()
	}
}

// memory is what one desk's connection costs, its server's end included.
func (f *fleet) memory(ctx context.Context) (uint64, error) {
	before := inUse()
	if err := f.start(ctx, f.cluster.URL()); err != nil {
		return 0, err
	}
	after := inUse()
	f.stop()
	return (after - min(before, after)) / uint64(f.desks), nil
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func (f *fleet) connectThroughNetworks(ctx context.Context) error {
	url := ""
	for i := range nodes {
		n := faulttest.NewNetwork(faulttest.TCP(f.cluster.Addr(i)))
		n.Swallow(func() bool { return rand.Float64() < f.swallow })
		addr, err := n.Listen()
		if err != nil {
			return err
		}
		f.networks = append(f.networks, n)
		url += ",nats://" + addr
	}
	return f.start(ctx, url[1:])
}

// phases has every desk tap at its rate while things go wrong.
func (f *fleet) phases(ctx context.Context) ([]phase, error) {
	ctx, cancel := context.WithCancel(ctx)
	var taps sync.WaitGroup
	for _, q := range f.queues {
		taps.Go(func() {
			for pause(ctx, time.Duration(rand.ExpFloat64()*float64(time.Second)/f.rate)) {
				q.Accept(1, hukou())
			}
		})
	}
	defer taps.Wait()
	defer cancel()

	var list []phase
	stretch := func(name string, what func() error) error {
		p := phase{name: name, begin: time.Now()}
		if err := what(); err != nil {
			return err
		}
		pause(ctx, f.phase)
		p.end, p.hindered = time.Now(), f.hindered()
		list = append(list, p)
		return ctx.Err()
	}
	leader := -1
	down := func(down bool) error {
		for _, n := range f.networks {
			n.Down(down)
		}
		return nil
	}
	for _, s := range []struct {
		name string
		what func() error
	}{
		{"steady", func() error { return nil }},
		{"leader killed", func() error {
			if err := until(ctx, func() bool { leader = f.cluster.Leader(stream); return leader >= 0 }); err != nil {
				return errors.New("the stream has no leader")
			}
			f.cluster.Kill(leader)
			return nil
		}},
		{"leader back", func() error { return f.cluster.Start(leader) }},
		{"all cut", func() error { return down(true) }},
		{"all released", func() error { return down(false) }},
	} {
		if err := stretch(s.name, s.what); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (f *fleet) hindered() string {
	codes := map[bus.Code]int{}
	for _, b := range f.buses {
		if c := b.Health().Code; c != "" {
			codes[c]++
		}
	}
	n, most := 0, bus.Code("")
	for c, k := range codes {
		if n += k; k > codes[most] {
			most = c
		}
	}
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d %s", n, most)
}

func (f *fleet) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for i, q := range f.queues {
		if err := q.Drained(ctx); err != nil {
			return fmt.Errorf("desk %d: %w: %+v", i, err, f.buses[i].Health())
		}
	}
	return nil
}

// table prints how long events took from acceptance to delivery, by the phase
// they were accepted in.
func (f *fleet) table(phases []phase, took time.Duration) {
	var all []time.Duration
	by := make([][]time.Duration, len(phases))
	delivered := make([]int, len(phases)) // in that time, whenever accepted
	for _, q := range f.queues {
		acks := q.Acks()
		for i, s := range q.Accepted() {
			at := acks[int64(i+1)].At
			d := at.Sub(s.AcceptedAt)
			all = append(all, d)
			for n, p := range phases {
				if !s.AcceptedAt.Before(p.begin) && s.AcceptedAt.Before(p.end) {
					by[n] = append(by[n], d)
				}
				if !at.Before(p.begin) && at.Before(p.end) {
					delivered[n]++
				}
			}
		}
	}
	fmt.Fprintf(f.out, "%d desks, %d nodes, %.2g taps/s each, %.0f %% of acknowledgements swallowed, duplicate window %v\n\n",
		f.desks, nodes, f.rate, 100*f.swallow, window)
	w := tabwriter.NewWriter(f.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "phase\taccepted\tdelivered\tper second\tp50\tp99\tmax\thindered at its end\t")
	for n, p := range phases {
		line(w, p.name, by[n], delivered[n], p.end.Sub(p.begin), p.hindered)
	}
	line(w, "all", all, len(all), took, f.hindered())
	w.Flush()
}

func line(w io.Writer, name string, d []time.Duration, delivered int, took time.Duration, hindered string) {
	slices.Sort(d)
	at := func(q float64) time.Duration {
		if len(d) == 0 {
			return 0
		}
		return d[int(q*float64(len(d)-1))].Round(100 * time.Microsecond)
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%v\t%v\t%v\t%s\t\n", name, len(d), delivered, float64(delivered)/took.Seconds(), at(0.5), at(0.99), at(1), hindered)
}

func (f *fleet) audit(ctx context.Context) error {
	accepted := map[string]bool{}
	for _, q := range f.queues {
		for _, s := range q.Accepted() {
			accepted[s.ID] = true
		}
	}
	nc, err := nats.Connect(f.cluster.URL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stored, err := faulttest.ReadStream(ctx, js, stream)
	if err != nil {
		return err
	}
	tally := faulttest.Audit(accepted, stored)
	fmt.Fprintln(f.out, tally)
	if !tally.OK() {
		return errors.New("a promise was broken")
	}
	return nil
}

// hukou is a county of some province, so that a desk has many subjects.
func hukou() string {
	return fmt.Sprintf("%02d%02d%02d", 11+rand.IntN(50), 1+rand.IntN(20), 1+rand.IntN(30))
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// until looks again and again for something that tells nobody.
func until(ctx context.Context, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !is() {
		if !pause(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}
