//go:build unix

package serial

import (
	"errors"
	"os"

	bugst "go.bug.st/serial"
	"golang.org/x/sys/unix"

	"idtap/driver/stream"
)

// conn is a port's bytes. The file has a descriptor of its own, not the one of
// the settings: it does not block, so Go's poller gives it deadlines and a
// Close that ends whatever is under way.
type conn struct {
	*os.File
	settings bugst.Port
}

// Close lets go of the port. The settings go first: they release TIOCEXCL.
func (c conn) Close() error {
	return errors.Join(c.settings.Close(), c.File.Close())
}

// open opens path twice. Ours comes first, before the settings' TIOCEXCL would
// keep it out, and takes the lock: exclusive use does not bind root.
func open(path string, m *bugst.Mode) (stream.Conn, settings, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, errors.Unwrap(err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, nil, err
	}
	port, err := bugst.Open(path, m)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return conn{f, port}, port, nil
}

// lock takes the port for this process until the file is closed.
func lock(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	if errors.Is(locked, unix.EWOULDBLOCK) {
		return errHeld
	}
	return locked
}

func busy(err error) bool { return errors.Is(err, unix.EBUSY) }
