package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"idtap/driver/diagnosis"
	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/reader"
)

// health carries states between the parts: readers' to the bus, the bus's and
// the queue's to the page, and all of them to whoever asks (diag, the micro
// service, /metrics, /healthz).
type health struct {
	daemon *daemon

	mu      sync.Mutex
	readers map[string]reader.State
	taps    map[publisher.Outcome]uint64
	mode    desk.BusMode // as last shown
	since   time.Time
}

var _ publisher.Observer = (*health)(nil)

// Reader publishes a reader's status when it changes for others.
func (h *health) Reader(s reader.State) {
	d := h.daemon
	d.log.Debug().Str("reader", s.Reader).Str("phase", string(s.Phase)).Uint64("line_errors", s.Counts.LineErrors).Err(s.Err).Msg("phase")
	before, known := h.note(s)
	facts := publisher.DeskFacts{ID: d.cfg.Desk.ID, Division: d.cfg.Desk.Division, Zone: d.zone, Test: d.demo}
	status, tell := publisher.NewReaderStatus(facts, s)
	if earlier, told := publisher.NewReaderStatus(facts, before); !tell || known && told && earlier.State == status.State {
		return
	}
	l := d.log.Info()
	if s.Err != nil {
		l = d.log.Warn().Err(s.Err)
		if e, ok := reader.Explain(s.Phase); ok {
			l = l.Str("remedy", e.Do.In(d.app.lang))
		}
	}
	l.Str("reader", s.Reader).Str("state", status.State).Str("sam", s.Identity.SAM).Int("baud", s.Identity.Baud).Msg("reader")
	env, err := event.StatusEnvelope(event.Place{DeskDivision: facts.Division, DeskID: facts.ID}, s.Reader, s.Since)
	if err == nil {
		err = d.bus.ReaderStatus(env, status)
	}
	if err != nil {
		d.log.Debug().Err(err).Msg("reader status not published")
	}
}

// note keeps a state and gives the one before.
func (h *health) note(s reader.State) (before reader.State, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers == nil {
		h.readers = map[string]reader.State{}
	}
	before, known = h.readers[s.Reader]
	h.readers[s.Reader] = s
	return before, known
}

// reader is a reader's last state.
func (h *health) reader(name string) (s reader.State, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, known = h.readers[name]
	return s, known
}

// states lists the readers' last states by name.
func (h *health) states() []reader.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.Collect(maps.Values(h.readers))
	slices.SortFunc(list, func(a, b reader.State) int { return strings.Compare(a.Reader, b.Reader) })
	return list
}

// Tapped implements publisher.Observer.
func (h *health) Tapped(t publisher.Tapped) {
	h.mu.Lock()
	if h.taps == nil {
		h.taps = map[publisher.Outcome]uint64{}
	}
	h.taps[t.Outcome]++
	h.mu.Unlock()
	h.queue(context.Background())
}

// tapped counts the taps since the start by outcome.
func (h *health) tapped() map[publisher.Outcome]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[publisher.Outcome]uint64{}
	for _, o := range []publisher.Outcome{publisher.Accepted, publisher.Repeat, publisher.Refused, publisher.Full, publisher.Failed} {
		counts[o] = h.taps[o]
	}
	return counts
}

// FollowedUp implements publisher.Observer.
func (h *health) FollowedUp(publisher.FollowUp) { h.queue(context.Background()) }

// bus shows a change of the bus.
func (h *health) bus(s bus.Health) {
	h.mu.Lock()
	mode := desk.BusAway
	switch {
	case s.Local:
		mode = desk.BusLocal
	case s.Connected:
		mode = desk.BusConnected
	case s.Connects == 0:
		mode = desk.BusConnecting
	}
	if mode != h.mode {
		h.mode, h.since = mode, s.Since
	}
	state := desk.BusState{Mode: mode, Problem: string(s.Code), Since: h.since}
	h.mu.Unlock()
	if mode == desk.BusAway || mode == desk.BusConnecting {
		state.Problem = ""
	}
	h.daemon.board.Bus(state)
	l := h.daemon.log.Info()
	switch e, ok := bus.Explain(s.Code); {
	case s.Code == bus.Unreachable && (s.Connected || s.Connects == 0 && s.Detail == bus.NotConnected || h.daemon.stopping.Load()):
		l = h.daemon.log.Debug() // on the way, not yet, or not any more: nothing is wrong
	case ok:
		l = h.daemon.log.Warn().Str("remedy", e.Remedy.In(h.daemon.app.lang))
	}
	l.Str("mode", string(mode)).Str("code", string(s.Code)).Str("detail", s.Detail).Msg("bus")
}

