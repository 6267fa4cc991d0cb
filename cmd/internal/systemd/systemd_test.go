package systemd

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestNotify(t *testing.T) {
	for name, socket := range map[string]string{"path": filepath.Join(t.TempDir(), "notify"), "abstract": "@idtap-notify-" + filepath.Base(t.TempDir()) + t.Name()} {
		t.Run(name, func(t *testing.T) {
			l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			env := map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}
			m := Find(func(k string) string { return env[k] }, 7)
			if m.Watchdog != 30*time.Second {
				t.Errorf("Watchdog = %v, want 30s", m.Watchdog)
			}
			if err := m.Notify(Ready, "STATUS=x"); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, err := l.Read(b)
			if got, want := string(b[:n]), "READY=1\nSTATUS=x"; err != nil || got != want {
				t.Errorf("Notify sent %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestNobody(t *testing.T) {
	m := Find(func(string) string { return "" }, 7)
	if err := m.Notify(Ready); err != nil || m.Watchdog != 0 {
		t.Errorf("without a manager: %v, watchdog %v", err, m.Watchdog)
	}
	other := Find(func(k string) string {
		return map[string]string{"WATCHDOG_USEC": "5", "WATCHDOG_PID": "8"}[k]
	}, 7)
	if other.Watchdog != 0 {
		t.Errorf("another process's watchdog is taken: %v", other.Watchdog)
	}
	if err := (Manager{socket: "/nonexistent/notify"}).Notify(Ready); err == nil {
		t.Error("a socket that is not there: no error")
	}
}
