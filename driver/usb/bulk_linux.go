package usb

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lineTries is how often a request that ended in line trouble is made again:
	// controllers report an unplugged device so before its removal.
	lineTries = 2
	linePause = 5 * time.Millisecond
	// mostTrouble is how many requests on an endpoint may end badly in a row,
	// whatever the reason, before the device is opened again.
	mostTrouble = 20
)

// pipes is the asynchronous requests of a claimed interface: at most one per
// endpoint is under way. reap has one caller; the others may be called from any
// goroutine.
type pipes interface {
	// submit begins a request: with bytes for an OUT endpoint, without for an IN
	// endpoint. It fails with the kernel's error number, or os.ErrClosed.
	submit(endpoint byte, p []byte) error
	// reap waits for a request to end. After Close it is os.ErrClosed, after the
	// device has gone the kernel's error number.
	reap() (done, error)
	// clearHalt lets an endpoint go on after a stall.
	clearHalt(endpoint byte) error
	// discard ends the request that is under way on an endpoint; reap reports it.
	discard(endpoint byte) error
	// reset resets the whole device.
	reset() error
	io.Closer
}

// done is a request that has ended.
type done struct {
	endpoint byte
	p        []byte // received; holds until the endpoint's next submit
	err      error  // the kernel's error number, or nil
}

// bulkConn is a bulk reader as a stream of SAM frames: what package stream takes.
//
// What a request ended with decides what happens (Linux 6.1, measured on xHCI):
//
//	ENODEV                gone, the only proof of an unplugged device
//	ESHUTDOWN             asked again: sleep ends requests so, too
//	EPROTO, EILSEQ, ETIME line trouble, or an unplugging about to be reported
//	EPIPE                 stalled: the halt is cleared, the command's own repeat runs
//	EOVERFLOW             more than fits: that packet is lost
//	no error, no bytes    a zero-length packet: nothing
type bulkConn struct {
	p       pipes
	w       wire
	pending []byte // for Read
	trouble map[byte]int
	errors  atomic.Uint64

	mu   sync.Mutex // guards join
	join joiner

	closing chan struct{}
	close   sync.Once
	ended   chan struct{} // closed when Read has returned an error

	writing  sync.Mutex
	sent     map[byte]chan error // by OUT endpoint: how its request ended
	busy     map[byte]bool       // a request given up that has not ended; guarded by writing
	deadline deadline
}

// newBulk begins to listen on every IN endpoint.
func newBulk(p pipes, w wire) (*bulkConn, error) {
	c := &bulkConn{p: p, w: w, trouble: map[byte]int{}, closing: make(chan struct{}), ended: make(chan struct{}),
		sent: map[byte]chan error{}, busy: map[byte]bool{}}
	c.deadline.set(time.Time{})
	for _, e := range w.out {
		c.sent[e.Address] = make(chan error, 1)
	}
	for _, e := range w.in {
		if err := p.submit(e.Address, nil); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Read returns bytes of frames, at least one. It is also what learns how writes
// ended, so somebody has to be in it all the time.
func (c *bulkConn) Read(buf []byte) (n int, err error) {
	defer func() {
		if err != nil {
			close(c.ended)
		}
	}()
	for len(c.pending) == 0 {
		d, err := c.p.reap()
		if err != nil {
			return 0, err
		}
		if end, out := c.sent[d.endpoint]; out {
			end <- d.err
			continue
		}
		if err := c.received(d); err != nil {
			return 0, err
		}
	}
	n = copy(buf, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// received takes a request that ended on an IN endpoint and makes the next one.
func (c *bulkConn) received(d done) error {
	if d.err == nil {
		delete(c.trouble, d.endpoint)
		c.pending = append(c.pending[:0], c.joined(d)...)
		return c.p.submit(d.endpoint, nil)
	}
	c.trouble[d.endpoint]++
	tries := mostTrouble
	switch d.err {
	case unix.ENODEV:
		return d.err
	case unix.ESHUTDOWN, unix.ENOENT, unix.ECONNRESET: // asleep, or given up
	case unix.EPIPE:
		c.errors.Add(1)
		if err := c.p.clearHalt(d.endpoint); err != nil {
			return err
		}
	case unix.EOVERFLOW:
		c.errors.Add(1)
	default:
		c.errors.Add(1)
		tries = lineTries
	}
	if c.trouble[d.endpoint] > tries {
		return d.err
	}
	if c.trouble[d.endpoint] > 1 || tries == lineTries {
		select {
		case <-time.After(linePause):
		case <-c.closing:
			return os.ErrClosed
		}
	}
	return c.p.submit(d.endpoint, nil)
}

// joined is what the stream goes on with.
func (c *bulkConn) joined(d done) []byte {
	if c.w.form != fourPipe {
		return d.p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.endpoint == c.w.in[0].Address {
		return c.join.heads(d.p)
	}
	return c.join.bodies(d.p)
}

// Write sends a whole frame. What is outstanding of an answer is given up.
func (c *bulkConn) Write(frame []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.w.form != fourPipe {
		return len(frame), c.send(c.w.out[0].Address, frame)
	}
	c.mu.Lock()
	c.join.reset()
	c.mu.Unlock()
	n := min(headSize, len(frame))
	if err := c.send(c.w.out[0].Address, frame[:n]); err != nil {
		return 0, err
	}
	return len(frame), c.send(c.w.out[1].Address, frame[n:])
}

// send sends one transfer and waits until the device has it.
func (c *bulkConn) send(endpoint byte, p []byte) error {
	if c.busy[endpoint] {
		if err := c.wait(endpoint); err != nil && isOurs(err) {
			return err
		}
		delete(c.busy, endpoint)
	}
	for try := 0; ; try++ {
		if err := c.p.submit(endpoint, p); err != nil {
			return err
		}
		err := c.wait(endpoint)
		if isOurs(err) {
			c.busy[endpoint] = true
			c.p.discard(endpoint)
			return err
		}
		if err == nil || err == unix.ENODEV || try == lineTries {
			return err
		}
		c.errors.Add(1)
		if err == unix.EPIPE {
			if err := c.p.clearHalt(endpoint); err != nil {
				return err
			}
		}
	}
}

// isOurs tells an end of waiting from an end of the request.
func isOurs(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed)
}

// wait is how the request on an OUT endpoint ended.
func (c *bulkConn) wait(endpoint byte) error {
	select {
	case err := <-c.sent[endpoint]:
		return err
	default:
	}
	select {
	case err := <-c.sent[endpoint]:
		return err
	case <-c.deadline.over():
		return os.ErrDeadlineExceeded
	case <-c.ended:
		return os.ErrClosed
	case <-c.closing:
		return os.ErrClosed
	}
}

// lineErrors counts transfers that ended badly.
func (c *bulkConn) lineErrors() uint64 { return c.errors.Load() }

// SetWriteDeadline implements stream.Conn: none, or one that has passed.
func (c *bulkConn) SetWriteDeadline(t time.Time) error {
	c.deadline.set(t)
	return nil
}

// Close implements stream.Conn: whatever is under way ends.
func (c *bulkConn) Close() error {
	var err error
	c.close.Do(func() {
		close(c.closing)
		err = c.p.Close()
	})
	return err
}

// deadline ends waiting: it is over from the moment that one in the past was set.
type deadline struct {
	mu   sync.Mutex
	past chan struct{}
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.past:
	default:
		if d.past != nil {
			close(d.past)
		}
	}
	if t.IsZero() {
		d.past = make(chan struct{})
	}
}

func (d *deadline) over() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.past
}
