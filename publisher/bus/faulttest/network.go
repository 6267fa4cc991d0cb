// Package faulttest holds what the fault tests of delivery stand on: a network
// that swallows acknowledgements, delays, drops and cuts; servers and clusters
// in this process; a queue in memory. Tests only.
package faulttest

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Network stands between a client and a server. Its zero faults are none. It is
// a nats.InProcessConnProvider, and a TCP proxy through Listen.
type Network struct {
	dial func() (net.Conn, error)

	mu       sync.Mutex
	conns    map[*flow]bool
	listener net.Listener
	down     bool
	dropUp   bool
	dropDown bool
	delay    time.Duration
	swallow  func() bool
	opaque   bool
	wg       sync.WaitGroup
}

// NewNetwork leads to the server that dial reaches.
func NewNetwork(dial func() (net.Conn, error)) *Network {
	return &Network{dial: dial, conns: map[*flow]bool{}}
}

// TCP dials a server by address.
func TCP(addr string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.DialTimeout("tcp", addr, 5*time.Second) }
}

// Swallow asks f about every acknowledgement of a stream on its way to the
// client; true loses it. nil loses none.
func (n *Network) Swallow(f func() bool) { n.set(func() { n.swallow = f }) }

// Opaque makes the network carry what it cannot read, as TLS: acknowledgements
// cannot be swallowed then.
func (n *Network) Opaque() { n.set(func() { n.opaque = true }) }

// Drop loses everything on its way up (to the server) or down, as a firewall
// does: connections look alive.
func (n *Network) Drop(up, down bool) { n.set(func() { n.dropUp, n.dropDown = up, down }) }

// Delay holds everything back for d, in both directions.
func (n *Network) Delay(d time.Duration) { n.set(func() { n.delay = d }) }

// Down refuses new connections and cuts those there are; false lets them in again.
func (n *Network) Down(down bool) {
	n.set(func() { n.down = down })
	if down {
		n.Cut()
	}
}

// Cut ends every connection.
func (n *Network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range n.conns {
		f.close()
	}
}

func (n *Network) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// InProcessConn implements nats.InProcessConnProvider.
func (n *Network) InProcessConn() (net.Conn, error) {
	near, far := net.Pipe()
	if err := n.carry(far); err != nil {
		near.Close()
		return nil, err
	}
	return near, nil
}

// Listen opens a loopback port that leads to the server and gives its address.
func (n *Network) Listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	n.set(func() { n.listener = l })
	n.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n.carry(c) != nil {
				c.Close()
			}
		}
	})
	return l.Addr().String(), nil
}

// Close ends everything.
func (n *Network) Close() {
	n.mu.Lock()
	if n.listener != nil {
		n.listener.Close()
	}
	n.down = true
	n.mu.Unlock()
	n.Cut()
	n.wg.Wait()
}

// flow is one connection through the network.
type flow struct{ client, server net.Conn }

func (f *flow) close() {
	f.client.Close()
	f.server.Close()
}

func (n *Network) carry(client net.Conn) error {
	n.mu.Lock()
	down := n.down
	n.mu.Unlock()
	if down {
		client.Close()
		return errors.New("the network is down")
	}
	server, err := n.dial()
	if err != nil {
		client.Close()
		return err
	}
	f := &flow{client, server}
	n.mu.Lock()
	n.conns[f] = true
	from := io.Reader(server)
	if !n.opaque {
		from = newAckFilter(server, n.loses)
	}
	n.mu.Unlock()
	end := func() {
		f.close()
		n.mu.Lock()
		delete(n.conns, f)
		n.mu.Unlock()
	}
	n.wg.Go(func() { defer end(); n.pump(server, client, func() bool { return n.dropUp }) })
	n.wg.Go(func() {
		defer end()
		n.pump(client, from, func() bool { return n.dropDown })
	})
	return nil
}

func (n *Network) loses() bool {
	n.mu.Lock()
	f := n.swallow
	n.mu.Unlock()
	return f != nil && f()
}

func (n *Network) pump(to io.Writer, from io.Reader, drop func() bool) {
	buf := make([]byte, 32<<10)
	for {
		size, err := from.Read(buf)
		if err != nil {
			return
		}
		n.mu.Lock()
		lost, delay := drop(), n.delay
		n.mu.Unlock()
		if lost {
			continue
		}
		if delay > 0 {
			time.Sleep(delay) // the fault itself
		}
		if _, err := to.Write(buf[:size]); err != nil {
			return
		}
	}
}
