package reader

import (
	"context"
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
	for _, spec := range s.Readers {
		running.Go(func() { s.reader(spec).Run(ctx) })
	}
	if len(s.Readers) > 0 {
		return
	}
	for _, name := range s.Drivers.Names() {
		running.Go(func() { s.follow(ctx, s.Drivers[name]) })
	}
}

func (s Set) reader(spec driver.Spec) *Reader {
	o := s.Options
	o.Name = spec.Name
	o.Open = func(ctx context.Context) (driver.Device, error) { return s.Drivers.Open(ctx, spec) }
	return New(o)
}

// follow runs the readers that a driver discovers for as long as it lists them.
func (s Set) follow(ctx context.Context, d driver.Driver) {
	type followed struct {
		listed time.Time
		stop   context.CancelFunc
	}
	readers := map[string]followed{} // by port
	var running sync.WaitGroup
	defer running.Wait()
	for {
		specs, whole := discover(ctx, d)
		now := s.Options.Clock.Now()
		for _, spec := range specs {
			f, there := readers[spec.Port]
			if !there {
				var own context.Context
				own, f.stop = context.WithCancel(ctx)
				running.Go(func() { s.reader(spec).Run(own) })
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
