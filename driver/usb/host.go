package usb

import (
	"context"
	"io"
	"time"

	"idtap/driver/stream"
)

// host is what this package asks of the operating system. A double stands in for
// it in tests.
type host interface {
	// devices lists what is plugged in and opens nothing.
	devices() ([]Device, error)
	// connect opens a device for this process alone, after a reset if that is
	// asked for.
	connect(d Device, w wire, reset bool) (stream.Conn, error)
	// watch calls changed whenever something was plugged in or out, until the
	// context ends. It may call too often.
	watch(ctx context.Context, changed func())
	// name is the backend, for `idtap version`.
	name() string
}

// reports is an open HID collection.
type reports interface {
	// read waits for one report, without its id.
	read(p []byte) (int, error)
	// write sends one report, without its id.
	write(p []byte) error
	SetWriteDeadline(t time.Time) error
	io.Closer
}
