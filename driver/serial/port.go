package serial

import (
	"errors"
	"fmt"
	"io/fs"

	bugst "go.bug.st/serial"

	"idtap/driver"
	"idtap/driver/stream"
)

// Port is an open serial port: a driver.Transport whose rate can be set.
type Port struct {
	*stream.Transport
	name     string
	settings settings
}

// settings is what a port is set with; go.bug.st/serial's has it where it is used.
type settings interface {
	SetMode(*bugst.Mode) error
	SetDTR(bool) error
	SetRTS(bool) error
	ResetInputBuffer() error
}

// Open opens and locks a port at a rate in bits per second, 0 for 115200. It
// fails with driver.ErrGone (no such port), driver.ErrDenied, driver.ErrBusy
// (another program has it, ours included) or, where the path is no serial port,
// driver.ErrProtocol. The name is the reader's, for errors.
func Open(path, name string, baud int) (*Port, error) {
	if baud == 0 {
		baud = 115200
	}
	conn, settings, err := open(path, mode(baud))
	if err != nil {
		return nil, &driver.Error{Op: "open", Reader: name, Err: kind(err), Cause: fmt.Errorf("%s: %w", path, err)}
	}
	// Some modules take their power from these; a pseudo-terminal has neither.
	settings.SetDTR(true)
	settings.SetRTS(true)
	settings.ResetInputBuffer()
	return &Port{Transport: stream.New(conn, name), name: name, settings: settings}, nil
}

// SetBaud changes the rate.
func (p *Port) SetBaud(baud int) error {
	if err := p.settings.SetMode(mode(baud)); err != nil {
		return &driver.Error{Op: "set baud rate", Reader: p.name, Err: driver.ErrGone, Cause: err}
	}
	return nil
}

func mode(baud int) *bugst.Mode {
	return &bugst.Mode{BaudRate: baud, DataBits: 8, Parity: bugst.NoParity, StopBits: bugst.OneStopBit}
}

// errHeld says that another process holds the lock on a port.
var errHeld = errors.New("locked by another program")

// kind sorts what opening a port can fail with.
func kind(err error) error {
	var port *bugst.PortError
	if errors.As(err, &port) {
		switch port.Code() {
		case bugst.PortBusy:
			return driver.ErrBusy
		case bugst.PermissionDenied:
			return driver.ErrDenied
		case bugst.InvalidSerialPort, bugst.InvalidSpeed:
			return driver.ErrProtocol
		}
	}
	switch {
	case errors.Is(err, errHeld), busy(err):
		return driver.ErrBusy
	case errors.Is(err, fs.ErrPermission):
		return driver.ErrDenied
	}
	return driver.ErrGone
}
