package pcsctest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ATR is what cards of this package give.
var ATR = []byte{0x3B, 0x88, 0x80, 0x01, 0, 0, 0, 0, 0, 0x81, 0x81, 0x00, 0x09}

// Hangs, as an answer, is none: the card keeps the APDU and says nothing more.
// Leaves pulls the card in the middle of the APDU.
var (
	Hangs  = []byte("hangs")
	Leaves = []byte("leaves")
)

// Card is a card in a slot of a Service, from Insert to Pull.
type Card struct {
	conn    net.Conn
	ended   sync.WaitGroup
	pull    sync.Once
	stop    chan struct{}
	mu      sync.Mutex
	request int
}

// Insert puts a card into the slot at address. answer gives what it says to an
// APDU, status words included; calls come one at a time.
func Insert(tb testing.TB, address string, answer func(apdu []byte) []byte) *Card {
	tb.Helper()
	c := &Card{conn: dial(tb, "tcp", address), stop: make(chan struct{})}
	c.ended.Go(func() { c.serve(answer) })
	tb.Cleanup(c.Pull)
	return c
}

// APDUs counts those that came.
func (c *Card) APDUs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request
}

// Pull takes the card out at once. pcscd notices within 0.4 s.
func (c *Card) Pull() {
	c.pull.Do(func() {
		close(c.stop)
		c.conn.Close()
		c.ended.Wait()
	})
}

// Take takes the card out and returns when pcscd has noticed.
func (c *Card) Take(tb testing.TB) {
	tb.Helper()
	c.conn.(*net.TCPConn).CloseWrite()
	c.conn.SetReadDeadline(time.Now().Add(starting))
	c.ended.Wait()
	c.Pull()
}

// serve is a virtual card's part of vpcd's protocol: two bytes of length and a
// body; a body of one byte is a control code, of which only 4, the ATR, is
// answered.
func (c *Card) serve(answer func([]byte) []byte) {
	for {
		c.quickAck()
		var size [2]byte
		if _, err := io.ReadFull(c.conn, size[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return
		}
		var out []byte
		switch {
		case len(body) == 1 && body[0] == 4:
			out = ATR
		case len(body) <= 1:
			continue
		default:
			c.mu.Lock()
			c.request++
			c.mu.Unlock()
			out = answer(body)
		}
		switch {
		case same(out, Hangs):
			<-c.stop
			return
		case same(out, Leaves):
			c.conn.Close()
			return
		}
		if _, err := c.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			if errors.Is(err, unix.EPIPE) { // taken out: vpcd is still to notice
				continue
			}
			return
		}
	}
}

func same(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// quickAck has vpcd's next bytes acknowledged at once; without it each APDU takes
// 40 ms (vpcd writes length and body by themselves).
func (c *Card) quickAck() {
	raw, err := c.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}
