package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"idtap/driver/diagnosis"
	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/publisher/event"
	"idtap/reader"
)

// answers are what the micro service says. It listens before everything that it
// is asked about has started; until then its answers are empty.
type answers struct {
	monitor  atomic.Pointer[monitor]
	examiner atomic.Pointer[func() *Examiner]
}

// from says where the answers come from.
func (a *answers) from(m *monitor, examiner func() *Examiner) {
	a.examiner.Store(&examiner)
	a.monitor.Store(m)
}

// sources are the readers, counters, and a diagnosis of what is known without
// trying anything.
func (a *answers) sources() bus.Sources {
	return bus.Sources{
		Diag: func() any {
			examiner := a.examiner.Load()
			if examiner == nil {
				return diagnosis.Report{Level: diagnosis.Unknown}
			}
			ctx, cancel := context.WithTimeout(context.Background(), briefWithin)
			defer cancel()
			g := (*examiner)()
			g.brief = true
			return g.Report(ctx, false)
		},
		Readers: func() any {
			if m := a.monitor.Load(); m != nil {
				return m.readerHealth()
			}
			return []readerHealth{}
		},
		Stats: func() any {
			if m := a.monitor.Load(); m != nil {
				return m.deskStats()
			}
			return deskStats{}
		},
	}
}

// briefWithin bounds the diagnosis that the bus asks for: less than the 5 s that
// clients wait.
const briefWithin = 4 * time.Second

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

func (m *monitor) readerHealth() []readerHealth {
	facts := publisher.DeskFacts{ID: m.deskID, Zone: m.zone}
	list := []readerHealth{}
	for _, s := range m.states.list() {
		status, worth := publisher.NewReaderStatus(facts, s)
		if !worth {
			status.State = string(reader.Starting)
		}
		r := readerHealth{Reader: s.Reader, State: status.State, Since: event.Time{Time: s.Since.In(m.zone)}, Model: s.Identity.Model,
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
	LastTap   *event.Time                  `json:"last_tap,omitempty"`
	Waiting   int                          `json:"waiting"`
	Oldest    *event.Time                  `json:"oldest,omitempty"` // of the waiting ones
	Dead      int                          `json:"dead"`
	FreeBytes int64                        `json:"free_bytes"`
	Full      bool                         `json:"full"`
	Damaged   bool                         `json:"damaged"`
	Bus       bus.Health                   `json:"bus"`
}

func (m *monitor) deskStats() deskStats {
	s := deskStats{Taps: m.states.counts(), Bus: m.bus.Health()}
	if at := m.states.lastTap(); !at.IsZero() {
		s.LastTap = &event.Time{Time: at.In(m.zone)}
	}
	if q, err := m.queueStats(); err == nil {
		s.Waiting, s.Dead, s.FreeBytes, s.Full, s.Damaged = q.Undelivered(), q.Dead, q.FreeBytes, q.Full, q.Fault != ""
		if !q.Oldest.IsZero() {
			s.Oldest = &event.Time{Time: q.Oldest.In(m.zone)}
		}
	}
	return s
}
