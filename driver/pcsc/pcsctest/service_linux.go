package pcsctest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	socket   = "/run/pcscd/pcscd.comm"
	pidFile  = "/run/pcscd/pcscd.pid"
	vpcdPath = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
	// starting bounds the waits for pcscd; it takes milliseconds.
	starting = 10 * time.Second
)

// Names are those of the two virtual readers of a Service.
var Names = [2]string{"Virtual PCD 00 00", "Virtual PCD 00 01"}

// Service is a pcscd of the test's own with two virtual readers.
type Service struct {
	tb     testing.TB
	config string
	port   int
	log    bytes.Buffer
	cmd    *exec.Cmd
}

// NewService prepares a pcscd, which Start starts. It ends with the test, whose
// failure shows what pcscd wrote.
func NewService(tb testing.TB) *Service {
	tb.Helper()
	if os.Getenv(inside) != tb.Name() {
		tb.Fatal("pcsctest: call Private first")
	}
	if _, err := os.Stat(vpcdPath); err != nil {
		tb.Fatalf("%v; install the Debian package vsmartcard-vpcd", err)
	}
	s := &Service{tb: tb, config: filepath.Join(tb.TempDir(), "readers"), port: freePair(tb)}
	config := fmt.Sprintf("FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:0x%[1]X\nLIBPATH %[2]s\nCHANNELID 0x%[1]X\n", s.port, vpcdPath)
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("pcscd:\n%s", s.log.String())
		}
	})
	return s
}

// StartService is NewService and Start.
func StartService(tb testing.TB) *Service {
	tb.Helper()
	s := NewService(tb)
	s.Start()
	return s
}

// freePair finds two ports in a row, one for each slot.
func freePair(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		first, err := net.Listen("tcp", ":0")
		if err != nil {
			tb.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err := net.Listen("tcp", fmt.Sprintf(":%d", port+1))
		first.Close()
		if err == nil {
			second.Close()
			return port
		}
	}
	tb.Fatal("there are no two free ports in a row")
	return 0
}

// Slot is the address at which a card connects to be in slot 0 or 1.
func (s *Service) Slot(i int) string { return fmt.Sprintf("127.0.0.1:%d", s.port+i) }

// Pid is the process's number.
func (s *Service) Pid() int { return s.cmd.Process.Pid }

// Start starts pcscd and returns when it answers and its slots listen.
func (s *Service) Start() {
	s.tb.Helper()
	os.Remove(socket)
	os.Remove(pidFile)
	s.cmd = exec.Command("pcscd", "--foreground", "--config", s.config)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatalf("%v; install the Debian package pcscd", err)
	}
	// vpcd listens before pcscd opens its socket.
	dial(s.tb, "unix", socket).Close()
}

// dial connects as soon as somebody listens.
func dial(tb testing.TB, network, address string) net.Conn {
	tb.Helper()
	end := time.After(starting)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial(network, address)
		if err == nil {
			return c
		}
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("nobody listens at %s: %v", address, err)
		}
	}
}

// Kill ends pcscd at once, as a crash does.
func (s *Service) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}
