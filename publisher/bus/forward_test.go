package bus

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

func TestEmbeddedServerKeepsEventsOnTheDesk(t *testing.T) {
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(3, hukou)
	d := startDesk(t, q, embeddedOptions(t))
	d.drained()
	// The count follows the marks.
	h := d.until("done with three", func(h Health) bool { return h.Delivering() && h.Acked == 3 })
	if !h.Local || h.Mode != ModeChain || h.Listen != "" {
		t.Fatalf("%+v", h)
	}
	for row, ack := range q.Acks() {
		if !ack.Local || ack.Stream != stream || ack.Duplicate {
			t.Fatalf("row %d: %+v", row, ack)
		}
	}
}

func TestEventsAreStoredOnceInOrder(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(20, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.drained()
	c.audit(q)
	stored := c.stored()
	for i, m := range stored {
		if m.Seq != uint64(i+1) || m.ID != m.MsgID || m.Epoch != "e1" || m.Subject != "idtap.v1.recorded.41.4101.410105.d1.62.6204.620422" {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
	h := d.until("delivering", Health.Delivering)
	if h.Local || h.URL != c.URL() || h.Mode != ModeChain || len(h.Problems) != 0 {
		t.Fatalf("%+v", h)
	}
	for _, ack := range q.Acks() {
		if ack.Local {
			t.Fatal("a server elsewhere counts as local")
		}
	}
}

func everyTenth() func() bool {
	var n atomic.Int64
	return func() bool { return n.Add(1)%10 == 3 }
}

func TestLostAcksBeyondTheDuplicateWindow(t *testing.T) {
	c := startCentral(t, 1, nil)
	// Shorter than the wait for one acknowledgement: every retry comes too late
	// for the window, as after days of outage.
	c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
	n := c.network(0)
	n.Swallow(everyTenth())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(60, hukou)
	q.Accept(60, "411402")
	d := startDesk(t, q, Options{Provider: n, AckWait: 250 * time.Millisecond})
	d.drained()
	c.audit(q)
	resolved := 0
	for _, a := range q.Acks() {
		if a.Duplicate {
			resolved++
		}
	}
	if resolved < 12 {
		t.Fatalf("%d of 12 lost acknowledgements resolved by reading back", resolved)
	}
}

func TestOutageLongerThanTheDuplicateWindow(t *testing.T) {
	c := startCentral(t, 1, nil)
	c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
	n := c.network(0)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Provider: n})
	q.Accept(5, hukou)
	d.drained()
	n.Swallow(func() bool { return true })
	q.Accept(40, hukou)   // the first is stored, its acknowledgement lost
	d.untilCode(NoAnswer) // and the window has passed
	n.Down(true)
	d.untilCode(Unreachable)
	n.Swallow(everyTenth())
	n.Down(false)
	d.drained()
	c.audit(q)
}

func TestCutConnections(t *testing.T) {
	c := startCentral(t, 1, nil)
	n := c.network(0)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Provider: n})
	for range 10 {
		q.Accept(10, hukou)
		n.Cut()
	}
	d.drained()
	c.audit(q)
}

func TestBlackHoleIsAnUnansweredPublish(t *testing.T) {
	c := startCentral(t, 1, nil)
	n := c.network(0)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Provider: n})
	d.until("delivering", Health.Delivering)
	n.Drop(false, true)
	q.Accept(3, hukou)
	d.untilCode(NoAnswer)
	n.Drop(false, false)
	d.drained()
	c.audit(q)
}

