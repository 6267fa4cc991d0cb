package usb

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// hidraw is an open HID collection. The kernel has no exclusive use of one: every
// program that opens it gets every answer, so a lock keeps at least another idtap
// out. Go's poller waits for reports.
type hidraw struct{ *os.File }

var _ reports = hidraw{}

// errLocked says that another process holds the lock on a node.
var errLocked = errors.New("locked by another program")

func openHidraw(node string) (hidraw, error) {
	f, err := os.OpenFile(node, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return hidraw{}, errors.Unwrap(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return hidraw{}, err
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		locked = err
	}
	if locked != nil {
		f.Close()
		if errors.Is(locked, unix.EWOULDBLOCK) {
			locked = errLocked
		}
		return hidraw{}, locked
	}
	return hidraw{f}, nil
}

func (h hidraw) read(p []byte) (int, error) { return h.File.Read(p) }

func (h hidraw) write(p []byte) error {
	_, err := h.File.Write(append(make([]byte, 1, 1+len(p)), p...)) // 0: the reports have no id
	return err
}
