//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// serviceUser is the account of the package's service.
const serviceUser = "idtap"

// ownFile gives a file to the service: settings to its group for reading, secrets
// to its user alone. Without that account the files stay this user's.
func ownFile(path string, secret bool) error {
	uid, gid := os.Getuid(), os.Getgid()
	if u, err := user.Lookup(serviceUser); err == nil {
		service, err := strconv.Atoi(u.Uid)
		if err != nil {
			return err
		}
		if gid, err = strconv.Atoi(u.Gid); err != nil {
			return err
		}
		if secret {
			uid = service
		}
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	if secret {
		return os.Chmod(path, 0o600)
	}
	return os.Chmod(path, 0o640)
}

// restartService restarts the installed service and returns once it is ready.
func restartService(ctx context.Context) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("systemd does not run here")
	}
	if out, err := exec.CommandContext(ctx, "systemctl", "restart", "idtap.service").CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl restart idtap: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
