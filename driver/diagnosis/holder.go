package diagnosis

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// SecondDaemon explains ports and files that another idtap has.
var SecondDaemon = Entry{Code: "daemon_second", Level: Critical, Who: Technician, Because: HiddenDaemon,
	What: Say("另有一个 idtap 在运行", "Another idtap is running"),
	Why:  Say("两个守护进程争用同一读卡器、端口或队列；多半是服务已启动，又手工运行了一次", "Two daemons want the same reader, port or queue; mostly the service runs and one was started by hand as well"),
	Do:   Say("停止其中一个（systemctl stop idtap 或结束所示进程）", "Stop one of them (systemctl stop idtap, or end the process shown)")}

// HiddenDaemon explains what an unseen program holds: the daemon of another user,
// whose queue is not shown either.
var HiddenDaemon = []string{"queue_denied", "daemon_silent"}

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
