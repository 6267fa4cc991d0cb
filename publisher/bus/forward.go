package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// Queue is what the forwarder needs of the queue; *outbox.Queue has it.
type Queue interface {
	// Next gives the oldest records that are not delivered, n at most, and waits
	// until there is one.
	Next(ctx context.Context, n int) ([]outbox.Record, error)
	// Delivered marks records and stores the chain's position behind them, all or
	// nothing.
	Delivered(ctx context.Context, chain outbox.ChainState, acks ...outbox.Ack) error
	// DeadLetter puts a record that can never be delivered where people see it.
	DeadLetter(ctx context.Context, row int64, reason string) error
	// List gives records in the queue's order, without their bodies.
	List(ctx context.Context, f outbox.ListFilter) ([]outbox.Listed, error)
	// Get finds a record by its event id, in whatever state; outbox.ErrNotFound.
	Get(ctx context.Context, id string) (outbox.Record, error)
	Chain(ctx context.Context, filter string) (outbox.ChainState, bool, error)
	SetChain(ctx context.Context, c outbox.ChainState) error
	// SetForeign notes somebody else's events on this desk's filter; the note
	// stands in Stats until Adopt.
	SetForeign(ctx context.Context, f outbox.Foreign) error
	// Adopt makes this queue the successor of whoever stored lastSeq of epoch.
	Adopt(ctx context.Context, lastSeq uint64, epoch string) error
	Stats(ctx context.Context) (outbox.Stats, error)
}

// Reasons of dead letters: events that no retry can deliver.
const (
	ReasonTooLarge    = "too_large"    // larger than the server or the stream takes
	ReasonNoRecipient = "no_recipient" // every recipient is limited to other hukou divisions
	ReasonErased      = "erased"       // put back by hand after its body was erased
	ReasonInvalid     = "invalid"      // cannot be sealed or published as it stands
)

// Back-off between attempts: doubled from first to last, with a quarter of
// jitter. A change of the connection cuts a wait short and begins anew. What
// passes by itself is looked at more often than what waits for a person.
const (
	backoffFirst   = 100 * time.Millisecond
	backoffChain   = 500 * time.Millisecond
	backoffPassing = 5 * time.Second
	backoffLast    = 15 * time.Second
	preflightEvery = time.Hour
	stuckAfter     = 3 // unanswered publishes before the embedded server is started anew
)

// forwarder takes records from the queue one at a time and publishes each until
// the stream has it.
type forwarder struct {
	queue      Queue
	link       *link
	embedded   *embedded // nil for a server elsewhere
	stream     string
	create     *jetstream.StreamConfig // made if missing; nil: an administrator's business
	want       Want
	strict     bool
	unsealed   bool // to a server elsewhere, without recipients
	recipients []event.Recipient
	signing    *signing
	ackWait    time.Duration
	clock      clockwork.Clock
	log        zerolog.Logger
	fail       func(step string) error // tests only

	report func(func(*Health))
	wake   chan struct{} // the connection changed
	stale  atomic.Bool   // the connection changed: what is known of the stream may be wrong

	view  view
	chain *outbox.ChainState // as of the last acknowledgement; nil: ask the queue
	ahead []outbox.Record    // the rest of the run at hand
	acked []outbox.Ack       // what of it is stored and not marked yet; chain stands behind it

	size  int       // of the message at hand, headers included
	asked time.Time // when the server was last asked for its limits

	stopped  bool // somebody else's events were met; until the queue has adopted them
	silent   int  // publishes in a row without an answer
	attempts int  // since the last success
}

// view is what is known of the stream for one filter.
type view struct {
	filter   string
	created  time.Time
	chain    bool // compare-and-set works: seen, direct get allowed
	problems []Problem

	seen       bool // the stream's configuration
	maxMsgSize int32
	at         time.Time // zero: not seen
}

// run delivers until ctx ends.
func (f *forwarder) run(ctx context.Context) {
	f.stopped = true // until the queue says otherwise: a note of foreign events outlives a restart
	for {
		err := f.step(ctx)
		if err != nil {
			err = cmp.Or(f.flush(ctx), err)
			f.chain, f.ahead = nil, nil
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, outbox.ErrClosed):
			return
		case errors.Is(err, errWoken):
		case err == nil:
			f.attempts, f.silent = 0, 0
			f.state(nil)
		default:
			if codeOf(err) != ChainInterrupted || f.attempts > 0 {
				f.state(err)
			}
			f.revive(err)
			f.wait(ctx, err)
		}
	}
}

// errWoken means that there was nothing to deliver but reason to look again.
var errWoken = errors.New("woken")

