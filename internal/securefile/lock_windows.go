package securefile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// The locked byte lies far after the text, which others may thus read.
var lockedByte = windows.Overlapped{OffsetHigh: 1}

// Lock takes the file for this process alone, without waiting, until it is
// closed or the process ends; ErrLocked if another one has it.
func Lock(f *os.File) error {
	at := lockedByte
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}

// Locked reports whether a process holds the lock of the file at path, without
// taking it for longer than the question. A file that cannot be opened counts as
// not locked.
func Locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	at := lockedByte
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	return errors.Is(err, windows.ERROR_LOCK_VIOLATION)
}
