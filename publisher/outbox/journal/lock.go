package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"idtap/internal/securefile"
)

// LockedError names the daemon that has the queue. It unwraps to ErrLocked.
type LockedError struct {
	Dir string
	PID int // 0: not known
}

func (e *LockedError) Error() string {
	who := "another idtap"
	if e.PID != 0 {
		who += " (pid " + strconv.Itoa(e.PID) + ")"
	}
	return fmt.Sprintf("%s uses the queue in %s: stop it first, or give this one an outbox.dir of its own", who, e.Dir)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

// Lock is the queue's own lock: neither SQLite nor the embedded server keeps a
// second daemon out.
type Lock struct{ f *os.File }

// LockDir takes the lock of a directory or says who has it. The lock is the
// kernel's and ends with the process; the file stays and holds the pid.
func LockDir(dir string) (*Lock, error) {
	if err := securefile.CheckDir(dir); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	path := filepath.Join(dir, lockName)
	f, err := securefile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("queue lock: %w", err)
	}
	if err := securefile.Lock(f); err != nil {
		defer f.Close()
		if errors.Is(err, securefile.ErrLocked) {
			return nil, &LockedError{Dir: dir, PID: readPID(path)}
		}
		return nil, fmt.Errorf("queue lock %s: %w", path, err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("queue lock %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Held reports whether the lock's name still leads to it: if not, another daemon
// could take the directory for free.
func (l *Lock) Held() bool {
	own, err := l.f.Stat()
	if err != nil {
		return false
	}
	_, same := leadsTo(l.f.Name(), own)
	return same
}

// Release gives the lock back and forgets the pid, which another process may get.
func (l *Lock) Release() error {
	l.f.Truncate(0)
	return l.f.Close()
}

// Held reports whether a process holds the lock of a directory. The lock's file
// can be read by its owner and root; for others nobody seems to hold it.
func Held(dir string) bool { return securefile.Locked(filepath.Join(dir, lockName)) }

// Owner returns the process that has the lock as its file says, 0 if none.
func Owner(dir string) int { return readPID(filepath.Join(dir, lockName)) }

func readPID(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}
