package serial

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bugst "go.bug.st/serial"
	"golang.org/x/sys/windows"

	"idtap/driver/stream"
)

// conn is a port's bytes. Windows ports are exclusive by themselves; their
// writes have no time-out, so a write is ended by purging the output.
type conn struct {
	port    bugst.Port
	closed  atomic.Bool
	writing sync.RWMutex // held by Write; Close waits for it, the handle may be reused after
}

func (c *conn) Read(p []byte) (int, error) { return c.port.Read(p) }

func (c *conn) Write(p []byte) (int, error) {
	c.writing.RLock()
	defer c.writing.RUnlock()
	if c.closed.Load() {
		return 0, os.ErrClosed
	}
	return c.port.Write(p)
}

// SetWriteDeadline ends a write under way when t has passed. A later t needs
// nothing: package stream sets the deadline in the past when the time comes.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() || time.Now().Before(t) {
		return nil
	}
	return c.port.ResetOutputBuffer()
}

func (c *conn) Close() error {
	c.closed.Store(true)
	c.port.ResetOutputBuffer()
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.port.Close()
}

func open(path string, m *bugst.Mode) (stream.Conn, bugst.Port, error) {
	port, err := bugst.Open(path, m)
	if err != nil {
		return nil, nil, err
	}
	return &conn{port: port}, port, nil
}

func busy(err error) bool { return errors.Is(err, windows.ERROR_SHARING_VIOLATION) }
