package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"idtap/internal/securefile"
	"idtap/publisher/bus"
)

// Runtime is what a running daemon leaves for other programs of the same user:
// where its embedded server listens and the credential made for this run. The
// file is a secret (mode 0600) and goes away when the daemon stops.
type Runtime struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	bus.Access
	Page    string `json:"page,omitempty"`    // address of the desk page
	Control string `json:"control,omitempty"` // socket on which the daemon answers its own user
}

// Format implements fmt.Formatter so that no verb prints the password.
func (r Runtime) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "daemon.Runtime(pid %d, masked)", r.PID) }

// WriteRuntime replaces the file at once, so that no reader sees half of it.
func WriteRuntime(path string, r Runtime) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("runtime file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("runtime file: %w", err)
	}
	if err := securefile.Replace(path, append(text, '\n')); err != nil {
		return fmt.Errorf("runtime file: %w", err)
	}
	return nil
}

// ReadRuntime reads the file; an error that is os.ErrNotExist means that no
// daemon runs with this data directory.
func ReadRuntime(path string) (Runtime, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Runtime{}, fmt.Errorf("runtime file: %w", err)
	}
	var r Runtime
	if err := json.Unmarshal(text, &r); err != nil {
		return Runtime{}, fmt.Errorf("runtime file: not what a daemon writes") // never repeat it: it is a secret
	}
	return r, nil
}