func TestServerAppearsLate(t *testing.T) {
	c := startCentral(t, 1, nil)
	c.Kill(0)
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(5, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.untilCode(Unreachable)
	if err := c.Start(0); err != nil {
		t.Fatal(err)
	}
	d.drained()
	c.audit(q)
}

// adoptForeign is what idtap outbox adopt does.
func TestDeadLetters(t *testing.T) {
	c := startCentral(t, 1, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(4, hukou)
	q.Change(1, func(r *outbox.Record) { r.Body = make([]byte, 300<<10) }) // no limit need be raised for it
	q.Change(2, func(r *outbox.Record) { r.Body = nil })
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.drained()
	if dead := q.Dead(); len(dead) != 2 || dead[1] != ReasonTooLarge || dead[2] != ReasonErased {
		t.Fatalf("%v", dead)
	}
	if h := d.Health(); h.Dead != 2 {
		t.Fatalf("%+v", h)
	}
}

// TestLimitsBuryNoEvent: a limit that refuses events stops delivery aloud, and
// everything goes once it is lifted, by itself.
func TestLimitsBuryNoEvent(t *testing.T) {
	small := func(o *server.Options) { o.MaxPayload = 700 }
	for name, tt := range map[string]struct {
		options   func(*server.Options)
		set, lift func(*central)
		problem   Code
	}{
		"stream's max_msg_size": {nil, func(c *central) { c.update(func(s *jetstream.StreamConfig) { s.MaxMsgSize = 600 }) },
			func(c *central) { c.update(func(s *jetstream.StreamConfig) { s.MaxMsgSize = -1 }) }, StreamMsgSize},
		"server's max_payload, reloaded": {small, func(*central) {}, func(c *central) {
			c.Change(0, func(o *server.Options) { o.MaxPayload = 1 << 20 })
			if err := c.Reload(0); err != nil {
				c.t.Fatal(err)
			}
		}, SmallPayload},
		"server's max_payload, restarted": {small, func(*central) {}, func(c *central) {
			c.Change(0, func(o *server.Options) { o.MaxPayload = 1 << 20 })
			c.Kill(0)
			if err := c.Start(0); err != nil {
				c.t.Fatal(err)
			}
		}, SmallPayload},
	} {
		t.Run(name, func(t *testing.T) {
			clock := clockwork.NewFakeClock()
			c := startCentral(t, 1, tt.options)
			tt.set(c)
			q := faulttest.NewQueue("e1", division, "d1")
			q.Accept(4, hukou)
			q.Change(2, func(r *outbox.Record) { r.Body = make([]byte, 300<<10) }) // over 256 KiB: so small a limit says nothing about it
			d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Clock: clock, AckWait: 5 * time.Second})
			h := d.untilCode(EventTooLarge)
			if !slices.ContainsFunc(h.Problems, func(p Problem) bool { return p.Code == tt.problem }) {
				t.Errorf("problems = %v, want %s", h.Problems, tt.problem)
			}
			d.until("tried again", func(h Health) bool { clock.Advance(backoffLast); return h.Code == EventTooLarge })
			if dead, acked := q.Dead(), len(q.Acks()); len(dead) != 0 || acked != 0 {
				t.Errorf("%d dead, %d delivered while the limit holds, want none", len(dead), acked)
			}
			tt.lift(c)
			d.until("all delivered", func(Health) bool {
				clock.Advance(backoffLast)
				return len(q.Acks()) == 4
			})
			c.audit(q)
		})
	}
}

func TestSealedEvents(t *testing.T) {
	c := startCentral(t, 1, nil)
	key := must[event.PrivateKey](t)(event.GenerateKey())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, "620422")
	q.Accept(1, "411402")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Recipients: []event.Recipient{{Key: key.Public(), Hukou: "62"}}})
	d.drained()
	if dead := q.Dead(); len(dead) != 1 || dead[2] != ReasonNoRecipient {
		t.Fatalf("an event without a recipient must not go out in the clear: %v", dead)
	}
	got := c.stored()
	if len(got) != 1 || strings.Contains(string(got[0].Data), "620422") || strings.Contains(string(got[0].Data), "pad") {
		t.Fatalf("%d stored", len(got))
	}
	env := must[event.Envelope](t)(event.ParseEnvelope(got[0].Header, got[0].Subject))
	data := must[[]byte](t)(event.Open(got[0].Data, env, key))
	if !strings.Contains(string(data), "620422") {
		t.Fatal("opened to something else")
	}
}

