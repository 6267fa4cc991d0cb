package reader

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// opening opens a module as a serial driver does.
func opening(m *mock.Module) func(context.Context) (driver.Device, error) {
	return func(context.Context) (driver.Device, error) {
		line, err := m.Open()
		if err != nil {
			return nil, err
		}
		return sam.NewClient(line, sam.Options{Baud: 115200}), nil
	}
}

// awaitPhase waits for a phase and tells how long that took.
func awaitPhase(t *testing.T, sink *record, want Phase) time.Duration {
	t.Helper()
	began := time.Now()
	for sink.last().Phase != want {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("%s (%v) for two minutes, want %s", sink.last().Phase, sink.last().Err, want)
		}
		time.Sleep(10 * time.Millisecond) // fake time
	}
	return time.Since(began)
}

// TestBackWithin2s: a reader that was unplugged at any moment is back within
// 2 s of being plugged in, however long that took, and a card that still lies
// there is no new tap.
func TestBackWithin2s(t *testing.T) {
	for _, away := range []time.Duration{0, 50 * time.Millisecond, 3 * time.Second, 10 * time.Minute} {
		for _, quirks := range []mock.Quirks{{}, {Refinds: true}} {
			for moment := range 12 {
				bubble(t, func(t *testing.T) {
					ctx, stop := context.WithCancel(t.Context())
					m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Quirks: quirks})
					sink := &record{}
					r := New(Options{Sink: sink, Open: opening(m)})
					var running sync.WaitGroup
					running.Go(func() { r.Run(ctx) })
					awaitPhase(t, sink, Ready)
					m.Place(simcard.Generate(1, 1)[0])
					time.Sleep(time.Duration(moment) * 97 * time.Millisecond)
					m.Unplug()
					time.Sleep(away)
					m.Plug()
					if took := awaitPhase(t, sink, Held); took > 2*time.Second {
						t.Errorf("unplugged at %d for %v: back after %v", moment, away, took)
					}
					time.Sleep(5 * time.Second)
					if len(sink.taps) != 1 {
						t.Errorf("unplugged at %d for %v: %d taps", moment, away, len(sink.taps))
					}
					stop()
					running.Wait()
				})
			}
		}
	}
}

// TestUnplugMidFrame: the module leaves in the middle of every fifth read, and
// every card is still one tap.
func TestUnplugMidFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		m := mock.NewModule(mock.Options{Timing: quick, Faults: faults(t, "unplug=5:read,unplug=31")})
		d := newDesk(m, simcard.Generate(1, 50))
		d.reader = New(Options{Sink: d, Open: opening(m)})
		var running sync.WaitGroup
		running.Go(func() { d.reader.Run(ctx) })
		running.Go(func() {
			for ctx.Err() == nil {
				m.Plug()
				time.Sleep(700 * time.Millisecond)
			}
		})
		d.serve()
		stop()
		running.Wait()
		if r := d.result; r.published != 50 || r.twice+r.wrong+r.wrongBefore > 0 || d.reader.counts.Reopened < 10 {
			t.Errorf("%+v, opened again %d times", r, d.reader.counts.Reopened)
		}
	})
}

// TestTrap20PowerUp: a module may be deaf for 2 s after power-up.
func TestTrap20PowerUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Quirks: mock.Quirks{PowerUp: 2 * time.Second}})
		sink := &record{}
		var running sync.WaitGroup
		running.Go(func() { New(Options{Sink: sink, Open: opening(m)}).Run(ctx) })
		if took := awaitPhase(t, sink, Ready); took > 2700*time.Millisecond {
			t.Errorf("ready after %v", took)
		}
		if got := sink.phases(); len(got) != 2 {
			t.Errorf("phases %v, want starting and ready alone", got)
		}
		stop()
		running.Wait()
	})
}

// TestTrap23Faulty: a module that answers 60 or 66 is shown as faulty and asked
// again slowly.
func TestTrap23Faulty(t *testing.T) {
	for _, q := range []mock.Quirks{{SelfTestFailed: true}, {Unauthorised: true}} {
		bubble(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Quirks: q})
			sink := &record{}
			var running sync.WaitGroup
			running.Go(func() { New(Options{Sink: sink, Open: opening(m)}).Run(ctx) })
			awaitPhase(t, sink, Faulty)
			before := m.State().Commands
			time.Sleep(time.Minute)
			if n := m.State().Commands - before; n < 10 || n > 30 {
				t.Errorf("%d commands in a minute", n)
			}
			if s := sink.last(); s.Phase != Faulty || s.Err == nil || s.Retry == 0 {
				t.Errorf("state %s, err %v, retry %v", s.Phase, s.Err, s.Retry)
			}
			stop()
			running.Wait()
		})
	}
}

// sole fails when two calls of its device run at once.
type sole struct {
	t    *testing.T
	busy *atomic.Int32
	driver.Device
}

func (s sole) enter() func() {
	if s.busy.Add(1) > 1 {
		s.t.Error("two calls of one device at once")
	}
	return func() { s.busy.Add(-1) }
}

