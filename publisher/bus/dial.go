package bus

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// maxInfo bounds the server's first line, which comes before TLS and before any
// login: a server of today sends about 1 KiB, more with many cluster members.
const maxInfo = 64 << 10

var errLongInfo = errors.New("the server's first line is longer than 64 KiB: is it a NATS server?")

// dialer makes the sockets of one connection, one at a time. The client library
// forgets a socket whose handshake failed without closing it, so each new one
// ends the one before.
type dialer struct {
	dial func(network, address string) (net.Conn, error)

	mu   sync.Mutex
	last net.Conn
}

func newDialer() *dialer {
	return &dialer{dial: (&net.Dialer{Timeout: dialTimeout}).Dial}
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		d.last.Close() // closed already, unless its handshake failed
		d.last = nil
	}
	c, err := d.dial(network, address)
	if err != nil {
		return nil, err
	}
	d.last = &boundedConn{Conn: c}
	return d.last, nil
}

// inProcess makes the connections of a provider through a dialer.
type inProcess struct{ *dialer }

func newInProcess(p nats.InProcessConnProvider) inProcess {
	return inProcess{&dialer{dial: func(string, string) (net.Conn, error) { return p.InProcessConn() }}}
}

// InProcessConn implements nats.InProcessConnProvider.
func (p inProcess) InProcessConn() (net.Conn, error) { return p.Dial("", "") }

// boundedConn fails when the first line is longer than maxInfo.
type boundedConn struct {
	net.Conn
	seen int  // bytes of the first line
	past bool // it has ended
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.past {
		return c.Conn.Read(p)
	}
	n, err := c.Conn.Read(p[:min(len(p), maxInfo+1)])
	if i := bytes.IndexByte(p[:n], '\n'); i >= 0 {
		c.past = true
		c.seen += i
	} else {
		c.seen += n
	}
	if c.seen > maxInfo {
		return 0, errLongInfo
	}
	return n, err
}

// Delays between two rounds through the servers: doubled from first to last, then
// half to one and a half of it, so that desks that lost a cluster together come
// back as a wave and not as a wall. A server on the same machine has few clients.
const (
	reconnectFirst = 2 * time.Second
	reconnectLast  = 30 * time.Second
	localFirst     = 250 * time.Millisecond
	localLast      = 2 * time.Second
)

// reconnectDelay returns the delay after a number of rounds, from 1.
func reconnectDelay(first, last time.Duration) func(round int) time.Duration {
	return func(round int) time.Duration {
		d := min(first<<min(max(round-1, 0), 10), last)
		return d/2 + rand.N(d)
	}
}