func TestFullStreamKeepsEvents(t *testing.T) {
	c := startCentral(t, 1, nil)
	c.update(func(s *jetstream.StreamConfig) { s.MaxMsgs = 3 })
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(5, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.untilCode(StreamFull)
	c.update(func(s *jetstream.StreamConfig) { s.MaxMsgs = -1 })
	d.drained()
	c.audit(q)
}

func TestServerWithoutRoomKeepsEvents(t *testing.T) {
	c := startCentral(t, 1, func(o *server.Options) { o.JetStreamMaxStore = 64 << 10 })
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(120, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.until("the server has no room", func(h Health) bool { return h.Code == StreamDown || h.Code == StreamFull })
	c.Change(0, func(o *server.Options) { o.JetStreamMaxStore = 64 << 20 })
	c.Kill(0)
	if err := c.Start(0); err != nil {
		t.Fatal(err)
	}
	d.drained()
	c.audit(q)
}

func TestQueueThatFailsIsAState(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.until("delivering", Health.Delivering)
	q.Accept(1, hukou)
	q.Fail(errors.New("disk I/O error"))
	q.Accept(4, hukou)
	d.untilCode(QueueFailed)
	q.Fail(nil)
	d.drained()
	c.audit(q)
}

func TestWrongStreamDoesNotCount(t *testing.T) {
	c := startCentral(t, 1, nil)
	if err := c.js.DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	must[jetstream.Stream](t)(c.js.CreateStream(t.Context(), RecommendedStream("OTHER", 1, 0, 0)))
	other := RecommendedStream(stream, 1, 0, 0)
	other.Subjects = []string{"elsewhere.>"}
	must[jetstream.Stream](t)(c.js.CreateStream(t.Context(), other))
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	h := d.untilCode(WrongStream)
	if len(h.Problems) != 1 || h.Problems[0].Code != StreamSubjects {
		t.Fatalf("%+v", h.Problems)
	}
	if len(q.Acks()) != 0 {
		t.Fatal("counted as delivered")
	}
}

func TestStrictModeHoldsBack(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(2, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Replicas: 3, Strict: true})
	h := d.untilCode(StreamUnfit)
	if len(h.Problems) != 1 || h.Problems[0].Code != StreamReplicas {
		t.Fatalf("%+v", h)
	}
	if len(c.stored())+len(q.Acks()) != 0 {
		t.Fatal("published to a stream that failed the preflight")
	}
	lax := startDesk(t, q.Clone(), Options{Server: Server{URL: c.URL()}, Replicas: 3})
	lax.drained()
	if h := lax.Health(); len(h.Problems) != 1 {
		t.Fatalf("%+v", h)
	}
}

// TestRunStoredAndNotMarked kills a desk, as far as its queue can tell, when
// seven of a run are stored and none is marked, long after the stream has
// forgotten their message ids: each is stored once in the end, and so is what
// was put back by hand before.
func TestRunStoredAndNotMarked(t *testing.T) {
	c := startCentral(t, 1, nil)
	c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(2, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.drained()
	d.Stop()
	q.Requeue(1)
	q.Accept(12, hukou)
	var crashed *faulttest.Queue
	dead := make(chan struct{})
	published := 0
	d = startDesk(t, q, Options{Server: Server{URL: c.URL()}, Clock: clockwork.NewFakeClock(), Fail: func(step string) error {
		if step == "published" {
			published++
		}
		if published < 8 { // the one that was put back, and seven
			return nil
		}
		if crashed == nil {
			crashed = q.Clone()
			close(dead)
		}
		return errors.New("dead")
	}})
	<-dead
	d.Stop()
	if n := len(crashed.Acks()); n != 2 || len(c.stored()) != 10 {
		t.Fatalf("%d marked, %d stored at its death", n, len(c.stored()))
	}
	<-time.After(200 * time.Millisecond) // the server's duplicate window passes
	startDesk(t, crashed, Options{Server: Server{URL: c.URL()}}).drained()
	times := map[uint64]int{}
	for _, m := range c.stored() {
		times[m.Seq]++
	}
	for seq := range uint64(14) {
		if want := map[bool]int{true: 2, false: 1}[seq == 0]; times[seq+1] != want {
			t.Fatalf("stored by desk sequence: %v", times)
		}
	}
}

// TestUnsealedBodiesToAServerElsewhere are a warning, and stay under strict. The
// server is not reached: what is asked is what the desk says before.
func TestUnsealedBodiesToAServerElsewhere(t *testing.T) {
	key := must[event.PrivateKey](t)(event.GenerateKey())
	for name, tt := range map[string]struct {
		url        string
		recipients []event.Recipient
		want       bool
	}{
		"elsewhere":         {"tls://192.0.2.1:4222", nil, true},
		"elsewhere, sealed": {"tls://192.0.2.1:4222", []event.Recipient{{Key: key.Public()}}, false},
		"here":              {"nats://127.0.0.1:1", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDesk(t, faulttest.NewQueue("e1", division, "d1"), Options{Server: Server{URL: tt.url}, Recipients: tt.recipients})
			if got := slices.ContainsFunc(d.Health().Problems, func(p Problem) bool { return p.Code == Unsealed }); got != tt.want {
				t.Errorf("warned = %v, want %v", got, tt.want)
			}
			d.Stop()
			f := forwarder{strict: true, unsealed: tt.want}
			if err := f.fit(); (err != nil) != tt.want || tt.want && codeOf(err) != Unsealed {
				t.Errorf("strict: %v, want refused: %v", err, tt.want)
			}
		})
	}
}