func (s sole) Identify(ctx context.Context) (driver.Identity, error) {
	defer s.enter()()
	return s.Device.Identify(ctx)
}

func (s sole) Find(ctx context.Context) (bool, error) {
	defer s.enter()()
	return s.Device.Find(ctx)
}

func (s sole) Read(ctx context.Context) (driver.RawCard, error) {
	defer s.enter()()
	return s.Device.Read(ctx)
}

func (s sole) Present(ctx context.Context) (bool, error) {
	defer s.enter()()
	return s.Device.Present(ctx)
}

// simulated is a driver of simulated modules, one per port, that lists the
// ports in listed.
type simulated struct {
	t       *testing.T
	mu      sync.Mutex
	modules map[string]*mock.Module
	listed  []driver.Spec
	err     error
}

func (d *simulated) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	dev, err := opening(d.modules[s.Port])(ctx)
	return sole{d.t, new(atomic.Int32), dev}, err
}

func (d *simulated) Discover(ctx context.Context) ([]driver.Spec, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.listed, d.err
}

func (d *simulated) Detail() string { return "test" }

// desks sends what readers say to the desk of each.
type desks map[string]*desk

func (s desks) State(st State)                       { s[st.Reader].State(st) }
func (s desks) Tap(ctx context.Context, t Tap) error { return s[t.Reader].Tap(ctx, t) }

// TestTrap21ManyReaders: 64 readers at once, each with its own clerk, owner and
// noise; none waits for another, and all end within 2 s.
func TestTrap21ManyReaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		d := &simulated{t: t, modules: map[string]*mock.Module{}}
		all := desks{}
		set := Set{Drivers: driver.Registry{"sim": d}, Options: Options{Sink: all}}
		for i := range 64 {
			name := fmt.Sprint("r", i)
			d.modules[name] = mock.NewModule(mock.Options{Timing: quick, Quirks: mock.Quirks{Refinds: i%2 == 0},
				Faults: faults(t, fmt.Sprintf("stall=%d,flip=0.02,seed=%d", 11+i%7, i+1))})
			all[name] = newDesk(d.modules[name], simcard.Generate(uint64(i), 10))
			set.Readers = append(set.Readers, driver.Spec{Name: name, Driver: "sim", Port: name})
		}
		var running, serving sync.WaitGroup
		running.Go(func() { set.Run(ctx) })
		for _, desk := range all {
			serving.Go(desk.serve)
		}
		serving.Wait()
		asked := time.Now()
		stop()
		running.Wait()
		if took := time.Since(asked); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
		for name, desk := range all {
			if r := desk.result; r.published != 10 || r.twice+r.wrong+r.wrongBefore > 0 {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
}

// TestDiscovery: readers come and go with what a driver lists; a list that could
// not be made takes nothing away.
func TestDiscovery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		d := &simulated{t: t, modules: map[string]*mock.Module{
			"a": mock.NewModule(mock.Options{Timing: mock.DeskTiming}), "b": mock.NewModule(mock.Options{Timing: mock.DeskTiming})}}
		list := func(err error, ports ...string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.listed, d.err = nil, err
			for _, p := range ports {
				d.listed = append(d.listed, driver.Spec{Name: p, Driver: "sim", Port: p})
			}
		}
		sink := &record{}
		phase := func(name string) (p Phase) {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			for _, s := range sink.states {
				if s.Reader == name {
					p = s.Phase
				}
			}
			return p
		}
		expect := func(when string, a, b Phase) {
			t.Helper()
			if phase("a") != a || phase("b") != b {
				t.Errorf("%s: a is %q, b is %q; want %q, %q", when, phase("a"), phase("b"), a, b)
			}
		}
		ended := make(chan struct{})
		go func() {
			Set{Drivers: driver.Registry{"sim": d}, Options: Options{Sink: sink}}.Run(ctx)
			close(ended)
		}()
		time.Sleep(5 * time.Second)
		expect("nothing listed", "", "")
		list(nil, "a")
		time.Sleep(2 * time.Second)
		expect("one plugged in", Ready, "")
		list(nil, "a", "b")
		time.Sleep(2 * time.Second)
		expect("another plugged in", Ready, Ready)
		list(driver.ErrGone)
		time.Sleep(time.Hour)
		expect("no list to be had", Ready, Ready)
		list(nil, "b")
		time.Sleep(20 * time.Second)
		expect("one unlisted for a moment", Ready, Ready)
		time.Sleep(20 * time.Second)
		expect("one unlisted for good", Stopped, Ready)
		list(nil, "a", "b")
		time.Sleep(2 * time.Second)
		expect("back", Ready, Ready)
		stop()
		time.Sleep(2 * time.Second)
		select {
		case <-ended:
		default:
			t.Error("the set did not end within 2 s")
		}
		expect("at the end", Stopped, Stopped)
	})
}

// blocking is a device whose find comes back only when it is closed.
type blocking struct {
	driver.Device
	closed chan struct{}
}

