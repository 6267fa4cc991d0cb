package serial

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	bugst "go.bug.st/serial"
	"golang.org/x/sys/windows"

	"idtap/driver/stream"
)

// com is a COM port of Windows, opened for overlapped use. go.bug.st/serial is not
// used for its bytes: it sets read time-outs to MAXDWORD, MAXDWORD, which Wine does
// not end and which it lets nobody change, so the port could not be tested
// (docs/decisions/com-ports.md). Ports are exclusive by themselves.
type com struct {
	handle  windows.Handle
	closed  atomic.Bool
	inUse   sync.WaitGroup // calls that may still use the handle
	closing sync.Mutex     // held while inUse grows and while it is waited for

	reading, writing sync.Mutex // one request each at a time
}

// Time-outs in milliseconds: a read ends readGap after the last byte of a run, or
// with nothing after readIdle. Both only cut a read; the SAM client joins them.
const (
	readGap  = 5
	readIdle = 20
	// writeLimit is above the 23 ms that the longest command takes at 9600 baud; a
	// write that flow control holds up is ended by its deadline before.
	writeLimit = 5000
)

func open(path string, m *bugst.Mode) (stream.Conn, settings, error) {
	name := path
	if !strings.HasPrefix(name, `\\`) {
		name = `\\.\` + name
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, nil, err
	}
	h, err := windows.CreateFile(wide, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OVERLAPPED, 0)
	if err != nil {
		return nil, nil, err
	}
	c := &com{handle: h}
	err = c.SetMode(m)
	if err == nil {
		err = windows.SetCommTimeouts(h, &windows.CommTimeouts{ReadIntervalTimeout: readGap, ReadTotalTimeoutConstant: readIdle, WriteTotalTimeoutConstant: writeLimit})
	}
	if err != nil {
		windows.CloseHandle(h)
		return nil, nil, err
	}
	return c, c, nil
}

// Bits of DCB.Flags that are used here (winbase.h): binary mode, DTR and RTS on.
const dcbFlags = 1<<0 | windows.DTR_CONTROL_ENABLE | windows.RTS_CONTROL_ENABLE

// SetMode sets the rate with 8 data bits, no parity, one stop bit and no flow
// control, which is all that the protocol has.
func (c *com) SetMode(m *bugst.Mode) error {
	return c.use(func() error {
		var dcb windows.DCB
		dcb.DCBlength = uint32(unsafe.Sizeof(dcb))
		if err := windows.GetCommState(c.handle, &dcb); err != nil {
			return fmt.Errorf("settings of the port: %w", err)
		}
		dcb.BaudRate, dcb.ByteSize, dcb.Parity, dcb.StopBits = uint32(m.BaudRate), 8, windows.NOPARITY, windows.ONESTOPBIT
		dcb.Flags = dcbFlags
		if err := windows.SetCommState(c.handle, &dcb); err != nil {
			return fmt.Errorf("rate %d: %w", m.BaudRate, err)
		}
		return nil
	})
}

// Lines and buffers, as package go.bug.st/serial names them.
func (c *com) SetDTR(on bool) error { return c.escape(on, windows.SETDTR, windows.CLRDTR) }
func (c *com) SetRTS(on bool) error { return c.escape(on, windows.SETRTS, windows.CLRRTS) }
func (c *com) ResetInputBuffer() error {
	return c.use(func() error { return windows.PurgeComm(c.handle, windows.PURGE_RXCLEAR) })
}

func (c *com) escape(on bool, set, clear uint32) error {
	if !on {
		set = clear
	}
	return c.use(func() error { return windows.EscapeCommFunction(c.handle, set) })
}

// use runs a call while the handle is certainly this port's.
func (c *com) use(call func() error) error {
	c.closing.Lock()
	if c.closed.Load() {
		c.closing.Unlock()
		return os.ErrClosed
	}
	c.inUse.Add(1)
	c.closing.Unlock()
	defer c.inUse.Done()
	return call()
}

// Read returns what arrived; it waits until something does.
func (c *com) Read(p []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for n == 0 && err == nil && len(p) > 0 {
		err = c.use(func() (err error) {
			n, err = c.transfer(func(o *windows.Overlapped, done *uint32) error { return windows.ReadFile(c.handle, p, done, o) })
			return err
		})
		if n == 0 && timedOut(err) {
			err = nil
		}
	}
	return n, err
}

func (c *com) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	err = c.use(func() (err error) {
		n, err = c.transfer(func(o *windows.Overlapped, done *uint32) error { return windows.WriteFile(c.handle, p, done, o) })
		return err
	})
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// timedOut reports whether a read ended because nothing came: Windows says so with
// zero bytes, Wine with one of these as well.
func timedOut(err error) bool {
	return errors.Is(err, windows.ERROR_TIMEOUT) || errors.Is(err, windows.Errno(windows.WAIT_TIMEOUT))
}

// transfer runs one overlapped request to its end.
func (c *com) transfer(request func(*windows.Overlapped, *uint32) error) (int, error) {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(event)
	o := &windows.Overlapped{HEvent: event}
	var n uint32
	if err = request(o, &n); errors.Is(err, windows.ERROR_IO_PENDING) {
		err = windows.GetOverlappedResult(c.handle, o, &n, true)
	}
	if errors.Is(err, windows.ERROR_OPERATION_ABORTED) && c.closed.Load() {
		err = os.ErrClosed
	}
	return int(n), err
}

// SetWriteDeadline ends a write under way when t has passed. A later t needs
// nothing: package stream sets the deadline in the past when the time comes.
func (c *com) SetWriteDeadline(t time.Time) error {
	if t.IsZero() || time.Now().Before(t) {
		return nil
	}
	return c.use(func() error { return windows.PurgeComm(c.handle, windows.PURGE_TXABORT|windows.PURGE_TXCLEAR) })
}

// Close ends whatever is under way and lets go of the port.
func (c *com) Close() error {
	c.closing.Lock()
	again := c.closed.Swap(true)
	c.closing.Unlock()
	if again {
		return os.ErrClosed
	}
	windows.CancelIoEx(c.handle, nil)
	windows.PurgeComm(c.handle, windows.PURGE_TXABORT|windows.PURGE_RXABORT|windows.PURGE_TXCLEAR|windows.PURGE_RXCLEAR)
	c.inUse.Wait() // reads end by themselves within readIdle, too
	return windows.CloseHandle(c.handle)
}

// busy reports whether another program has the port: Windows says that access is
// denied, which for a port has no other cause.
func busy(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}
