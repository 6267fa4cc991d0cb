//go:build !linux

package mock

import (
	"errors"
	"io"

	"idtap/driver"
)

type pty struct {
	io.ReadWriteCloser
	path string
}

func openPTY() (*pty, error) {
	return nil, &driver.Error{Op: "open pty", Err: driver.ErrNotBuilt, Cause: errors.New("pseudo terminals are made on Linux only; use TCP")}
}

func (*pty) rate() int { return 0 }
