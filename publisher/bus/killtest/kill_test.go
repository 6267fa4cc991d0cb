//go:build unix

package killtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/publisher/bus"
	"idtap/publisher/bus/faulttest"
	"idtap/publisher/outbox"
)

const (
	desk     = "d1"
	division = "410105"
	stream   = "REGISTRATIONS"
	// window is shorter than a child's start: message ids protect nothing here.
	window = 100 * time.Millisecond
)

// kills is how many children die: some dozens, or a thousand with
// IDTAP_CAMPAIGN=long.
func kills(short int) int {
	if os.Getenv("IDTAP_CAMPAIGN") == "long" {
		return 1000
	}
	return short
}

// campaign is one queue's life.
type campaign struct {
	t        *testing.T
	dir      string
	url      string
	accepted map[string]bool // reported by a child before it died
	steps    int             // deaths at a fail point
	outside  int             // deaths by the parent's hand
	survived int             // ended before death came
}

func newCampaign(t *testing.T, url string) *campaign {
	return &campaign{t: t, dir: filepath.Join(t.TempDir(), "desk"), url: url, accepted: map[string]bool{}}
}

// life runs one child until it dies or is done. death picks a fail point, limit
// a time after which it is killed from outside; 0 is never. A child that lives
// longer than patience hangs.
func (c *campaign) life(taps, death int, limit, patience time.Duration) {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+c.dir, childURL+"="+c.url, fmt.Sprintf("%s=%d", childDeath, death), fmt.Sprintf("%s=%d", childTaps, taps))
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	hung := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer hung.Stop()
	if limit > 0 {
		defer time.AfterFunc(limit, func() { cmd.Process.Kill() }).Stop()
	}
	drained := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "accepted "); ok && len(id) == len("01234567-89ab-cdef-0123-456789abcdef") {
			c.accepted[id] = true
		}
		drained = drained || lines.Text() == "drained"
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil && drained:
		c.survived++
	case errors.As(err, &exit) && exit.ExitCode() == -1 && limit > 0:
		c.outside++
	case errors.As(err, &exit) && exit.ExitCode() == -1 && death > 0:
		c.steps++
	default:
		c.t.Fatalf("the child ended by itself: %v: %s", err, errs.String())
	}
}

// rage kills n children, half at fail points and half from outside; those that
// were done before death came do not count.
func (c *campaign) rage(n int) {
	c.t.Helper()
	for i := 0; c.steps+c.outside < n; i++ {
		if i%2 == 0 {
			c.life(15, 1+rand.IntN(160), 0, time.Minute)
		} else {
			c.life(15, 0, time.Duration(10+rand.IntN(120))*time.Millisecond, time.Minute)
		}
	}
	c.life(1, 0, 0, 10*time.Minute)
}

// journal is what the queue holds in the end.
func (c *campaign) journal() (list []outbox.Listed) {
	c.t.Helper()
	q, err := outbox.Open(c.t.Context(), outbox.Options{Dir: c.dir, Log: zerolog.Nop()})
	if err != nil {
		c.t.Fatal(err)
	}
	defer q.Close()
	for after := int64(0); ; {
		part, err := q.List(c.t.Context(), outbox.ListFilter{After: after, Limit: 1000})
		if err != nil {
			c.t.Fatal(err)
		}
		if len(part) == 0 {
			return list
		}
		list, after = append(list, part...), part[len(part)-1].Row
	}
}

// audit holds journal and stream against what was reported.
func (c *campaign) audit(stored []faulttest.Stored) {
	c.t.Helper()
	accepted, waiting := map[string]bool{}, 0
	for _, r := range c.journal() {
		accepted[r.ID] = true // also what was accepted and not reported any more
		if r.State == outbox.Waiting || r.State == outbox.Dead {
			waiting++
		}
	}
	unknown := 0
	for id := range c.accepted {
		if !accepted[id] {
			unknown++
			accepted[id] = true
		}
	}
	tally := faulttest.Audit(accepted, stored)
	c.t.Logf("killed at fail points %d, from outside %d, survived %d; reported %d; %v; lost by the queue %d, waiting %d",
		c.steps, c.outside, c.survived, len(c.accepted), tally, unknown, waiting)
	if !tally.OK() || unknown+waiting > 0 || len(c.accepted) == 0 {
		c.t.Fatal("a promise was broken")
	}
}

func connect(t *testing.T, url string, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func readStream(t *testing.T, js jetstream.JetStream) []faulttest.Stored {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stored, err := faulttest.ReadStream(ctx, js, stream)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestKillsOnTheWayToAServer(t *testing.T) {
	cluster, err := faulttest.NewCluster(t.TempDir(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	config := bus.RecommendedStream(stream, 1, 0, 0)
	config.Duplicates = window
	if err := cluster.MakeStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	n := faulttest.NewNetwork(faulttest.TCP(cluster.Addr(0)))
	t.Cleanup(n.Close)
	n.Swallow(func() bool { return rand.IntN(20) == 0 })
	addr, err := n.Listen()
	if err != nil {
		t.Fatal(err)
	}
	c := newCampaign(t, "nats://"+addr)
	c.rage(kills(40))
	c.audit(readStream(t, connect(t, cluster.URL())))
}

func TestKillsWithTheEmbeddedServer(t *testing.T) {
	c := newCampaign(t, "")
	c.rage(kills(16))
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: c.dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	key := q.EmbeddedStoreKey()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	// The embedded server's store by a server of the test's own.
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true,
		StoreDir: filepath.Join(c.dir, "nats", "store"), JetStreamKey: key, JetStreamCipher: server.ChaCha})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the store does not open")
	}
	c.audit(readStream(t, connect(t, "", nats.InProcessServer(s))))
}
