package diagnosis

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// SecondDaemon explains ports and files that another idtap has.
var SecondDaemon = NewEntry(texts, "daemon_second", Critical, HiddenDaemon...)

// HiddenDaemon explains what an unseen program holds: the daemon of another user,
// whose queue is not shown either.
var HiddenDaemon = []string{"queue_denied", "daemon_hung"}

// Process is a program that has something open.
type Process struct {
	PID  int
	Name string // as the kernel knows it, e.g. "ModemManager"
	Exe  string // path of the program, "" where it may not be seen
}

func (p Process) String() string { return fmt.Sprintf("%s (pid %d)", p.Name, p.PID) }

// Idtap reports whether the process runs the program that asks.
func (p Process) Idtap() bool {
	own, err := os.Executable()
	if err != nil {
		return filepath.Base(p.Exe) == "idtap"
	}
	if real, err := filepath.EvalSymlinks(own); err == nil {
		own = real
	}
	return p.Exe == own || filepath.Base(p.Exe) == "idtap"
}

// PortOf is the number in an address to listen on, 0 if there is none.
func PortOf(address string) uint16 {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
