// Package pcsctest runs tests against the real pcscd, with the virtual reader of
// the vsmartcard project (vpcd) and cards made by the tests.
//
// The path of pcscd's socket is compiled in, so each test gets a process of its
// own in a private mount namespace, where /run is a fresh file system: the
// machine's own pcscd is neither used nor disturbed, and tests do not meet.
package pcsctest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
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
// the first process once that is over, which fails as it did and reports what a
// benchmark measured there.
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
	var measured bytes.Buffer
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	b, isBenchmark := tb.(*testing.B)
	if isBenchmark {
		cmd.Stdout = &measured
	}
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
	if isBenchmark {
		report(b, measured.String())
	}
	return err
}

// report takes over the figures of a benchmark's line: its name, the number of
// runs, then values and units.
func report(b *testing.B, output string) {
	found := false
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(words); i += 2 {
			if value, err := strconv.ParseFloat(words[i], 64); err == nil {
				b.ReportMetric(value, words[i+1])
				found = true
			}
		}
	}
	if !found {
		b.Errorf("nothing was measured:\n%s", output)
	}
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
