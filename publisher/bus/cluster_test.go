package bus

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus/faulttest"
)

func TestThreeNodesLeaderKilledWhilePublishing(t *testing.T) {
	c := startCentral(t, 3, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Replicas: 3, AckWait: 2 * time.Second})
	h := d.until("delivering", Health.Delivering)
	if h.Mode != ModeChain || len(h.Problems) != 0 {
		t.Fatalf("%+v", h)
	}
	q.Accept(300, hukou)
	for len(q.Acks()) < 50 {
		d.pause()
	}
	leader := c.Leader(stream)
	if leader < 0 {
		t.Fatal("no leader")
	}
	c.Kill(leader)
	for len(q.Acks()) < 200 {
		d.pause()
	}
	if err := c.Start(leader); err != nil {
		t.Fatal(err)
	}
	d.drained()
	c.audit(q)
}

func TestThreeNodesSwallowedAcksBeyondTheWindow(t *testing.T) {
	c := startCentral(t, 3, nil)
	c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
	n := c.network(0)
	n.Swallow(everyTenth())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(100, hukou)
	d := startDesk(t, q, Options{Provider: n, Replicas: 3})
	d.drained()
	c.audit(q)
}

func TestLameDuckServerIsLeft(t *testing.T) {
	c := startCentral(t, 3, func(o *server.Options) {
		o.LameDuckDuration, o.LameDuckGracePeriod = 30*time.Second, 10*time.Second
	})
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Replicas: 3, AckWait: 2 * time.Second})
	h := d.until("delivering", Health.Delivering)
	for i := range c.Servers {
		if h.URL == "nats://"+c.Addr(i) {
			go c.Servers[i].LameDuckShutdown()
		}
	}
	left := h.URL
	d.until("moved on long before the server goes", func(h Health) bool { return h.Connected && h.URL != left })
	q.Accept(20, hukou)
	d.drained()
	c.audit(q)
}
