//go:build unix

package securefile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes the file for this process alone, without waiting, until it is
// closed or the process ends; ErrLocked if another one has it.
func Lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return os.NewSyscallError("flock", err)
}

// Locked reports whether a process holds the lock of the file at path, without
// taking it for longer than the question. A file that cannot be opened counts as
// not locked.
func Locked(path string) bool {
	f, err := openToRead(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