func (b blocking) Find(context.Context) (bool, error) {
	<-b.closed
	return false, &driver.Error{Op: "find", Err: driver.ErrGone}
}

func (b blocking) Close() error {
	close(b.closed)
	return b.Device.Close()
}

// TestClosedUnderACall: a device whose call blocks is closed from outside, which
// frees the call and the port for the next try.
func TestClosedUnderACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		m := mock.NewModule(mock.Options{Timing: mock.DeskTiming})
		opened := 0
		sink := &record{}
		var running sync.WaitGroup
		running.Go(func() {
			New(Options{Sink: sink, Open: func(ctx context.Context) (driver.Device, error) {
				dev, err := opening(m)(ctx)
				if opened++; opened == 1 && err == nil {
					dev = blocking{dev, make(chan struct{})}
				}
				return dev, err
			}}).Run(ctx)
		})
		awaitPhase(t, sink, Stuck)
		if took := awaitPhase(t, sink, Ready); took > slowRetry+time.Second {
			t.Errorf("ready after %v", took)
		}
		stop()
		running.Wait()
	})
}

// TestMonkey lifts, places, swaps and unplugs at random. Nobody can say what
// must be read then, but everything read must have been there, and all of it
// must end well.
func TestMonkey(t *testing.T) {
	for seed := range uint64(scaled(10, 1000)) {
		bubble(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			rnd := rand.New(rand.NewPCG(seed, 1))
			m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Quirks: mock.Quirks{Refinds: rnd.IntN(2) == 0, ReadsOnce: rnd.IntN(2) == 0},
				Faults: faults(t, fmt.Sprintf("flip=0.02,stall=0.02,lift=0.1,unplug=0.01,seed=%d", seed+1))})
			sink := &record{}
			var running sync.WaitGroup
			running.Go(func() { New(Options{Sink: sink, Open: opening(m)}).Run(ctx) })
			some := simcard.Generate(seed, 5)
			placed := map[string]int{}
			for range 100 {
				switch rnd.IntN(4) {
				case 0, 1:
					c := some[rnd.IntN(len(some))]
					placed[c.Number]++
					m.Place(c)
				case 2:
					m.Lift()
				case 3:
					m.Unplug()
				}
				time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
				m.Plug()
			}
			running.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(time.Second)
					m.Plug() // the line itself may unplug it
				}
			})
			m.Lift()
			awaitPhase(t, sink, Ready)
			for tries := 0; sink.last().Phase != Held; tries++ { // as a patient clerk
				if tries == 20 {
					t.Fatalf("seed %d: %s after placing a card 20 times", seed, sink.last().Phase)
				}
				m.Lift()
				time.Sleep(time.Second)
				m.Place(some[0])
				placed[some[0].Number]++
				time.Sleep(5 * time.Second)
			}
			stop()
			running.Wait()
			synctest.Wait()
			for _, tap := range sink.taps {
				if placed[tap.Checked.Number]--; placed[tap.Checked.Number] < 0 {
					t.Errorf("seed %d: a card has more taps than it was placed", seed)
				}
			}
		})
	}
}

// watched is a driver whose reader is plugged in at some moment, of which it tells.
type watched struct {
	driver.Driver
	mu      sync.Mutex
	there   bool
	opened  []time.Time
	changed func()
}

func (w *watched) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = append(w.opened, time.Now())
	if !w.there {
		return nil, driver.ErrGone
	}
	return nil, driver.ErrBusy
}

func (w *watched) Discover(context.Context) ([]driver.Spec, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.there {
		return nil, nil
	}
	return []driver.Spec{{Name: "found", Driver: "usb", Port: "1-1"}}, nil
}

func (w *watched) Watch(ctx context.Context, changed func()) {
	w.mu.Lock()
	w.changed = changed
	w.mu.Unlock()
	<-ctx.Done()
}

// TestPluggedInIsNoticed: a driver that watches its plugs is asked at once when
// something was plugged in, for a configured reader and for one to be found.
func TestPluggedInIsNoticed(t *testing.T) {
	for name, configured := range map[string][]driver.Spec{"configured": {{Name: "left", Driver: "usb"}}, "discovered": nil} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				w := &watched{}
				var running sync.WaitGroup
				running.Go(func() {
					Set{Drivers: driver.Registry{"usb": w}, Readers: configured, Options: Options{Sink: &record{}}}.Run(ctx)
				})
				time.Sleep(10*time.Second + 310*time.Millisecond) // the loop is at its slowest
				plugged := time.Now()
				w.mu.Lock()
				w.there, w.opened = true, nil
				w.changed()
				w.changed() // events come in numbers
				w.mu.Unlock()
				time.Sleep(200 * time.Millisecond)
				w.mu.Lock()
				if len(w.opened) == 0 || len(w.opened) > 3 || w.opened[0].Sub(plugged) > settle {
					t.Errorf("opened %d times, first %v after the event; want 1 to 3 times, first within %v", len(w.opened), w.opened, settle)
				}
				w.mu.Unlock()
				stop()
				running.Wait()
			})
		})
	}
}
