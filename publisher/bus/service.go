package bus

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"idtap/publisher/event"
)

// ServiceName is the micro service that every desk answers as:
// $SRV.PING.idtap, $SRV.INFO.idtap, $SRV.STATS.idtap, and the endpoints diag,
// readers and stats on $SRV.idtap.<desk tokens>.
const ServiceName = "idtap"

// Sources are what the micro service's endpoints answer, as values for
// encoding/json. Nothing personal may be in them. A nil source has no endpoint.
type Sources struct {
	Diag    func() any
	Readers func() any
	Stats   func() any // also the data of $SRV.STATS
}

// ServiceSubject is where a desk's endpoint listens.
func ServiceSubject(deskDivision, deskID, endpoint string) string {
	return "$SRV." + ServiceName + "." + event.DeskTokens(deskDivision, deskID) + "." + endpoint
}

// service answers on the bus. The micro library ends it with its connection.
type service struct {
	bus *Bus

	mu     sync.Mutex
	nc     *nats.Conn
	micro  micro.Service
	states map[string]status // by reader
}

type status struct {
	env  event.Envelope
	data []byte
}

// serve makes sure that the service answers on the present connection.
func (s *service) serve() error {
	nc, _, err := s.bus.link.up()
	if err != nil {
		return nil // the next connection calls again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.micro != nil && s.nc == nc && !s.micro.Stopped() {
		return nil
	}
	o := s.bus.o
	stats := func(*micro.Endpoint) any { return nil }
	if o.Sources.Stats != nil {
		stats = func(*micro.Endpoint) any { return o.Sources.Stats() }
	}
	svc, err := micro.AddService(nc, micro.Config{
		Name:               ServiceName,
		Version:            semver(o.Version),
		Description:        "resident ID card taps at a service desk",
		Metadata:           map[string]string{"desk": o.DeskID, "division": o.DeskDivision},
		QueueGroupDisabled: true,
		StatsHandler:       stats,
	})
	if err != nil {
		return err
	}
	for _, e := range []struct {
		name   string
		answer func() any
	}{{"diag", o.Sources.Diag}, {"readers", o.Sources.Readers}, {"stats", o.Sources.Stats}} {
		if e.answer == nil {
			continue
		}
		answer := micro.HandlerFunc(func(r micro.Request) {
			if err := r.RespondJSON(e.answer()); err != nil {
				o.Log.Warn().Err(err).Str("endpoint", e.name).Msg("no answer could be sent")
			}
		})
		if err := svc.AddEndpoint(e.name, answer, micro.WithEndpointSubject(ServiceSubject(o.DeskDivision, o.DeskID, e.name))); err != nil {
			svc.Stop()
			return err
		}
	}
	s.nc, s.micro = nc, svc
	return nil
}

// publish tells a reader's state to whoever listens now; states are not stored.
func (s *service) publish(st status) {
	nc, _, err := s.bus.link.up()
	if err != nil {
		return // told again with the next connection
	}
	msg := &nats.Msg{Subject: st.env.Subject, Header: nats.Header(s.bus.signing.sign(st.env, st.data).Headers()), Data: st.data}
	if err := nc.PublishMsg(msg); err != nil {
		s.bus.o.Log.Debug().Err(err).Msg("a reader's state was not told")
	}
}

// tellAll repeats every reader's state, after a connection was made.
func (s *service) tellAll() {
	s.mu.Lock()
	states := make([]status, 0, len(s.states))
	for _, st := range s.states {
		states = append(states, st)
	}
	s.mu.Unlock()
	slices.SortFunc(states, func(a, b status) int { return cmp.Compare(a.env.Source, b.env.Source) })
	for _, st := range states {
		s.publish(st)
	}
}

// ReaderStatus publishes a reader's state on the desk's status subject (core
// NATS, not stored) now and after every reconnect.
func (b *Bus) ReaderStatus(env event.Envelope, st event.ReaderStatus) error {
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	one := status{env, data}
	b.service.mu.Lock()
	b.service.states[st.Reader] = one
	b.service.mu.Unlock()
	b.service.publish(one)
	return nil
}

// semver makes a version that the micro service accepts: "dev" is 0.0.0-dev.
func semver(v string) string {
	v = strings.TrimPrefix(v, "v")
	if v != "" && v[0] >= '0' && v[0] <= '9' && strings.Count(v, ".") >= 2 {
		return v
	}
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, v)
	return "0.0.0-" + cmp.Or(clean, "dev")
}
