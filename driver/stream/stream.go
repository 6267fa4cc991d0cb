// Package stream makes a driver.Transport of a byte stream whose reads block:
// a serial port, a TCP connection.
//
// One goroutine reads the stream for as long as it is open and hands the bytes
// over, so that a Read of the Transport ends with its context whatever the
// stream is doing, and so that bytes that have arrived are there at once.
package stream

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"idtap/driver"
)

// Conn is an open stream. Close ends a blocked Read and a blocked Write, and a
// write deadline in the past ends a blocked Write.
type Conn interface {
	io.ReadWriteCloser
	SetWriteDeadline(t time.Time) error
}

const (
	readSize = 4096
	// backlog bounds what a line may pile up while nobody reads: the stream is
	// then left alone until somebody does.
	backlog = 256
)

// past is before any moment: a deadline that has always passed.
var past = time.Unix(1, 0)

// Transport is a driver.Transport over a Conn. When the stream ends by itself
// its operations are driver.ErrGone; after its own Close they are os.ErrClosed.
type Transport struct {
	name string
	conn Conn

	chunks chan []byte
	rest   []byte // of the last chunk, the owner's

	closing chan struct{}
	close   sync.Once
	closed  atomic.Bool
	ended   chan struct{} // closed by the reading goroutine, after err is set
	err     error
}

var _ driver.Transport = (*Transport)(nil)

// New takes over conn; name is the reader's, for errors.
func New(conn Conn, name string) *Transport {
	t := &Transport{
		name:    name,
		conn:    conn,
		chunks:  make(chan []byte, backlog),
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
	}
	go t.pump()
	return t
}

func (t *Transport) pump() {
	defer close(t.ended)
	buf := make([]byte, readSize)
	for {
		n, err := t.conn.Read(buf)
		if n > 0 {
			select {
			case t.chunks <- append([]byte(nil), buf[:n]...):
			case <-t.closing:
				return
			}
		}
		if err != nil {
			t.err = err
			return
		}
	}
}

// Read implements driver.Transport.
func (t *Transport) Read(ctx context.Context, buf []byte) (int, error) {
	if len(t.rest) == 0 && !t.next() {
		select {
		case t.rest = <-t.chunks:
		case <-t.ended:
			if !t.next() { // the last bytes come before the end
				return 0, t.gone("read", t.err)
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	n := copy(buf, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// next takes a chunk that is there.
func (t *Transport) next() bool {
	select {
	case t.rest = <-t.chunks:
		return true
	default:
		return false
	}
}

// Write implements driver.Transport. A frame of which only a part went out is
// an error; the module then answers a later one with a wrong checksum at worst.
func (t *Transport) Write(ctx context.Context, frame []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.closed.Load() {
		return t.gone("write", os.ErrClosed)
	}
	t.conn.SetWriteDeadline(time.Time{})
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		t.conn.SetWriteDeadline(past)
	})
	_, err := t.conn.Write(frame)
	if !stop() {
		<-expired
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return t.gone("write", err)
}

// gone tells the stream's own end from ours.
func (t *Transport) gone(op string, cause error) error {
	kind := driver.ErrGone
	if t.closed.Load() {
		kind, cause = os.ErrClosed, nil
	}
	return &driver.Error{Op: op, Reader: t.name, Err: kind, Cause: cause}
}

// Close closes the stream and waits for the reading goroutine.
func (t *Transport) Close() error {
	var err error
	t.close.Do(func() {
		t.closed.Store(true)
		close(t.closing)
		err = t.conn.Close()
		<-t.ended
	})
	return err
}
