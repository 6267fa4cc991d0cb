//go:build !windows

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Where the packaged service has its queue and, for members of its group, its
// socket: /run/idtap is RuntimeDirectory= of the unit.
const (
	packagedQueue   = "/var/lib/idtap"
	packagedRuntime = "/run/idtap"
)

// controlPath is where the socket of a queue's daemon lies: beside the queue, which
// only the daemon's user may enter, or in the runtime directory that a service
// manager made for it, whose group may enter.
func controlPath(dir string) string {
	if dir == packagedQueue && os.Getenv("RUNTIME_DIRECTORY") == packagedRuntime {
		return filepath.Join(packagedRuntime, "idtap.sock")
	}
	return filepath.Join(dir, "idtap.sock")
}

// listenAt opens the socket. One that an earlier process left is replaced: the
// queue's lock says that nobody uses it.
func listenAt(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if filepath.Dir(path) == packagedRuntime {
		if err := os.Chmod(path, 0o660); err != nil {
			return nil, errors.Join(fmt.Errorf("for its group: %w", err), l.Close())
		}
	}
	return l, nil
}

func dialControl(ctx context.Context, path string) (net.Conn, error) {
	return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
}

// packagedControl is the socket of the packaged service, for those who may not
// look into its queue's directory.
func packagedControl(runtimeFile string) string {
	if filepath.Dir(runtimeFile) == packagedQueue {
		return filepath.Join(packagedRuntime, "idtap.sock")
	}
	return ""
}
