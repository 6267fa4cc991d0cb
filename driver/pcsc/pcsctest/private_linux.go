// Package pcsctest runs tests against the real pcscd, with the virtual reader of
// the vsmartcard project (vpcd) and cards made by the tests.
//
// The path of pcscd's socket is compiled in, so each test gets a process of its
// own in a private mount namespace, where /run is a fresh file system: the
// machine's own pcscd is neither used nor disturbed, and tests do not meet.
package pcsctest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside marks the process of a test.
const inside = "IDTAP_PCSC_PRIVATE"

const remedy = "run the tests as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or user.max_user_namespaces above 0)"

// Private runs the calling test or benchmark again in a process of its own with
// a private /run. It reports true there, where the test goes on, and false in
// the first process once that is over, which fails as it did.
func Private(tb testing.TB) bool {
	tb.Helper()
	if os.Getenv(inside) == tb.Name() {
		if err := privateRun(); err != nil {
			tb.Fatalf("private /run: %v", err)
		}
		return true
	}
	if err := again(tb); err != nil {
		tb.Errorf("in its own process: %v", err)
	}
	return false
}

// again runs the test in the process of its own.
func again(tb testing.TB) error {
	name := "^" + strings.ReplaceAll(regexp.QuoteMeta(tb.Name()), "/", "$/^") + "$"
	args := []string{"-test.run", name, "-test.v"}
	if _, ok := tb.(*testing.B); ok {
		args = []string{"-test.run", "^$", "-test.bench", name}
	}
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.timeout", "test.benchtime", "test.benchmem", "test.short":
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	cmd := exec.CommandContext(tb.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), inside+"="+tb.Name())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS // Go makes the mounts private
	} else {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // the process dies with this thread
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("no private mount namespace: %w; %s", err, remedy)
	}
	if err != nil && context.Cause(tb.Context()) != nil {
		return context.Cause(tb.Context())
	}
	return err
}

func privateRun() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w; %s", err, remedy)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("%w; %s", err, remedy)
	}
	return os.Mkdir("/run/pcscd", 0o755)
}
