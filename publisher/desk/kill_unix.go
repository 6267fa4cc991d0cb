//go:build unix

package desk

import (
	"os/exec"
	"syscall"
)

// killGroup makes a command and everything it starts die together: decoders
// are often scripts around a foreign binary.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
