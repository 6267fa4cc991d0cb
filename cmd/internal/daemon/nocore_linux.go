package daemon

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// forbidCores keeps what was on the cards out of core dumps: none is written,
// and one that a handler takes from a pipe, where the limit does not count, holds
// no memory (core(5), coredump_filter). The process stays dumpable in the sense
// of prctl(2), since otherwise its own account could no longer see which program
// has a reader open.
func forbidCores() error {
	return errors.Join(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}), os.WriteFile("/proc/self/coredump_filter", []byte("0"), 0))
}
