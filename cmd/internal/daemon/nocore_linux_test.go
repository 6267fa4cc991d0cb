package daemon

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoCoreDumps: a running daemon's process writes none.
func TestNoCoreDumps(t *testing.T) {
	runDesk(t, "readers: [{name: front, driver: mock}]\n")
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Cur != 0 || limit.Max != 0 {
		t.Errorf("RLIMIT_CORE = %+v, %v, want 0", limit, err)
	}
	b, err := os.ReadFile("/proc/self/coredump_filter")
	if got := strings.TrimSpace(string(b)); err != nil || strings.Trim(got, "0") != "" {
		t.Errorf("coredump_filter = %q, %v, want 0", got, err)
	}
}
