package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"idtap/publisher/event"
)

// Options say where a desk's events go.
type Options struct {
	DeskID       string
	DeskDivision string // six digits or ""
	Version      string // of the program, for the micro service

	Server   Server   // an empty URL means the embedded server
	Embedded Embedded // used when Server.URL is empty

	Stream       string // default REGISTRATIONS
	CreateStream bool   // make it if missing; always on the embedded server
	Replicas     int    // of a stream made here, and what the preflight asks for; default 1
	Strict       bool   // publish nothing to a stream that fails the preflight

	Recipients []event.Recipient // seal every event to them; none: events go as they are
	SigningKey string            // nkey seed file; empty: the seed of Server.Creds or Server.NKey, else events are not signed
	Sources    Sources           // what the micro service answers

	AckWait  time.Duration // for one acknowledgement; default 5 s
	OnChange func(Health)  // told of each change but counters; must not block
	Clock    clockwork.Clock
	Log      zerolog.Logger

	// Provider stands in for the network in tests: connections to a server in
	// this process that is not the embedded one.
	Provider nats.InProcessConnProvider
	// Fail is called between any two steps of a delivery; tests only.
	Fail func(step string) error
}

// Bus carries a queue's records to the stream for as long as it runs.
type Bus struct {
	o        Options
	embedded *embedded
	link     *link
	forward  *forwarder
	service  service
	clock    clockwork.Clock
	signing  *signing
	cancel   context.CancelFunc
	done     sync.WaitGroup
	kick     chan struct{} // the connection changed: watch looks
	served   uint64        // connection that watch last served; its own

	mu     sync.Mutex
	health Health
	told   sync.Mutex // keeps OnChange in order
}

// Start begins to deliver. It does not wait for a connection: a server that is
// not there, or refuses, is a state in [Bus.Health] and tried again for ever. An
// error is a mistake that no retry mends (a [*PlaintextError] among them), or the
// embedded server's.
func Start(ctx context.Context, o Options, q Queue) (*Bus, error) {
	if !event.ValidDeskID(o.DeskID) {
		return nil, fmt.Errorf("bus: desk id %q: want [a-z0-9-]{1,40}", o.DeskID)
	}
	if err := o.Server.Check(); err != nil {
		return nil, err
	}
	if err := event.CheckRecipients(o.Recipients); err != nil {
		return nil, err
	}
	if o.Stream == "" {
		o.Stream = "REGISTRATIONS"
	}
	o.Replicas = max(o.Replicas, 1)
	if o.AckWait == 0 {
		o.AckWait = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	b := &Bus{o: o, clock: o.Clock, kick: make(chan struct{}, 1), health: Health{Stream: o.Stream, Since: o.Clock.Now(), Code: Unreachable, Detail: errDisconnected.Error()}}
	b.signing = &signing{file: signingFile(o.SigningKey, o.Server)}
	if err := b.signing.ready(); err != nil && o.SigningKey != "" {
		return nil, err // the login's own file may yet come: it is tried again at each connect
	}
	b.link = &link{server: o.Server, provider: o.Provider, name: "idtap/" + o.DeskID, inbox: Inbox(o.DeskID), log: o.Log, changed: b.connectionChanged}
	own := o.Server.URL == "" && o.Provider == nil
	maxAge := time.Duration(0)
	if own {
		e, err := startEmbedded(o.Embedded, "idtap-"+o.DeskID, o.Server.AllowPlaintext, o.Log)
		if err != nil {
			return nil, err
		}
		b.embedded, b.link.provider = e, e
		if e.user != "" {
			b.link.login = []nats.Option{nats.UserInfo(e.user, e.password)}
		}
		b.health.Local, b.health.Listen = true, e.url()
		if e.setAside != "" {
			b.health.store = []Problem{{StoreSetAside, "kept as " + e.setAside}}
		}
		maxAge = o.Embedded.MaxAge
		o.Replicas = 1
	}
	if o.Server.URL != "" && len(o.Recipients) == 0 && !o.Server.loopback() {
		b.health.unsealed = []Problem{{Unsealed, ""}}
		b.health.Problems = b.health.unsealed
	}
	filter := event.Filter(o.DeskDivision, o.DeskID)
	b.forward = &forwarder{
		queue: q, link: b.link, embedded: b.embedded, stream: o.Stream,
		want: Want{Subject: filter, Replicas: o.Replicas}, strict: o.Strict, unsealed: len(b.health.unsealed) > 0, recipients: o.Recipients, signing: b.signing,
		ackWait: o.AckWait, clock: o.Clock, log: o.Log, fail: o.Fail,
		wake: make(chan struct{}, 1), report: b.update,
	}
	if own || o.CreateStream {
		c := RecommendedStream(o.Stream, o.Replicas, maxAge, 0)
		b.forward.create = &c
	}
	b.service = service{bus: b, states: map[string]status{}}
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.done.Go(func() { b.link.run(ctx) })
	b.done.Go(func() { b.forward.run(ctx) })
	b.done.Go(func() { b.watch(ctx) })
	b.done.Go(func() { b.watchBacklog(ctx) })
	return b, nil
}

// Inbox is a desk's own prefix for answers, which its permissions are scoped to.
func Inbox(deskID string) string { return "_INBOX_" + deskID }

// Stop ends delivery, then the connection and the embedded server. What is not
// delivered stays in the queue.
func (b *Bus) Stop() {
	b.cancel()
	b.done.Wait()
	if b.embedded != nil {
		b.embedded.stop()
	}
}

// Health is the present state.
func (b *Bus) Health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.health
}

// Access returns what other programs need to reach the embedded server; the URL
// is empty where it does not listen.
func (b *Bus) Access() Access {
	a := Access{Stream: b.o.Stream}
	if b.embedded != nil {
		a.URL, a.User, a.Password = b.embedded.url(), b.embedded.user, b.embedded.password
	}
	return a
}

// nudge leaves one token for whoever waits; more say nothing more.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// connectionChanged runs in the client library's callbacks.
func (b *Bus) connectionChanged() {
	_, _, err := b.link.up()
	b.update(func(h *Health) {
		h.Connected, h.URL, h.Connects = err == nil || errors.Is(err, errDeaf), b.link.address(), b.link.connections()
		if err != nil {
			h.Code, h.Detail = connectCode(err), err.Error()
		} // else the forwarder clears it, once it has seen the stream
	})
	b.forward.stale.Store(true)
	nudge(b.forward.wake)
	nudge(b.kick)
}

// update changes the health and tells the observer.
func (b *Bus) update(change func(*Health)) {
	b.told.Lock()
	defer b.told.Unlock()
	b.mu.Lock()
	before := b.health
	change(&b.health)
	b.health.Problems = slices.Concat(b.health.preflight, b.health.dates, b.health.service, b.health.store, b.health.strangers, b.health.backlog, b.health.unsealed)
	if before.Code != b.health.Code {
		b.health.Since = b.clock.Now()
	}
	after := b.health
	b.mu.Unlock()
	if b.o.OnChange != nil && !sameState(before, after) {
		b.o.OnChange(after)
	}
}
