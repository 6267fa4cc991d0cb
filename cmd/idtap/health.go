package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"idtap/config"
	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/reader"
)

// health carries states between the parts: readers' to the bus, the bus's and
// the queue's to the page.
type health struct {
	daemon *daemon

	mu      sync.Mutex
	readers map[string]reader.State
	mode    desk.BusMode // as last shown
	since   time.Time
}

var _ publisher.Observer = (*health)(nil)

// Reader publishes a reader's status when it changes for others.
func (h *health) Reader(s reader.State) {
	d := h.daemon
	d.log.Debug().Str("reader", s.Reader).Str("phase", string(s.Phase)).Uint64("line_errors", s.Counts.LineErrors).Err(s.Err).Msg("phase")
	h.mu.Lock()
	if h.readers == nil {
		h.readers = map[string]reader.State{}
	}
	before, known := h.readers[s.Reader]
	h.readers[s.Reader] = s
	h.mu.Unlock()
	facts := event.DeskFacts{ID: d.cfg.Desk.ID, Division: d.cfg.Desk.Division, Zone: d.zone, Test: d.demo}
	status, tell := event.NewReaderStatus(facts, s)
	if earlier, told := event.NewReaderStatus(facts, before); !tell || known && told && earlier.State == status.State {
		return
	}
	l := d.log.Info()
	if s.Err != nil {
		l = d.log.Warn().Err(s.Err)
	}
	l.Str("reader", s.Reader).Str("state", status.State).Str("sam", s.Identity.SAM).Int("baud", s.Identity.Baud).Msg("reader")
	env, err := event.StatusEnvelope(facts, s.Reader, s.Since)
	if err == nil {
		err = d.bus.ReaderStatus(env, status)
	}
	if err != nil {
		d.log.Debug().Err(err).Msg("reader status not published")
	}
}

// Tapped implements publisher.Observer.
func (h *health) Tapped(publisher.Tapped) { h.queue(context.Background()) }

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
	h.daemon.log.Info().Str("mode", string(mode)).Str("code", string(s.Code)).Str("detail", s.Detail).Msg("bus")
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

// printer prints one masked line per accepted event.
type printer struct {
	app  *app
	desk config.Desk
}

var _ publisher.Observer = (*printer)(nil)

// Reader implements publisher.Observer.
func (p *printer) Reader(reader.State) {}

// Tapped implements publisher.Observer.
func (p *printer) Tapped(t publisher.Tapped) {
	if t.Outcome != publisher.Accepted {
		return
	}
	data, err := json.Marshal(t.Data)
	if err != nil {
		return
	}
	p.print(event.RecordedType, t.Data.Desk.Seq, t.Reader, t.Data.Timing.AcceptedAt.Time, data)
}

// FollowedUp implements publisher.Observer.
func (p *printer) FollowedUp(u publisher.FollowUp) {
	if u.Type != event.RecordedType {
		fmt.Fprintln(p.app.out, u.At.Format("15:04:05"), event.Token(u.Type), u.Refers)
	}
}

func (p *printer) print(ceType string, seq uint64, readerName string, at time.Time, data []byte) {
	env := event.Envelope{Type: ceType, Seq: seq, Source: event.Source(p.desk.ID, readerName), Time: at, Content: event.ContentJSON}
	fmt.Fprintln(p.app.out, event.Line(env, data, p.app.lang))
}
