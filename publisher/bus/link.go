package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Why a request was given up before its time.
var (
	errDisconnected = errors.New(NotConnected)
	errDenied       = errors.New("no permission")
	errDeaf         = errors.New("no permission for this desk's own inbox: do the credentials belong to another desk id?")
)

// Connection timing; see also reconnectDelay.
const (
	dialTimeout    = 5 * time.Second
	localWait      = 250 * time.Millisecond
	pingInterval   = 20 * time.Second
	lameDuckSpread = 10 * time.Second
)

// link is the one connection of a desk. It never gives up: the client library
// reconnects by itself, and where it has ended for good, or the login's public
// half has changed, run connects anew.
type link struct {
	server   Server
	provider nats.InProcessConnProvider // embedded server; nil: by URL
	login    []nats.Option              // of the embedded server
	name     string
	inbox    string
	log      zerolog.Logger
	changed  func() // called after each change of the connection; must not block

	mu       sync.Mutex
	nc       *nats.Conn
	js       jetstream.JetStream
	nkey     string // public key in use
	failure  error  // why there is no connection
	connects uint64
	deaf     bool   // the server lets no answer through to this desk\'s inbox
	denied   string // a subject beside the events' that was refused: micro service, status
	waiting  map[string]context.CancelCauseFunc
}

