package bus

import (
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// strangers are messages that a server, or somebody with an administrator's
// rights, put on a desk's subjects.
var strangers = map[string]nats.Msg{
	"answer of stream info": {Data: []byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response"}`)},
	"acknowledgement":       {Data: []byte(`{"stream":"REGISTRATIONS","seq":7}`)},
	"empty":                 {},
	"bounced, behind":       {Header: nats.Header{"ce-id": {"x"}, "ce-epoch": {"e1"}, "ce-sequence": {"9999"}, "Nats-Sequence": {"1"}, "Nats-Stream": {"REGISTRATIONS"}}},
	"bounced, ahead":        {Header: nats.Header{"ce-id": {"x"}, "ce-epoch": {"e1"}, "ce-sequence": {"9999"}, "Nats-Sequence": {"99999"}}},
	"bounced, other epoch":  {Header: nats.Header{"ce-id": {"x"}, "ce-epoch": {"e0"}, "ce-sequence": {"5"}, "Nats-Subject": {"idtap.v1.x"}}},
	"status":                {Header: nats.Header{"Status": {"404"}, "ce-id": {"x"}, "ce-epoch": {"e1"}, "ce-sequence": {"9999"}}},
	"no number":             {Header: nats.Header{"ce-id": {"x"}, "ce-epoch": {"e1"}}},
}

// auditBeside is audit, with n strangers in the stream.
func (c *central) auditBeside(n int, q *faulttest.Queue) {
	c.t.Helper()
	accepted := map[string]bool{}
	for _, s := range q.Accepted() {
		accepted[s.ID] = true
	}
	var own []faulttest.Stored
	all := c.stored()
	for _, s := range all {
		if accepted[s.ID] {
			own = append(own, s)
		}
	}
	if tally := faulttest.Audit(accepted, own); !tally.OK() || len(all)-len(own) != n {
		c.t.Errorf("%v beside %d others, want all delivered once beside %d", tally, len(all)-len(own), n)
	}
}

func TestStrangersNeverStopADesk(t *testing.T) {
	subject := event.Subject(event.RecordedType, event.Place{DeskDivision: division, DeskID: "d1", HukouDivision: "110105"})
	for name, m := range strangers {
		for _, when := range []string{"live", "while off", "before the first", "an acknowledgement lost"} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				c := startCentral(t, 1, nil)
				c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
				strange := func() {
					must[*nats.Msg](t)(c.nc.RequestMsg(&nats.Msg{Subject: subject, Header: m.Header, Data: m.Data}, 5*time.Second))
				}
				q := faulttest.NewQueue("e1", division, "d1")
				if when == "before the first" {
					strange()
				}
				n := c.network(0)
				d := startDesk(t, q, Options{Provider: n})
				q.Accept(5, hukou)
				d.drained()
				want := 1
				switch when {
				case "live":
					strange()
				case "while off":
					d.Stop()
					strange()
					d = startDesk(t, q, Options{Provider: c.network(0)})
				case "an acknowledgement lost":
					want = 2
					lost := make(chan bool, 1)
					n.Swallow(func() bool {
						select {
						case lost <- true: // once
							strange()
							time.Sleep(150 * time.Millisecond) // the duplicate window passes
							return true
						default:
							return false
						}
					})
					strange()
				}
				q.Accept(5, hukou)
				d.drained()
				if name == "status" { // the client library reads no further than such a message
					if s := must[jetstream.Stream](t)(c.js.Stream(t.Context(), stream)); s.CachedInfo().State.Msgs != uint64(10+want) {
						t.Errorf("%d stored, want %d", s.CachedInfo().State.Msgs, 10+want)
					}
				} else {
					c.auditBeside(want, q)
				}
				if h := d.until("delivering", Health.Delivering); when != "before the first" && fmt.Sprint(h.Problems) == "[]" {
					t.Errorf("problems = %v, want %s", h.Problems, Stranger)
				}
				if s := must[outbox.Stats](t)(q.Stats(t.Context())); s.Foreign != nil {
					t.Errorf("foreign = %+v, want none", s.Foreign)
				}
			})
		}
	}
}

func TestBacklogIsTold(t *testing.T) {
	clock := clockwork.NewFakeClock()
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Clock: clock, AckWait: 5 * time.Second})
	d.until("delivering", Health.Delivering)
	c.update(func(s *jetstream.StreamConfig) { s.MaxMsgs = 1 })
	q.Accept(5, hukou)
	d.untilCode(StreamFull)
	backlog := func(h Health) bool {
		clock.Advance(backlogLook)
		for _, p := range h.Problems {
			if p.Code == Backlog {
				return true
			}
		}
		return false
	}
	d.until("a backlog", backlog)
	c.update(func(s *jetstream.StreamConfig) { s.MaxMsgs = -1 })
	d.until("no backlog", func(h Health) bool { return !backlog(h) && len(q.Acks()) == 5 })
}
