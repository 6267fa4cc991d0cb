package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/cmd/internal/preflight"
	"idtap/config"
	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
	"idtap/driver/watch"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// Examiner looks at a desk: from inside its daemon, or from another program
// beside it.
type Examiner struct {
	cfg     config.Config
	drivers driver.Registry
	version string
	watched *watch.Readers
	live    *live // nil: looked at from outside
	clock   clockwork.Clock
	floor   time.Time // a moment that lies in the past
	sys     string    // sysfs
	dev     string    // devfs

	only  string // the one reader to look at; "": all
	brief bool   // what is known already, for the bus: nothing is tried
}

// live is what a running daemon knows of its desk.
type live struct {
	started time.Time
	page    string // URL
	bus     *bus.Bus
	states  *states
	sink    *sink
}

// NewExaminer looks at the desk of a configuration from outside.
func NewExaminer(cfg config.Config, o Options) *Examiner {
	return &Examiner{cfg: cfg, drivers: o.Drivers, version: o.Version, watched: &watch.Readers{}, clock: o.clock(), floor: o.Floor, sys: "/sys", dev: "/dev"}
}

// Only narrows what is looked at to one reader; "" is all.
func (g *Examiner) Only(reader string) { g.only = reader }

// Probe returns the report of asking one port for a module; ErrNoPort if no
// driver can.
func (g *Examiner) Probe(ctx context.Context, port string) (diagnosis.Report, error) {
	c, ok := g.probe(port)
	if !ok {
		return diagnosis.Report{}, ErrNoPort
	}
	return diagnosis.Run(ctx, g.clock, diagnosis.Limit, []diagnosis.Check{c}), nil
}

// probe returns the check that asks a port for a module.
func (g *Examiner) probe(port string) (diagnosis.Check, bool) {
	for _, name := range g.drivers.Names() {
		if d, ok := g.drivers[name].(driver.Prober); ok {
			if c, ok := d.Probe(port); ok {
				return c, true
			}
		}
	}
	return diagnosis.Check{}, false
}

// Report makes the diagnosis; with tap, a test tap follows it.
func (g *Examiner) Report(ctx context.Context, tap bool) diagnosis.Report {
	list := g.checks(ctx)
	if !tap {
		list = append(list, tapNotAsked)
	}
	r := diagnosis.Run(ctx, g.clock, diagnosis.Limit, list)
	if tap { // readers are looked at first: a device has one owner
		r.Add(diagnosis.Run(ctx, g.clock, TapWait+time.Second, []diagnosis.Check{g.tapCheck()}))
	}
	r.Version = g.version
	if g.live != nil {
		r.Via = "daemon"
	}
	return r
}

// checks is the list for this desk. Readers that drivers discover count like
// configured ones.
func (g *Examiner) checks(ctx context.Context) []diagnosis.Check {
	zone, err := time.LoadLocation(g.cfg.Desk.Timezone)
	if err != nil {
		zone = time.UTC
	}
	list := []diagnosis.Check{
		g.daemonCheck(),
		diagnosis.ClockCheck(g.clock, g.floor, zone),
		g.configCheck(),
		outbox.Check(g.queueOptions()),
		g.busCheck(),
		desk.PageCheck(g.cfg.DeskPage.Listen, g.page()),
	}
	list = append(list, g.accountCheck()...)
	if !g.brief {
		list = append(list, diagnosis.SuspendCheck(g.sys), diagnosis.USBCheck(g.sys, g.dev), desk.VendorCheck())
	}
	readers := specs(g.cfg.Readers)
	for _, name := range g.drivers.Names() {
		if d, ok := g.drivers[name].(driver.Diagnoser); ok {
			own := slices.DeleteFunc(slices.Clone(readers), func(s driver.Spec) bool { return s.Driver != name })
			list = append(list, d.Checks(own, len(readers) == 0)...)
		}
	}
	return append(list, g.readerChecks(ctx)...)
}

func (g *Examiner) queueOptions() outbox.Options {
	o := QueueOptions(g.cfg, zerolog.Nop())
	o.Clock = g.clock
	return o
}

func (g *Examiner) page() string {
	if g.live == nil {
		return ""
	}
	return g.live.page
}

