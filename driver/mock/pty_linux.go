package mock

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pty is a pseudo terminal: the module's end, with the host's end held open so
// that a host may come and go without the module's end failing (a read there
// gives EIO while nobody has the other end open).
type pty struct {
	*os.File
	slave *os.File
	path  string
}

func openPTY() (*pty, error) {
	// Non-blocking, so that Go's poller owns it and Close frees a blocked Read.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	p, err := unlock(master, fd)
	if err != nil {
		master.Close()
		return nil, err
	}
	return p, nil
}

func unlock(master *os.File, fd int) (*pty, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, os.NewSyscallError("ioctl TIOCSPTLCK", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, os.NewSyscallError("ioctl TIOCGPTN", err)
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := raw(int(slave.Fd())); err != nil {
		slave.Close()
		return nil, err
	}
	return &pty{File: master, slave: slave, path: path}, nil
}

// raw turns the terminal's editing off, as every serial program does for itself.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("ioctl TCGETS", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return os.NewSyscallError("ioctl TCSETS", unix.IoctlSetTermios(fd, unix.TCSETS, t))
}

// rate is the speed that the host set, in bits per second; 0 if it cannot be told.
func (p *pty) rate() int {
	raw, err := p.slave.SyscallConn() // Close may come at any time
	if err != nil {
		return 0
	}
	speed := 0
	raw.Control(func(fd uintptr) {
		if t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2); err == nil {
			speed = int(t.Ospeed)
		}
	})
	return speed
}

// Close frees both ends: the device disappears for the host.
func (p *pty) Close() error {
	p.slave.Close()
	return p.File.Close()
}
