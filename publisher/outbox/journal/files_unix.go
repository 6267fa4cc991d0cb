//go:build unix

package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// restrict leaves a file or directory to its owner: 0600 or 0700.
func restrict(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	want := os.FileMode(0o600)
	if fi.IsDir() {
		want = 0o700
	}
	if fi.Mode().Perm() == want {
		return nil
	}
	return os.Chmod(path, want)
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// FreeBytes returns what an ordinary user may still write on dir's file system.
func FreeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// lockFile takes an exclusive lock that ends with the process, without waiting.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// lockHeld reports whether err says that another process holds the lock.
func lockHeld(err error) bool { return err == unix.EWOULDBLOCK }