func (g *Examiner) configCheck() diagnosis.Check {
	return diagnosis.Check{Name: "config", Group: diagnosis.System, Run: func(_ context.Context, s *diagnosis.Sheet) {
		s.Fact(texts.Say("desk"), "%s", g.cfg.Desk.ID)
		for _, w := range g.cfg.Warnings {
			e := configWarning
			e.What = w
			s.Find(e, "")
		}
	}}
}

// busCheck asks the configured server as this desk, or says what the embedded
// one says of itself.
func (g *Examiner) busCheck() diagnosis.Check {
	n := g.cfg.NATS
	if n.URL == "" || g.brief {
		return diagnosis.Check{Name: "bus", Group: diagnosis.Bus, Run: func(ctx context.Context, s *diagnosis.Sheet) { g.busTold(ctx, s) }}
	}
	asked := bus.Check(g.look())
	return diagnosis.Check{Name: asked.Name, Group: asked.Group, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		asked.Run(ctx, s)
		if g.live != nil {
			g.busTold(ctx, s)
		}
	}}
}

// look is what the checks ask of the configured server.
func (g *Examiner) look() bus.Look {
	n := g.cfg.NATS
	return bus.Look{Server: BusServer(n), Stream: n.Stream, DeskID: g.cfg.Desk.ID, Filter: event.Filter(g.cfg.Desk.Division, g.cfg.Desk.ID),
		Replicas: n.Replicas, Clock: g.clock}
}

// accountCheck asks whether the stream is apart from the desks. A daemon says it
// of itself.
func (g *Examiner) accountCheck() []diagnosis.Check {
	if g.cfg.NATS.URL == "" || g.brief || g.live != nil {
		return nil
	}
	return []diagnosis.Check{bus.CheckApart(g.look())}
}

// connectGrace is how long a connection may be on its way before that is told.
const connectGrace = 3 * time.Second

func (g *Examiner) busTold(ctx context.Context, s *diagnosis.Sheet) {
	if g.live == nil {
		s.NotChecked(texts.Say("embedded_with_daemon"))
		return
	}
	h := g.live.bus.Health()
	for !g.brief && h.Code != "" && g.clock.Since(h.Since) < connectGrace && ctx.Err() == nil {
		g.clock.Sleep(50 * time.Millisecond)
		h = g.live.bus.Health()
	}
	if h.Local {
		s.Fact(texts.Say("embedded_local"), "%s", h.Stream)
	}
	if h.Mode != "" {
		s.Fact(texts.Say("duplicates_by"), "%s", h.Mode)
	}
	s.Add(bus.Told(h, g.clock.Now())...)
}

// readerChecks is one check per reader.
func (g *Examiner) readerChecks(ctx context.Context) []diagnosis.Check {
	list := specs(g.cfg.Readers)
	if len(list) == 0 {
		list = g.discovered(ctx)
	}
	if g.only != "" {
		list = slices.DeleteFunc(list, func(s driver.Spec) bool { return s.Name != g.only })
	}
	if len(list) == 0 {
		return []diagnosis.Check{{Name: "readers", Group: diagnosis.SAM, Run: func(_ context.Context, s *diagnosis.Sheet) { s.Find(reader.None, "") }}}
	}
	var checks []diagnosis.Check
	for _, spec := range list {
		checks = append(checks, diagnosis.Check{Name: "reader-" + spec.Name, Group: diagnosis.SAM, Run: func(ctx context.Context, s *diagnosis.Sheet) {
			if g.live != nil {
				g.running(ctx, s, spec)
			} else if p, _ := g.presence(); p != absent {
				s.NotChecked(texts.Say("daemon_has_it"))
			} else {
				g.examine(ctx, s, spec)
			}
		}})
	}
	return checks
}

// discoverWait bounds the search for readers that are not configured.
const discoverWait = 2 * time.Second

func (g *Examiner) discovered(ctx context.Context) []driver.Spec {
	if g.live != nil {
		var list []driver.Spec
		for _, s := range g.live.states.list() {
			spec := g.watched.Of(s.Reader).Spec()
			spec.Name = s.Reader
			list = append(list, spec)
		}
		return list
	}
	ctx, cancel := context.WithTimeout(ctx, discoverWait)
	defer cancel()
	var list []driver.Spec
	for _, name := range g.drivers.Names() {
		if found, err := g.drivers[name].Discover(ctx); err == nil {
			list = append(list, found...)
		}
	}
	return list
}

