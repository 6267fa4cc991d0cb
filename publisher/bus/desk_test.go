package bus

import (
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/publisher/bus/faulttest"
)

const (
	division = "410105"
	hukou    = "620422"
	stream   = "REGISTRATIONS"
)

// desk is a bus at work with a queue in memory.
type desk struct {
	*Bus
	t     *testing.T
	queue *faulttest.Queue

	mu      sync.Mutex
	health  Health
	changed chan struct{}
}

// startDesk starts a bus against o's server; it stops with the test.
func startDesk(t *testing.T, q *faulttest.Queue, o Options) *desk {
	t.Helper()
	d := &desk{t: t, queue: q, changed: make(chan struct{})}
	o.DeskID, o.DeskDivision, o.Version = q.Desk, q.Division, "1.2.3"
	o.Log = zerolog.New(io.Discard)
	if o.AckWait == 0 {
		o.AckWait = 400 * time.Millisecond
	}
	o.OnChange = func(h Health) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.health = h
		close(d.changed)
		d.changed = make(chan struct{})
	}
	b, err := Start(t.Context(), o, q)
	if err != nil {
		t.Fatal(err)
	}
	d.Bus = b
	t.Cleanup(b.Stop)
	return d
}

// until waits for a state of the bus.
func (d *desk) until(what string, is func(Health) bool) Health {
	d.t.Helper()
	limit := time.After(20 * time.Second)
	counters := time.NewTicker(5 * time.Millisecond) // nobody is told of those
	defer counters.Stop()
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		h := d.Health()
		if is(h) {
			return h
		}
		select {
		case <-changed:
		case <-counters.C:
		case <-limit:
			d.t.Fatalf("not %s within 20 s: %+v", what, h)
		}
	}
}

func (d *desk) untilCode(code Code) Health {
	d.t.Helper()
	return d.until("code "+string(code), func(h Health) bool { return h.Code == code })
}

func (d *desk) drained() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 60*time.Second)
	defer cancel()
	if err := d.queue.Drained(ctx); err != nil {
		d.t.Fatalf("%v; %+v", err, d.Health())
	}
}

// central is a server outside the desk, or several.
type central struct {
	*faulttest.Cluster
	t  *testing.T
	nc *nats.Conn
	js jetstream.JetStream
}

var admin = nats.UserInfo("admin", "admin-password")

// startCentral starts n servers that ask for no login unless change says so,
// and makes the recommended stream on as many replicas.
func startCentral(t *testing.T, n int, change func(*server.Options)) *central {
	t.Helper()
	c, err := faulttest.NewCluster(t.TempDir(), n, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	config := RecommendedStream(stream, n, 0, 0)
	config.DenyPurge = false
	if err := c.MakeStream(ctx, config, admin); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(c.URL(), admin, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &central{c, t, nc, js}
}

// network leads to server i.
func (c *central) network(i int) *faulttest.Network {
	n := faulttest.NewNetwork(faulttest.TCP(c.Addr(i)))
	c.t.Cleanup(n.Close)
	return n
}

func (c *central) stored() []faulttest.Stored {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	all, err := faulttest.ReadStream(ctx, c.js, stream)
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// audit fails the test unless everything accepted is stored exactly once.
func (c *central) audit(queues ...*faulttest.Queue) {
	c.t.Helper()
	accepted := map[string]bool{}
	for _, q := range queues {
		for _, s := range q.Accepted() {
			accepted[s.ID] = true
		}
	}
	if tally := faulttest.Audit(accepted, c.stored()); !tally.OK() || tally.Accepted == 0 {
		c.t.Fatal(tally)
	}
}

func (c *central) update(change func(*jetstream.StreamConfig)) {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	config := s.CachedInfo().Config
	change(&config)
	if _, err := c.js.UpdateStream(c.t.Context(), config); err != nil {
		c.t.Fatal(err)
	}
}

func embeddedOptions(t *testing.T) Options {
	return Options{Embedded: Embedded{Dir: filepath.Join(t.TempDir(), "embedded"), Key: "a key of the queue", MaxAge: 72 * time.Hour}}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
