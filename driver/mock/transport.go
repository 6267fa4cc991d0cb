package mock

import (
	"context"
	"sync"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
)

// Transport is a Module at the end of a line in this process. It has no
// goroutines: time passes in Read, by the Module's clock.
type Transport struct {
	m      *Module
	plug   int
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex // guards line and rest
	line *line
	rest []byte // of a piece that was longer than the caller's buffer
	baud int    // rate of the host's end; 0: the module's
}

var _ sam.Line = (*Transport)(nil)

// Open opens the module. While it is unplugged the error is driver.ErrGone, while
// another Transport has it driver.ErrBusy.
func (m *Module) Open() (*Transport, error) {
	plug, err := m.attach()
	if err != nil {
		return nil, err
	}
	return &Transport{m: m, plug: plug, closed: make(chan struct{}), line: newLine(m)}, nil
}

// Write implements driver.Transport.
func (t *Transport) Write(ctx context.Context, frame []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.gone("write"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if baud := t.m.Baud(); t.baud != 0 && baud != 0 && t.baud != baud {
		return nil // noise to the module
	}
	t.line.hear(frame, t.m.clock.Now())
	return nil
}

// SetBaud sets the rate of the host's end. A module whose line has another rate
// does not understand it.
func (t *Transport) SetBaud(baud int) error {
	if err := t.gone("set baud rate"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.baud = baud
	return nil
}

// Read implements driver.Transport: one piece of an answer, no earlier than its
// last byte can be there. With a context that is over it takes what is there.
func (t *Transport) Read(ctx context.Context, buf []byte) (int, error) {
	for {
		if err := t.gone("read"); err != nil {
			return 0, err
		}
		_, changed := t.m.watch(t.plug)
		n, next := t.take(buf)
		if n > 0 {
			return n, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var wake <-chan time.Time
		stop := func() bool { return false }
		if !next.IsZero() {
			timer := t.m.clock.NewTimer(next.Sub(t.m.clock.Now()))
			wake, stop = timer.Chan(), timer.Stop
		}
		select {
		case <-wake:
		case <-changed:
		case <-t.closed:
		case <-ctx.Done():
		}
		stop()
	}
}

// take copies what is due into buf, else gives the moment when more will be.
func (t *Transport) take(buf []byte) (int, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.rest) == 0 {
		p, ok, next := t.line.due(t.m.clock.Now())
		if !ok {
			return 0, next
		}
		t.rest = p.bytes
		if p.gone {
			t.m.Unplug()
			break
		}
	}
	n := copy(buf, t.rest)
	t.rest = t.rest[n:]
	return n, time.Time{}
}

// gone is the error of a transport that was closed or whose module was unplugged.
func (t *Transport) gone(op string) error {
	select {
	case <-t.closed:
		return &driver.Error{Op: op, Err: driver.ErrGone}
	default:
	}
	if here, _ := t.m.watch(t.plug); !here {
		return &driver.Error{Op: op, Err: driver.ErrGone}
	}
	return nil
}

// Close implements driver.Transport.
func (t *Transport) Close() error {
	t.once.Do(func() {
		close(t.closed)
		t.m.detach(t.plug)
	})
	return nil
}