// examine tries a reader that nobody else in this program has open.
func (g *Examiner) examine(ctx context.Context, s *diagnosis.Sheet, spec driver.Spec) {
	if d, ok := g.drivers[spec.Driver].(driver.Examiner); ok {
		d.Examine(ctx, s, spec)
		return
	}
	w := sam.NewStopwatch(g.clock)
	spec.Wire = w
	dev, err := g.drivers.Open(ctx, spec)
	if err != nil {
		g.explain(s, spec, err)
		return
	}
	defer dev.Close()
	module := s.In(diagnosis.SAM)
	sam.Examine(ctx, module, spec.Name, dev, w)
}

// explain notes why a reader does not work: as its own driver explains it, or as
// any reader without one of its own.
func (g *Examiner) explain(s *diagnosis.Sheet, spec driver.Spec, err error) {
	d, known := g.drivers[spec.Driver]
	if own, ok := d.(driver.Diagnoser); ok {
		own.Diagnose(s, spec, err)
		return
	}
	module := s.In(diagnosis.SAM)
	if f, ok := sam.Explain(spec.Name, err); known && ok {
		module.Add(f)
		return
	}
	e, _ := reader.Explain(reader.PhaseOf(err))
	module.Find(e, spec.Name, err.Error())
}

// lendWait is how long a daemon's loop may hold on to a reader that does not
// work: one try to open it takes no longer.
const lendWait = 5 * time.Second

// noisyWithin and noisyFrom say when a reader in use counts as noisy: so many
// errors within so long.
const (
	noisyWithin = 10 * time.Minute
	noisyFrom   = 3
)

// running looks at a reader of the running daemon: what its loop knows, and
// where that is no more than that it does not work, the reader itself.
func (g *Examiner) running(ctx context.Context, s *diagnosis.Sheet, spec driver.Spec) {
	state, known := g.live.states.reader(spec.Name)
	watched := g.watched.Of(spec.Name)
	module := s.In(diagnosis.SAM)
	if !known {
		module.NotChecked(texts.Say("no_state_yet", spec.Name))
		return
	}
	switch state.Phase {
	case reader.Away, reader.Busy, reader.Denied, reader.Starting:
		if g.brief {
			if state.Err != nil {
				g.explain(s, spec, state.Err)
			}
			return
		}
		lent, cancel := context.WithTimeout(ctx, lendWait)
		defer cancel()
		giveBack, err := watched.Lend(lent)
		if err == nil {
			defer giveBack()
			g.examine(ctx, s, spec)
			return
		}
		if state, _ = g.live.states.reader(spec.Name); state.Err != nil {
			g.explain(s, spec, state.Err)
			return
		}
	case reader.Faulty, reader.NoIdentity, reader.Stuck, reader.Telnet, reader.Dialect:
		sam.Identified(module, spec.Name, state.Identity, nil)
		if f, ok := sam.Explain(spec.Name, state.Err); ok {
			module.Add(f)
		}
		return
	case reader.Stopped:
		if state.Err != nil {
			g.explain(s, spec, state.Err)
		}
		return
	}
	sam.Identified(module, spec.Name, state.Identity, watched.Times)
	c := state.Counts
	module.Fact(texts.Say("since_start", spec.Name), "%s", texts.Say("counts", c.Taps, c.Reads, c.LineErrors, c.Reopened))
	if bad := watched.LineErrors(noisyWithin); bad >= noisyFrom {
		module.Find(sam.Noisy, spec.Name, texts.Say("noisy", bad, noisyWithin))
		return
	}
	sam.Pace(module, spec.Name, state.Identity.Baud, watched.Times)
}

var (
	configWarning = diagnosis.NewEntry(texts, "config_warning", diagnosis.Warning)
)

// Entries are what the daemon and its diagnosis find themselves.
func Entries() []diagnosis.Entry {
	return append([]diagnosis.Entry{daemonStopped, daemonHung, configWarning}, preflight.Entries()...)
}

// Errors of what somebody asked to look at.
var (
	ErrNoSuchReader = texts.Errorf("no_such_reader")
	ErrNoPort       = texts.Errorf("no_port")
)
