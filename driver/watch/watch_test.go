package watch_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/trace"
	"idtap/driver/watch"
)

// modules opens one simulated module over and over.
type modules struct {
	m    *mock.Module
	baud int
}

func (d modules) Open(_ context.Context, s driver.Spec) (driver.Device, error) {
	line, err := d.m.Open()
	if err != nil {
		return nil, err
	}
	return sam.NewClient(driver.Observed(line, s.Wire), sam.Options{Name: s.Name, Baud: d.baud}), nil
}
func (modules) Discover(context.Context) ([]driver.Spec, error) { return nil, nil }
func (modules) Detail() string                                  { return "test" }

// bench is a watched reader on a simulated module.
type bench struct {
	*testing.T
	module  *mock.Module
	readers *watch.Readers
	drivers driver.Registry
}

func newBench(t *testing.T, faults string) *bench {
	f, err := mock.ParseFaults(faults)
	if err != nil {
		t.Fatal(err)
	}
	m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Faults: f})
	readers := &watch.Readers{}
	return &bench{t, m, readers, readers.Registry(driver.Registry{"test": modules{m, 115200}})}
}

var spec = driver.Spec{Name: "front", Driver: "test"}

func (b *bench) open() driver.Device {
	b.Helper()
	dev, err := b.drivers.Open(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	return dev
}

// TestTimes: exchanges are measured, and what they carry is not kept.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		b.module.Place(simcard.Demo()[0])
		dev := b.open()
		if _, err := dev.Identify(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ok, err := dev.Find(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := dev.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		times := b.readers.Of("front").Times
		e, ok := times.Last(sam.CmdReadText)
		if !ok || e.Received != 1295 || e.Sent != 10 || e.Wire(115200) != 1305*10*time.Second/115200 {
			t.Fatalf("%+v, %v", e, ok)
		}
		// Write returns at once on this line: the command's own bytes count.
		if beyond := e.Took - e.Wire(115200) - mock.DeskTiming.Read; beyond.Abs() > 2*time.Millisecond {
			t.Errorf("took %s, wire %s, module %s", e.Took, e.Wire(115200), mock.DeskTiming.Read)
		}
		if e, ok := times.Last(sam.CmdReadAddress); !ok || e.Received != 11 {
			t.Errorf("the exchange under way: %+v, %v", e, ok)
		}
		if answered, silent := times.Answers(); answered != 6 || silent != 0 {
			t.Errorf("%d answered, %d silent", answered, silent)
		}
		dev.Close()
		b.open().Close()
		if _, ok := times.Last(sam.CmdReadText); ok {
			t.Error("times of the session before")
		}
	})
}

// TestLineErrors: what the line showed lately, over sessions.
func TestLineErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "junk=1")
		r := b.readers.Of("front")
		for range 2 {
			dev := b.open()
			for range 3 {
				dev.Find(t.Context())
			}
			dev.Close()
		}
		if n := r.LineErrors(time.Minute); n < 6 {
			t.Errorf("%d line errors", n)
		}
		time.Sleep(2 * time.Minute)
		if n := r.LineErrors(time.Minute); n != 0 {
			t.Errorf("%d line errors after two minutes", n)
		}
	})
}

// TestLend: a lent reader is opened again once it is given back, and an open one
// is not lent.
func TestLend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		r := b.readers.Of("front")
		dev := b.open()
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Lend(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("lent while it was open: %v", err)
		}
		dev.Close()
		back, err := r.Lend(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		opened := make(chan driver.Device)
		go func() { opened <- b.open() }()
		synctest.Wait()
		select {
		case <-opened:
			t.Fatal("opened while it was lent")
		default:
		}
		back()
		(<-opened).Close()

		back, err = r.Lend(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer back()
		soon, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.drivers.Open(soon, spec); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open: %v", err)
		}
	})
}

// TestRecord: a recording makes the session end, begins with the next one, ends
// between two calls, and can be replayed.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		r := b.readers.Of("front")
		dev := b.open()
		dev.Find(t.Context())
		var file bytes.Buffer
		w := trace.NewWriter(&file, nil, trace.Header{Model: "test", Obtained: "test"}, true)
		stop, ok := r.Record(w)
		if !ok {
			t.Fatal("nobody else records")
		}
		if _, ok := r.Record(w); ok {
			t.Error("recorded twice")
		}
		if _, err := dev.Find(t.Context()); !errors.Is(err, driver.ErrGone) {
			t.Errorf("the session goes on: %v", err)
		}
		dev.Close()
		b.module.Place(simcard.Demo()[0])
		dev = b.open()
		dev.Identify(t.Context())
		dev.Find(t.Context())
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		synctest.Wait()
		if _, err := dev.Read(t.Context()); err != nil { // the call that is complete
			t.Fatal(err)
		}
		<-stopped
		dev.Find(t.Context())
		dev.Close()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}

		recorded, err := trace.Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		p := trace.NewPlayback(recorded)
		c := sam.NewClient(p, sam.Options{Baud: 115200})
		if _, err := c.Identify(t.Context()); err != nil {
			t.Error(err)
		}
		if ok, err := c.Find(t.Context()); !ok || err != nil {
			t.Error(ok, err)
		}
		if _, err := c.Read(t.Context()); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil { // strict: nothing is left over
			t.Error(err)
		}
		if _, ok := r.Record(w); !ok {
			t.Error("the recording never ended")
		}
	})
}

// TestRecordOfAReaderThatIsAway ends all the same.
func TestRecordOfAReaderThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		stop, ok := b.readers.Of("front").Record(trace.NewWriter(&bytes.Buffer{}, nil, trace.Header{}, true))
		if !ok {
			t.Fatal("nobody else records")
		}
		stop()
		b.open().Close()
	})
}
