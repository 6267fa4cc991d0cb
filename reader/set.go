package reader

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

const (
	// discoverEvery is how often drivers are asked for readers.
	discoverEvery = time.Second
	// forgetAfter is how long a discovered reader may be neither listed nor
	// well before it is dropped; under PC/SC it may come back by another name.
	forgetAfter = 30 * time.Second
)

// Set is the readers of one desk. They run independently of each other.
type Set struct {
	Drivers driver.Registry
	// Readers are those to use. None: whatever the drivers discover, as it
	// comes and goes.
	Readers []driver.Spec
	// Options are those of every reader; Name and Open come from its Spec.
	Options Options
}

// Run runs the readers until the context ends and returns within 2 s of that.
func (s Set) Run(ctx context.Context) {
	if s.Options.Clock == nil {
		s.Options.Clock = clockwork.NewRealClock()
	}
	var running sync.WaitGroup
	defer running.Wait()
	plugs := map[string]*plug{} // by driver
	for _, name := range s.Drivers.Names() {
		p := &plug{next: make(chan struct{})}
		plugs[name] = p
		used := slices.ContainsFunc(s.Readers, func(spec driver.Spec) bool { return spec.Driver == name })
		if w, ok := s.Drivers[name].(driver.Watcher); ok && (used || len(s.Readers) == 0) {
			running.Go(func() { w.Watch(ctx, p.moved) })
		}
	}
	for _, spec := range s.Readers {
		running.Go(func() { s.reader(spec, plugs[spec.Driver]).Run(ctx) })
	}
	if len(s.Readers) > 0 {
		return
	}
	for _, name := range s.Drivers.Names() {
		running.Go(func() { s.follow(ctx, s.Drivers[name], plugs[name]) })
	}
}

// plug tells everybody who waits that something was plugged in or out.
type plug struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next event; guarded by mu
}

func (p *plug) moved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.next)
	p.next = make(chan struct{})
}

func (p *plug) wait() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

func (s Set) reader(spec driver.Spec, p *plug) *Reader {
	o := s.Options
	if p != nil { // the driver is there
		o.Plugged = p.wait
	}
	o.Name = spec.Name
	o.Open = func(ctx context.Context) (driver.Device, error) { return s.Drivers.Open(ctx, spec) }
	return New(o)
}

// follow runs the readers that a driver discovers for as long as it lists them.
func (s Set) follow(ctx context.Context, d driver.Driver, p *plug) {
	type followed struct {
		listed time.Time
		stop   context.CancelFunc
	}
	readers := map[string]followed{} // by port
	var running sync.WaitGroup
	defer running.Wait()
	for {
		plugged := p.wait()
		specs, whole := discover(ctx, d)
		now := s.Options.Clock.Now()
		for _, spec := range specs {
			f, there := readers[spec.Port]
			if !there {
				var own context.Context
				own, f.stop = context.WithCancel(ctx)
				running.Go(func() { s.reader(spec, p).Run(own) })
			}
			f.listed = now
			readers[spec.Port] = f
		}
		for port, f := range readers {
			switch {
			case !whole:
				f.listed = now
				readers[port] = f
			case now.Sub(f.listed) > forgetAfter:
				f.stop()
				delete(readers, port)
			}
		}
		next := s.Options.Clock.NewTimer(discoverEvery)
		select {
		case <-ctx.Done():
			next.Stop()
			for _, f := range readers {
				f.stop()
			}
			return
		case <-next.Chan():
		case <-plugged:
			next.Stop()
		}
	}
}

// discover asks a driver once. A driver that hangs keeps its own readers from
// being noticed, but not the program from ending. whole tells that what is not
// in the list is not there.
func discover(ctx context.Context, d driver.Driver) (specs []driver.Spec, whole bool) {
	type list struct {
		specs []driver.Spec
		err   error
	}
	lists := make(chan list, 1)
	go func() {
		specs, err := d.Discover(ctx)
		lists <- list{specs, err}
	}()
	select {
	case <-ctx.Done():
		return nil, false
	case l := <-lists:
		return l.specs, l.err == nil
	}
}
