package mock

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"idtap/driver"
)

// unpluggedFor is how long a reader stays away that a fault unplugged.
const unpluggedFor = time.Second

// errUnplugged ends serving where a fault unplugged the reader.
var errUnplugged = errors.New("unplugged")

// Serve plays the module on a stream to another program until the stream ends
// (nil), the context does (its error) or the module is unplugged (driver.ErrGone).
// rate, if not nil, is the speed that the other program set for the line: at a
// wrong one the module understands nothing. Serve closes rw.
func (m *Module) Serve(ctx context.Context, rw io.ReadWriteCloser, rate func() int) error {
	plug, err := m.attach()
	if err != nil {
		rw.Close()
		return err
	}
	defer m.detach(plug)

	type arrived struct {
		bytes []byte
		at    time.Time
	}
	ctx, cancel := context.WithCancel(ctx)
	in, closed := make(chan arrived), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(closed)
		for {
			buf := make([]byte, 512)
			n, err := rw.Read(buf)
			if n > 0 {
				select {
				case in <- arrived{buf[:n], m.clock.Now()}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	stop := context.AfterFunc(ctx, func() { rw.Close() }) // frees a blocked Read or Write
	defer func() {
		stop()
		cancel()
		rw.Close()
		reading.Wait()
	}()

	l := newLine(m)
	for {
		here, changed := m.watch(plug)
		if !here {
			return &driver.Error{Op: "serve", Err: driver.ErrGone}
		}
		p, ok, next := l.due(m.clock.Now())
		if ok {
			if _, err := rw.Write(p.bytes); err != nil {
				return ctx.Err()
			}
			if p.gone {
				m.Unplug()
				return errUnplugged
			}
			continue
		}
		var wake <-chan time.Time
		stopTimer := func() bool { return false }
		if !next.IsZero() {
			timer := m.clock.NewTimer(next.Sub(m.clock.Now()))
			wake, stopTimer = timer.Chan(), timer.Stop
		}
		select {
		case a := <-in:
			if baud := m.Baud(); rate == nil || baud == 0 || rate() == baud {
				l.hear(a.bytes, a.at)
			}
		case <-wake:
		case <-changed:
		case <-closed:
			stopTimer()
			return ctx.Err()
		case <-ctx.Done():
			stopTimer()
			return ctx.Err()
		}
		stopTimer()
	}
}

// TCPServer offers a module on a TCP port, as a serial server does: one client
// at a time, the next one waits.
type TCPServer struct {
	m *Module
	l net.Listener
}

// ListenTCP opens the port. Serve must be called to answer and to free it.
func ListenTCP(m *Module, address string) (*TCPServer, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &TCPServer{m, l}, nil
}

// Address is the host and port that clients open.
func (s *TCPServer) Address() string { return s.l.Addr().String() }

// Serve answers clients until the context ends.
func (s *TCPServer) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.l.Close() })
	defer func() {
		stop()
		s.l.Close()
	}()
	for {
		conn, err := s.l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		if err := s.m.Serve(ctx, conn, nil); errors.Is(err, errUnplugged) {
			select {
			case <-s.m.clock.After(unpluggedFor):
			case <-ctx.Done():
				return ctx.Err()
			}
			s.m.Plug()
		}
	}
}

// PTYServer offers a module as a terminal device, as a USB serial bridge does.
type PTYServer struct {
	m *Module
	p *pty
}

// OpenPTY makes the device. Serve must be called to answer and to free it. On
// systems other than Linux the error is driver.ErrNotBuilt.
func OpenPTY(m *Module) (*PTYServer, error) {
	p, err := openPTY()
	if err != nil {
		return nil, err
	}
	return &PTYServer{m, p}, nil
}

// Address is the device's path.
func (s *PTYServer) Address() string { return s.p.path }

// Serve answers whoever opens the device until the context ends. The device stays
// when they close it.
func (s *PTYServer) Serve(ctx context.Context) error { return s.m.Serve(ctx, s.p, s.p.rate) }
