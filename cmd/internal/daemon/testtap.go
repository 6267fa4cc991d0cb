package daemon

import (
	"context"
	"strings"
	"sync"
	"time"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
	"idtap/internal/text"
	"idtap/publisher"
	"idtap/reader"
	"idtap/reader/identity"
)

// TapWait is how long a test tap waits for a card.
const TapWait = 20 * time.Second

// slowTap is what a tap may take beyond its bytes' time on the wire.
const slowTap = 2 * time.Second

var tapNotAsked = diagnosis.Check{Name: "test-tap", Group: diagnosis.Cards, Run: func(_ context.Context, s *diagnosis.Sheet) {
	s.NotChecked(texts.Say("not_asked"))
}}

// sink hands taps to the intake, but for those that a test waits for.
type sink struct {
	*publisher.Intake
	observe func(reader.Tap) // sees every tap; must not block

	mu      sync.Mutex
	waiting map[string]chan reader.Tap // by reader
}

var _ reader.Sink = (*sink)(nil)

// Tap settles a tap. One that a test waits for goes no further.
func (s *sink) Tap(ctx context.Context, t reader.Tap) error {
	s.mu.Lock()
	test := s.waiting[t.Reader]
	delete(s.waiting, t.Reader)
	s.mu.Unlock()
	if test != nil {
		test <- t
		return nil
	}
	s.observe(t)
	return s.Intake.Tap(ctx, t)
}

var errTested = texts.Errorf("tested")

// next waits for the next tap on a reader and keeps it from being published.
func (s *sink) next(ctx context.Context, name string) (reader.Tap, error) {
	test := make(chan reader.Tap, 1)
	s.mu.Lock()
	if s.waiting[name] != nil {
		s.mu.Unlock()
		return reader.Tap{}, errTested
	}
	if s.waiting == nil {
		s.waiting = map[string]chan reader.Tap{}
	}
	s.waiting[name] = test
	s.mu.Unlock()
	select {
	case t := <-test:
		return t, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	if s.waiting[name] == test {
		delete(s.waiting, name)
	}
	s.mu.Unlock()
	select {
	case t := <-test: // it came at the last moment
		return t, nil
	default:
		return reader.Tap{}, ctx.Err()
	}
}

// tapCheck waits for a card and says how reading it went. Nothing of it is
// published, counted or shown.
func (g *Examiner) tapCheck() diagnosis.Check {
	return diagnosis.Check{Name: "test-tap", Group: diagnosis.Cards, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		spec, err := g.oneReader(ctx)
		if err != nil {
			s.NotChecked(texts.Say("which_reader"))
			return
		}
		ctx, cancel := context.WithTimeout(ctx, TapWait)
		defer cancel()
		tap, baud, err := g.awaitTap(ctx, spec)
		if err != nil {
			s.NotChecked(texts.Say("no_card"))
			return
		}
		times := g.watched.Of(spec.Name).Times
		for _, c := range []struct {
			code sam.Code
			step text.Text
		}{{sam.CmdFind, texts.Say("step_find")}, {sam.CmdSelect, texts.Say("step_select")}, {sam.CmdReadText, texts.Say("step_text")},
			{sam.CmdReadAddress, texts.Say("step_address")}} {
			if e, ok := times.Last(c.code); ok {
				s.Fact(c.step, "%s", texts.Say("on_wire", e.Took.Milliseconds(), e.Wire(baud).Milliseconds()))
			}
		}
		var codes []string
		for _, f := range tap.Checked.Findings {
			codes = append(codes, f.Code)
		}
		s.Fact(texts.Say("card"), "%s, %s", tap.Checked.Kind, strings.Join(append(codes, worst(tap.Checked)), ", "))
		wire := sam.WholeRead(baud) * time.Duration(max(tap.Attempts, 1))
		s.Fact(texts.Say("in_all"), "%s", texts.Say("tap_took", tap.ReadTime.Milliseconds(), tap.Attempts, wire.Milliseconds()))
		if tap.ReadTime > wire+slowTap {
			s.Find(sam.Slow, spec.Name, texts.Say("slow_tap", tap.ReadTime.Milliseconds(), wire.Milliseconds()))
			return
		}
		s.Fact(texts.Say("verdict"), "%s", texts.Say("ok"))
	}}
}

func worst(c identity.Checked) string {
	if w := c.Worst(); w != "" {
		return string(w)
	}
	return "clean"
}

var errWhichReader = texts.Errorf("which_reader")

// oneReader is the reader that was named, or the only one.
func (g *Examiner) oneReader(ctx context.Context) (driver.Spec, error) {
	list := specs(g.cfg.Readers)
	if len(list) == 0 {
		list = g.discovered(ctx)
	}
	for _, s := range list {
		if s.Name == g.only || g.only == "" && len(list) == 1 {
			return s, nil
		}
	}
	return driver.Spec{}, errWhichReader
}

// awaitTap reads one card, through the daemon's loop where one runs, and gives
// the rate that the reader was read at, 0 if that is not known.
func (g *Examiner) awaitTap(ctx context.Context, spec driver.Spec) (tap reader.Tap, baud int, err error) {
	if g.live != nil {
		tap, err = g.live.sink.next(ctx, spec.Name)
		state, _ := g.live.states.reader(spec.Name)
		return tap, state.Identity.Baud, err
	}
	ctx, cancel := context.WithCancel(ctx)
	first := &firstTap{taps: make(chan reader.Tap, 1)}
	var reading sync.WaitGroup
	reading.Go(func() { g.read(ctx, spec, first) })
	select {
	case tap = <-first.taps:
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	reading.Wait()
	return tap, first.baud, err
}

// read runs the reading loop of the daemon on one reader.
func (g *Examiner) read(ctx context.Context, spec driver.Spec, to reader.Sink) {
	reader.Set{Drivers: g.watched.Registry(g.drivers), Readers: []driver.Spec{spec},
		Options: reader.Options{Sink: to, Poll: time.Duration(g.cfg.Policy.Poll), Verify: reader.Verify(g.cfg.Policy.VerifyReads), Clock: g.clock,
			Identity: identity.Options{DeskDivision: g.cfg.Desk.Division, ClockFloor: g.floor}}}.Run(ctx)
}

// firstTap is a sink that keeps the first tap and settles all.
type firstTap struct {
	taps chan reader.Tap
	baud int // of the reader; for whoever waits until the loop has ended
}

func (f *firstTap) State(s reader.State) { f.baud = max(f.baud, s.Identity.Baud) }

func (f *firstTap) Tap(_ context.Context, t reader.Tap) error {
	select {
	case f.taps <- t:
	default:
	}
	return nil
}
