package daemon

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// observer carries what happens at the readers to the bus and the page.
type observer struct {
	states *states
	board  *desk.Board
	queue  *outbox.Queue
	bus    *bus.Bus
	facts  publisher.DeskFacts
	lang   string
	log    zerolog.Logger
}

var _ publisher.Observer = (*observer)(nil)

// Reader publishes a reader's status when it changes for others.
func (o *observer) Reader(s reader.State) {
	o.log.Debug().Str("reader", s.Reader).Str("phase", string(s.Phase)).Uint64("line_errors", s.Counts.LineErrors).Err(s.Err).Msg("phase")
	before, known := o.states.note(s)
	status, tell := publisher.NewReaderStatus(o.facts, s)
	if earlier, told := publisher.NewReaderStatus(o.facts, before); !tell || known && told && earlier.State == status.State {
		return
	}
	l := o.log.Info()
	if s.Err != nil {
		l = o.log.Warn().Err(s.Err)
		if e, ok := reader.Explain(s.Phase); ok {
			l = l.Str("remedy", e.Do.In(o.lang))
		}
	}
	if s.Identity.Simulated {
		l = l.Bool("simulated", true) // its events are tests
	}
	l.Str("reader", s.Reader).Str("state", status.State).Str("sam", s.Identity.SAM).Int("baud", s.Identity.Baud).Msg("reader")
	env, err := event.StatusEnvelope(event.Place{DeskDivision: o.facts.Division, DeskID: o.facts.ID}, s.Reader, s.Since)
	if err == nil {
		err = o.bus.ReaderStatus(env, status)
	}
	if err != nil {
		o.log.Debug().Err(err).Msg("reader status not published")
	}
}

// Tapped implements publisher.Observer.
func (o *observer) Tapped(t publisher.Tapped) {
	o.states.count(t.Outcome, t.At)
	showQueue(context.Background(), o.queue, o.board)
}

// FollowedUp implements publisher.Observer.
func (o *observer) FollowedUp(publisher.FollowUp) {
	showQueue(context.Background(), o.queue, o.board)
}

// showQueue shows the queue as it is now.
func showQueue(ctx context.Context, q *outbox.Queue, b *desk.Board) {
	s, err := q.Stats(ctx)
	if err != nil {
		return // closing; a queue that fails says so at the next tap
	}
	b.Queue(desk.QueueState{Waiting: s.Undelivered(), Oldest: s.Oldest, Full: s.Full, Damaged: s.Fault != ""})
}

// watchQueue shows each change of the queue on the page.
func watchQueue(ctx context.Context, q *outbox.Queue, b *desk.Board) {
	for {
		changed := q.Changed()
		showQueue(ctx, q, b)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// busDisplay shows changes of the bus on the page and in the log.
type busDisplay struct {
	board    *desk.Board
	stopping *atomic.Bool // the daemon is on its way out
	lang     string
	log      zerolog.Logger

	mu    sync.Mutex
	mode  desk.BusMode // as last shown
	since time.Time
}

// shownProblem is the trouble that the page tells beside the mode. A server out of
// reach is what the mode says already; a refused login or an expired certificate
// does not mend itself, and waiting for it is no patience.
func shownProblem(mode desk.BusMode, h bus.Health) string {
	switch {
	case h.Code == bus.Unreachable && (mode == desk.BusAway || mode == desk.BusConnecting):
		return ""
	case h.Code == "" && slices.ContainsFunc(h.Problems, func(p bus.Problem) bool { return p.Code == bus.Backlog }):
		return string(bus.Backlog)
	}
	return string(h.Code)
}

func (b *busDisplay) show(h bus.Health) {
	b.mu.Lock()
	mode := desk.BusAway
	switch {
	case h.Local:
		mode = desk.BusLocal
	case h.Connected:
		mode = desk.BusConnected
	case h.Connects == 0:
		mode = desk.BusConnecting
	}
	if mode != b.mode {
		b.mode, b.since = mode, h.Since
	}
	state := desk.BusState{Mode: mode, Problem: shownProblem(mode, h), Since: b.since}
	b.mu.Unlock()
	b.board.Bus(state)
	l := b.log.Info()
	switch e, ok := bus.Explain(h.Code); {
	case h.Code == bus.Unreachable && (h.Connected || h.Connects == 0 && h.Detail == bus.NotConnected || b.stopping.Load()):
		l = b.log.Debug() // on the way, not yet, or not any more: nothing is wrong
	case ok:
		l = b.log.Warn().Str("remedy", e.Remedy.In(b.lang))
	}
	l.Str("mode", string(mode)).Str("code", string(h.Code)).Str("detail", h.Detail).Msg("bus")
}