// step looks at the stream if it is time to, waits for a record and publishes
// it once.
func (f *forwarder) step(ctx context.Context) error {
	nc, js, err := f.link.up()
	if err != nil {
		return &stop{connectCode(err), err}
	}
	if err := f.prepare(ctx, nc, js); err != nil {
		return err
	}
	r, err := f.take(ctx)
	switch {
	case err == nil:
		return f.deliver(ctx, nc, js, r)
	case errors.Is(err, context.Canceled):
		return errWoken
	case errors.As(err, new(*stop)):
		return err
	}
	return &stop{QueueFailed, err}
}

// prepare makes sure, with nothing at hand yet, that something could be
// delivered, and says so where nothing waits that could show it.
func (f *forwarder) prepare(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
	if f.stale.Swap(false) {
		f.view.at = time.Time{}
		if err := f.signing.ready(); err != nil {
			f.stale.Store(true)
			return &stop{connectCode(err), err}
		}
	}
	looked := f.clock.Since(f.view.at) >= preflightEvery
	if looked {
		if err := f.look(ctx, nc, js, f.want.Subject); err != nil {
			return err
		}
		if err := f.introduce(ctx, nc); err != nil {
			return err
		}
	}
	if err := f.fit(); err != nil {
		return err
	}
	if err := f.adopted(ctx); err != nil {
		return err
	}
	if f.attempts > 0 {
		s, err := f.queue.Stats(ctx)
		if err != nil {
			return &stop{QueueFailed, err}
		} else if s.Waiting > 0 {
			return nil
		}
		f.attempts = 0
	} else if !looked {
		return nil
	}
	f.state(nil)
	return nil
}

// next waits for records, but no longer than until the connection changes or the
// stream is to be looked at again.
func (f *forwarder) next(ctx context.Context) ([]outbox.Record, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := f.clock.NewTimer(preflightEvery)
	defer tick.Stop()
	go func() {
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-tick.Chan():
		}
		cancel()
	}()
	return f.queue.Next(ctx, runLength)
}

// fit is nil unless strict mode is on and the preflight has failed: then an
// acknowledgement would not count, and nothing is published.
func (f *forwarder) fit() error {
	if f.strict && f.unsealed {
		return &stop{Unsealed, errors.New("nats.strict, and nats.encrypt_to names nobody")}
	}
	if p := f.view.problems; f.strict && len(p) > 0 {
		f.view.at = time.Time{} // an administrator may mend it at any time
		return &stop{StreamUnfit, fmt.Errorf("%s: %s", p[0].Code, p[0].Detail)}
	}
	return nil
}

// stop is why an event stays in the queue.
type stop struct {
	code Code
	err  error
}

func (s *stop) Error() string { return s.err.Error() }
func (s *stop) Unwrap() error { return s.err }

func codeOf(err error) Code {
	var s *stop
	if errors.As(err, &s) {
		return s.code
	}
	return StreamRefused
}

func (f *forwarder) state(err error) {
	f.report(func(h *Health) {
		h.Code, h.Detail = "", ""
		if err != nil {
			h.Code, h.Detail = codeOf(err), err.Error()
		}
		h.preflight, h.Mode = f.view.problems, ""
		if f.view.filter != "" {
			h.Mode = ModeMsgID
			if f.view.chain {
				h.Mode = ModeChain
			}
		}
	})
}

// wait backs off. The first collision with the chain is resolved at once.
func (f *forwarder) wait(ctx context.Context, err error) {
	f.attempts++
	last := backoffLast
	switch codeOf(err) {
	case ChainInterrupted:
		if f.attempts == 1 {
			return
		}
		last = backoffChain
	case Unreachable, NoAnswer, StreamDown, NoStream, EmbeddedFailed, QueueFailed:
		last = backoffPassing
	}
	d := min(backoffFirst<<min(f.attempts-1, 10), last)
	d += rand.N(d/4 + 1)
	select {
	case <-ctx.Done():
	case <-f.wake:
		f.attempts = 1
	case <-f.clock.After(d):
	}
}

// revive starts an embedded server anew that is silent or down: after a full
// disk it answers nothing until then.
func (f *forwarder) revive(err error) {
	switch codeOf(err) {
	case NoAnswer, StreamDown, NoStream:
		f.silent++
	}
	if f.embedded == nil || f.silent < stuckAfter && !f.embedded.down() {
		return
	}
	f.silent = 0
	if err := f.embedded.restart(); err != nil {
		f.state(&stop{EmbeddedFailed, err})
	}
}

