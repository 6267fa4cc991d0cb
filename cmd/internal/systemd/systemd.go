// Package systemd speaks the service side of sd_notify(3): one datagram with
// lines of NAME=value to the socket that the manager names. Where there is no
// manager, nothing is sent.
package systemd

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// Manager is who started this service; the zero Manager is nobody.
type Manager struct {
	socket   string
	Watchdog time.Duration // a sign of life is wanted this often; 0: never
}

// Find returns the manager that the environment names. WATCHDOG_PID is checked so
// that a child does not speak for its parent.
func Find(getenv func(string) string, pid int) Manager {
	m := Manager{socket: getenv("NOTIFY_SOCKET")}
	if owner := getenv("WATCHDOG_PID"); owner != "" && owner != strconv.Itoa(pid) {
		return m
	}
	if us, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && us > 0 {
		m.Watchdog = time.Duration(us) * time.Microsecond
	}
	return m
}

// Ready, Stopping and Alive are what a service says.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// Notify sends states, e.g. Ready and "STATUS=2 readers".
func (m Manager) Notify(states ...string) error {
	if m.socket == "" {
		return nil
	}
	// The net package takes a leading @ for the abstract name that it is here.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(strings.Join(states, "\n")))
	return err
}
