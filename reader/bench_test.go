package reader

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/serial"
	"idtap/driver/simcard"
)

// wire counts the bytes of a line.
type wire struct{ bytes atomic.Int64 }

func (w *wire) Sent(p []byte)     { w.bytes.Add(int64(len(p))) }
func (w *wire) Received(p []byte) { w.bytes.Add(int64(len(p))) }

// timed notes when the find that met a card began, and what had passed over
// the line by then.
type timed struct {
	driver.Device
	w     *wire
	m     *mock.Module
	began time.Time
	bytes int64
	busy  time.Duration
}

func (d *timed) Find(ctx context.Context) (bool, error) {
	began, bytes, busy := time.Now(), d.w.bytes.Load(), d.m.Busy()
	found, err := d.Device.Find(ctx)
	if found {
		d.began, d.bytes, d.busy = began, bytes, busy
	}
	return found, err
}

// cycles is a sink that measures each tap against the wire. Its calls come from
// the reader's goroutine after the device's, so it may look at the device.
type cycles struct {
	dev    *timed
	ratios chan float64
	phases chan Phase
}

func (c *cycles) Tap(context.Context, Tap) error {
	took := time.Since(c.dev.began) - (c.dev.m.Busy() - c.dev.busy)
	onWire := time.Duration(c.dev.w.bytes.Load()-c.dev.bytes) * 10 * time.Second / 115200
	c.ratios <- float64(took) / float64(onWire)
	return nil
}

func (c *cycles) State(s State) { c.phases <- s.Phase }

// bare is a module whose own busy time is short, so that it does not drown what
// is measured.
func bare() *mock.Module {
	return mock.NewModule(mock.Options{Timing: mock.Timing{Find: 5 * time.Millisecond, Miss: 5 * time.Millisecond,
		Select: 5 * time.Millisecond, Read: 5 * time.Millisecond, Address: 5 * time.Millisecond, Baud: 115200}})
}

type openWire func(context.Context, *wire) (driver.Device, error)

func inProcess(m *mock.Module) openWire {
	return func(_ context.Context, w *wire) (driver.Device, error) {
		line, err := m.Open()
		if err != nil {
			return nil, err
		}
		return sam.NewClient(driver.Observed(line, w), sam.Options{Baud: 115200}), nil
	}
}

// BenchmarkCycle is one card from the beginning of find to the tap: find,
// select, text and photo, addresses. Reported is the median of at least 30
// cycles over the time that their bytes take at 115200 baud; the time that the
// module is busy with its card is taken off. The simulator paces its line by
// absolute deadlines, so that its own lateness does not add up. Goal: 1.05.
func BenchmarkCycle(b *testing.B) {
	b.Run("in-process", func(b *testing.B) {
		m := bare()
		report(b, cycle(b, m, max(b.N, 30), inProcess(m)))
	})
	b.Run("pty", func(b *testing.B) {
		m := bare()
		port, err := mock.OpenPTY(m)
		if err != nil {
			b.Fatal(err)
		}
		var serving sync.WaitGroup
		ctx, stop := context.WithCancel(b.Context())
		serving.Go(func() { port.Serve(ctx) })
		defer serving.Wait()
		defer stop()
		var d serial.Driver
		report(b, cycle(b, m, max(b.N, 30), func(ctx context.Context, w *wire) (driver.Device, error) {
			return d.Open(ctx, driver.Spec{Name: "front", Port: port.Address(), Baud: 115200, Wire: w})
		}))
	})
}

// BenchmarkReaders is the same cycle with one reader and with 64 at work at
// once: what the others cost each of them.
func BenchmarkReaders(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var all sync.WaitGroup
			ratios := make([][]float64, n)
			for i := range n {
				m := bare()
				all.Go(func() { ratios[i] = cycle(b, m, max(b.N, 5), inProcess(m)) })
			}
			all.Wait()
			report(b, slices.Concat(ratios...))
		})
	}
}

// cycle reads cards on a module and gives the ratio of each.
func cycle(b *testing.B, m *mock.Module, n int, open openWire) []float64 {
	ctx, stop := context.WithCancel(b.Context())
	sink := &cycles{ratios: make(chan float64, 1), phases: make(chan Phase, 100)}
	r := New(Options{Name: "front", Sink: sink, Poll: 10 * time.Millisecond, Open: func(ctx context.Context) (driver.Device, error) {
		w := &wire{}
		dev, err := open(ctx, w)
		sink.dev = &timed{Device: dev, w: w, m: m}
		return sink.dev, err
	}})
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	defer running.Wait()
	defer stop()
	ready := func() {
		for p := range sink.phases {
			if p == Ready {
				return
			}
		}
	}
	visitors := clean(20)
	var ratios []float64
	ready()
	for i := range n {
		m.Place(simcard.Card{RawText: &visitors[i%len(visitors)].Text})
		ratios = append(ratios, <-sink.ratios)
		m.Lift()
		ready()
	}
	return ratios
}

func report(b *testing.B, ratios []float64) {
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-wire")
	b.ReportMetric(ratios[len(ratios)-1], "x-wire-worst")
	b.ReportMetric(0, "ns/op") // says nothing: the wait for removal is in it
}
