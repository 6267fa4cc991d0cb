package usb

import (
	"sync"
	"time"
)

// hidConn is a HID reader as a stream of SAM frames: what package stream takes.
// The kernel keeps some reports and drops the rest silently, so it is read
// continuously.
type hidConn struct {
	r       reports
	report  [reportSize]byte
	pending []byte // of the last report

	mu      sync.Mutex // guards framing
	framing framing
}

func newHID(r reports, f framing) *hidConn { return &hidConn{r: r, framing: f} }

// Read returns bytes of frames, at least one.
func (c *hidConn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		n, err := c.r.read(c.report[:])
		if err != nil {
			return 0, err
		}
		c.mu.Lock()
		c.pending = c.framing.unpack(c.report[:n])
		c.mu.Unlock()
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Write sends a whole frame. What is outstanding of an answer is given up.
func (c *hidConn) Write(frame []byte) (int, error) {
	c.mu.Lock()
	c.framing.reset()
	list := c.framing.pack(frame)
	c.mu.Unlock()
	for _, report := range list {
		if err := c.r.write(report); err != nil {
			return 0, err
		}
	}
	return len(frame), nil
}

// SetWriteDeadline implements stream.Conn.
func (c *hidConn) SetWriteDeadline(t time.Time) error { return c.r.SetWriteDeadline(t) }

// Close implements stream.Conn.
func (c *hidConn) Close() error { return c.r.Close() }