// queue shows the queue as it is now.
func (h *health) queue(ctx context.Context) {
	s, err := h.daemon.queue.Stats(ctx)
	if err != nil {
		return // closing; a queue that fails says so at the next tap
	}
	h.daemon.board.Queue(desk.QueueState{Waiting: s.Waiting, Oldest: s.Oldest, Full: s.Full, Damaged: s.Fault != ""})
}

// watch keeps the queue's state on the page fresh: deliveries have no other way
// there.
func (h *health) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		h.queue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// readerHealth is a reader in the micro service's answers. Nothing in it is
// personal, and it does not tell that a card lies there.
type readerHealth struct {
	Reader string        `json:"reader"`
	State  string        `json:"state"`
	Since  event.Time    `json:"since"`
	Cause  string        `json:"cause,omitempty"`
	Model  string        `json:"model,omitempty"`
	SAM    string        `json:"sam,omitempty"`
	Baud   int           `json:"baud,omitempty"`
	Detail string        `json:"detail,omitempty"`
	Counts reader.Counts `json:"counts"`
}

// sources are what the micro service answers: the readers, counters, and a
// diagnosis of what is known without trying anything.
func (h *health) sources() bus.Sources {
	return bus.Sources{
		Diag:    func() any { return h.diag() },
		Readers: func() any { return h.readerHealth() },
		Stats:   func() any { return h.stats() },
	}
}

// briefWithin bounds the diagnosis that the bus asks for: less than the 5 s that
// clients wait.
const briefWithin = 4 * time.Second

func (h *health) diag() diagnosis.Report {
	ctx, cancel := context.WithTimeout(context.Background(), briefWithin)
	defer cancel()
	g := h.daemon.diagnosed()
	g.brief = true
	return g.run(ctx, false)
}

func (h *health) readerHealth() []readerHealth {
	facts := publisher.DeskFacts{ID: h.daemon.cfg.Desk.ID, Zone: h.daemon.zone}
	list := []readerHealth{}
	for _, s := range h.states() {
		status, worth := publisher.NewReaderStatus(facts, s)
		if !worth {
			status.State = string(reader.Starting)
		}
		r := readerHealth{Reader: s.Reader, State: status.State, Since: event.Time{Time: s.Since.In(h.daemon.zone)}, Model: s.Identity.Model,
			SAM: s.Identity.SAM, Baud: s.Identity.Baud, Detail: s.Identity.Detail, Counts: s.Counts}
		if s.Err != nil && status.State != string(reader.Ready) {
			r.Cause = s.Err.Error()
		}
		list = append(list, r)
	}
	return list
}

// deskStats are the counters of the micro service.
type deskStats struct {
	Taps      map[publisher.Outcome]uint64 `json:"taps"` // since the start
	Waiting   int                          `json:"waiting"`
	Oldest    *event.Time                  `json:"oldest,omitempty"` // of the waiting ones
	Dead      int                          `json:"dead"`
	FreeBytes int64                        `json:"free_bytes"`
	Full      bool                         `json:"full"`
	Damaged   bool                         `json:"damaged"`
	Bus       bus.Health                   `json:"bus"`
}

func (h *health) stats() deskStats {
	s := deskStats{Taps: h.tapped(), Bus: h.daemon.bus.Health()}
	if q, err := h.queueStats(); err == nil {
		s.Waiting, s.Dead, s.FreeBytes, s.Full, s.Damaged = q.Waiting, q.Dead, q.FreeBytes, q.Full, q.Fault != ""
		if !q.Oldest.IsZero() {
			s.Oldest = &event.Time{Time: q.Oldest.In(h.daemon.zone)}
		}
	}
	return s
}
