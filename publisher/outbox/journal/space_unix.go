//go:build unix

package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// FreeBytes returns what an ordinary user may still write on dir's file system.
func FreeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