// run keeps the link up until ctx ends.
func (l *link) run(ctx context.Context) {
	wait := localWait
	for ctx.Err() == nil {
		closed, err := l.connect(ctx)
		if err != nil {
			l.fail(err)
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, 30*time.Second)
			continue
		}
		wait = localWait
		select {
		case <-ctx.Done():
			l.close()
			<-closed
		case <-closed:
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// connect makes a connection that retries by itself; closed is closed when it
// has ended for good.
func (l *link) connect(ctx context.Context) (closed chan struct{}, err error) {
	closed = make(chan struct{})
	opts, err := l.options(ctx, closed)
	if err != nil {
		return nil, err
	}
	nkey := ""
	if l.server.NKey != "" {
		if nkey, err = l.server.nkeyPublic(); err != nil {
			return nil, err
		}
	}
	nc, err := nats.Connect(l.server.URL, opts...)
	if err != nil {
		return nil, err
	}
	js, err := l.server.jetStream(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	l.mu.Lock()
	l.nc, l.js, l.nkey = nc, js, nkey
	if !nc.IsConnected() && l.failure == nil {
		l.failure = nc.LastError()
	}
	l.mu.Unlock()
	l.changed()
	return closed, nil
}

func (l *link) options(ctx context.Context, closed chan struct{}) ([]nats.Option, error) {
	var opts []nats.Option
	delay := reconnectDelay(reconnectFirst, reconnectLast)
	if l.provider != nil {
		opts = append(opts, nats.InProcessServer(newInProcess(l.provider)))
		opts = append(opts, l.login...)
		delay = reconnectDelay(localFirst, localLast)
	} else {
		s, err := l.server.options()
		if err != nil {
			return nil, err
		}
		opts = append(opts, s...)
		if l.server.loopback() {
			delay = reconnectDelay(localFirst, localLast)
		}
	}
	return append(opts,
		nats.Name(l.name),
		nats.CustomInboxPrefix(l.inbox),
		nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(delay),
		nats.ReconnectBufSize(-1), // what waits for a connection waits in the queue
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.IgnoreAuthErrorAbort(), // the same refusal twice would end the connection for good
		nats.ConnectHandler(func(*nats.Conn) { l.connected() }),
		nats.ReconnectHandler(func(*nats.Conn) { l.connected() }),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err == nil {
				err = errDisconnected
			}
			l.fail(err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.fail(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.asyncError(err) }),
		nats.LameDuckModeHandler(func(nc *nats.Conn) { go l.leave(ctx, nc) }),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
	), nil
}

func (l *link) connected() {
	l.mu.Lock()
	l.failure, l.denied, l.deaf = nil, "", false
	l.connects++
	l.mu.Unlock()
	l.changed()
}

// fail notes why there is no connection and gives up what waits for an answer:
// an answer can no longer come.
func (l *link) fail(err error) {
	l.mu.Lock()
	l.failure = err
	for _, cancel := range l.waiting {
		cancel(errDisconnected)
	}
	l.mu.Unlock()
	l.changed()
}

// renew ends a connection whose nkey file now holds another key: the library
// re-reads the seed at each connect but not the public half. mu is held.
func (l *link) renew(nc *nats.Conn) {
	if l.server.NKey == "" {
		return
	}
	if now, err := l.server.nkeyPublic(); err == nil && now != l.nkey {
		go nc.Close() // its handlers take mu
	}
}

// leave moves on from a server that is going to stop, before it has closed its
// JetStream and later the connection, spread so that not all desks move at once.
func (l *link) leave(ctx context.Context, nc *nats.Conn) {
	spread := lameDuckSpread
	if l.provider != nil || l.server.loopback() {
		spread = localWait
	}
	if pause(ctx, rand.N(spread)) {
		if err := nc.ForceReconnect(); err != nil && !nc.IsClosed() {
			l.log.Warn().Err(err).Msg("could not leave a server that is stopping")
		}
	}
}

// asyncError tells a refused subject from a lost answer: the server reports a
// permission only beside the request, which then runs into its deadline.
func (l *link) asyncError(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		l.log.Warn().Err(err).Msg("nats")
		return
	}
	_, rest, _ := strings.Cut(err.Error(), `"`)
	subject, _, _ := strings.Cut(rest, `"`)
	l.mu.Lock()
	cancel := l.waiting[subject]
	switch {
	case cancel != nil:
		cancel(errDenied)
	case strings.HasPrefix(subject, l.inbox):
		l.deaf = true
		for _, cancel := range l.waiting {
			cancel(errDeaf)
		}
	default:
		l.denied = subject
	}
	l.mu.Unlock()
	if cancel == nil {
		l.changed()
	}
}

// expect gives a context for one request on subject. It ends when the
// connection is lost or the server refuses the subject, with errDisconnected or
// errDenied as its cause.
func (l *link) expect(ctx context.Context, subject string, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, limit)
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	if l.waiting == nil {
		l.waiting = map[string]context.CancelCauseFunc{}
	}
	l.waiting[subject] = cancel
	l.mu.Unlock()
	return ctx, func() {
		l.mu.Lock()
		delete(l.waiting, subject)
		l.mu.Unlock()
		cancel(nil)
		stop()
	}
}

// up is the connection if it is up, else why not.
func (l *link) up() (*nats.Conn, jetstream.JetStream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nc != nil && l.nc.IsConnected() {
		if l.deaf {
			return nil, nil, errDeaf
		}
		return l.nc, l.js, nil
	}
	if l.nc != nil {
		l.renew(l.nc)
		// A login or handshake that fails while reconnecting is told to no
		// handler, only here.
		if err := l.nc.LastError(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			return nil, nil, err
		}
	}
	if l.failure != nil {
		return nil, nil, l.failure
	}
	return nil, nil, errDisconnected
}

// connections counts how often a connection came up.
func (l *link) connections() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connects
}

// deniedSubject is a subject beside the events' that the server refused on this
// connection; "" if none.
func (l *link) deniedSubject() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied
}

func (l *link) close() {
	l.mu.Lock()
	nc := l.nc
	l.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
}

// address is the server in use without credentials; empty for the embedded one.
func (l *link) address() string {
	if l.provider != nil {
		return ""
	}
	l.mu.Lock()
	nc := l.nc
	l.mu.Unlock()
	if nc != nil {
		if u := nc.ConnectedUrlRedacted(); u != "" {
			return bare(u)
		}
	}
	urls, err := l.server.urls()
	if err != nil || len(urls) == 0 {
		return ""
	}
	return bare(urls[0].String())
}

func bare(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

// serverCertExpiry is the end of the server's certificate; zero without TLS.
func (l *link) serverCertExpiry() time.Time {
	nc, _, err := l.up()
	if err != nil {
		return time.Time{}
	}
	state, err := nc.TLSConnectionState()
	if err != nil || len(state.PeerCertificates) == 0 {
		return time.Time{}
	}
	return state.PeerCertificates[0].NotAfter
}