// deliver publishes one record once and settles what can be settled. Its error
// is a *stop: the record stays.
func (f *forwarder) deliver(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, r outbox.Record) error {
	if f.view.filter != r.Filter { // accepted under an earlier desk id
		if err := f.look(ctx, nc, js, r.Filter); err != nil {
			return err
		}
		if err := f.fit(); err != nil {
			return err
		}
	}
	msg, dead, err := f.message(r)
	if dead != "" {
		return f.bury(ctx, r, dead)
	} else if err != nil {
		return err
	}
	if err := f.failAt("sealed"); err != nil {
		return err
	}
	chain := outbox.ChainState{Filter: r.Filter, StreamCreated: f.view.created}
	opts := []jetstream.PublishOpt{jetstream.WithExpectStream(f.stream), jetstream.WithRetryAttempts(0)}
	if f.view.chain {
		var settled bool
		if chain, settled, err = f.position(ctx, nc, r); err != nil || settled {
			return err
		}
		opts = append(opts, jetstream.WithExpectLastSequenceForSubject(chain.LastSequence, r.Filter))
	}
	f.size = msg.Size()
	ack, err := f.publish(ctx, js, msg, opts)
	if err := f.failAt("published"); err != nil {
		return err
	}
	if err != nil {
		return f.refused(ctx, nc, r, err)
	}
	if ack.Stream != f.stream {
		return &stop{WrongStream, fmt.Errorf("stream %s acknowledged, not %s", ack.Stream, f.stream)}
	}
	chain.LastSequence = max(chain.LastSequence, ack.Sequence) // a duplicate may lie behind the position
	f.chain = &chain
	f.acked = append(f.acked, f.ack(r.Row, ack.Sequence, ack.Duplicate))
	if f.mayWait(r) {
		return nil
	}
	return f.flush(ctx)
}

func (f *forwarder) publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, opts []jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ctx, done := f.link.expect(ctx, msg.Subject, f.ackWait)
	defer done()
	ack, err := js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return nil, because(ctx, err)
	}
	return ack, nil
}

// message is the record as it goes onto the bus; dead names why it never can.
func (f *forwarder) message(r outbox.Record) (msg *nats.Msg, dead string, err error) {
	if r.Body == nil {
		return nil, ReasonErased, nil
	}
	env, body := r.Envelope(), r.Body
	if len(f.recipients) > 0 {
		env.Content = event.ContentJOSE
		body, err = event.Seal(r.Body, env, f.recipients)
		switch {
		case errors.Is(err, event.ErrNoRecipient):
			return nil, ReasonNoRecipient, nil
		case errors.Is(err, event.ErrRecipients):
			return nil, "", &stop{SealFailed, err}
		case err != nil:
			f.log.Error().Err(err).Str("id", r.ID).Msg("an event cannot be sealed")
			return nil, ReasonInvalid, nil
		}
	}
	msg = &nats.Msg{Subject: r.Subject, Header: nats.Header(f.signing.sign(env, body).Headers()), Data: body}
	msg.Header[event.HeaderMsgID] = []string{messageID(r)}
	if r.Requeued > 0 {
		msg.Header[event.HeaderRequeued] = []string{fmt.Sprint(r.Requeued)}
	}
	return msg, "", nil
}

// ack is the stream's answer as the queue keeps it.
func (f *forwarder) ack(row int64, seq uint64, duplicate bool) outbox.Ack {
	return outbox.Ack{Row: row, Stream: f.stream, Sequence: seq, Duplicate: duplicate, Local: f.embedded != nil, At: f.clock.Now()}
}

// mark marks stored records and moves the chain's position behind them, all or
// nothing.
func (f *forwarder) mark(ctx context.Context, chain outbox.ChainState, acks ...outbox.Ack) error {
	if err := f.queue.Delivered(ctx, chain, acks...); err != nil {
		return &stop{QueueFailed, err}
	}
	f.report(func(h *Health) { h.LastAck, h.Acked = acks[len(acks)-1].At, h.Acked+uint64(len(acks)) })
	return f.failAt("delivered")
}

func (f *forwarder) bury(ctx context.Context, r outbox.Record, reason string) error {
	f.log.Error().Str("id", r.ID).Str("reason", reason).Msg("an event can never be delivered: it is among the dead letters")
	if err := f.queue.DeadLetter(ctx, r.Row, reason); err != nil {
		return &stop{QueueFailed, err}
	}
	f.report(func(h *Health) { h.Dead++ })
	return nil
}

func (f *forwarder) failAt(step string) error {
	if f.fail == nil {
		return nil
	}
	if err := f.fail(step); err != nil {
		return &stop{QueueFailed, err}
	}
	return nil
}
