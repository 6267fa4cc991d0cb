//go:build !linux && !windows

package usb

import (
	"context"

	"idtap/driver"
	"idtap/driver/stream"
)

// none is the host where this package knows none.
type none struct{}

var system host = none{}

func (none) name() string                                    { return "not built in" }
func (none) devices() ([]Device, error)                      { return nil, nil }
func (none) connect(Device, wire, bool) (stream.Conn, error) { return nil, driver.ErrNotBuilt }
func (none) watch(context.Context, func())                   {}

func kindOf(error) error { return driver.ErrNotBuilt }
