package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Spec says which reader to open and how. cmd makes it from the configuration.
type Spec struct {
	Name       string // the desk's name for the reader, used in events and errors
	Driver     string // serial, tcp, pcsc, mock
	Port       string // device path, host:port, PC/SC name pattern (* and ?), or a cards file for mock
	Baud       int    // bits per second; 0 means find out
	Profile    string // pcsc: auto, paged, apdu, escape, uid
	APDUHeader []byte // pcsc apdu: CLA INS P1 P2 before each SAM frame
	EscapeCode uint32 // pcsc escape: control code; 0 means 1 on Linux, 3500 on Windows
	MaxRFBytes byte   // sent once as command 61 FF when not 0
	// Wire, if set, is shown every byte that passes: the whole identity on a
	// card. Set only when a person asked for a capture.
	Wire WireObserver
}

// WireObserver sees the bytes of a transport. Calls come from its owner.
type WireObserver interface {
	Sent(p []byte)
	Received(p []byte)
}

// Driver opens readers of one kind.
type Driver interface {
	// Open opens the reader or says why not: ErrGone (not there), ErrDenied,
	// ErrBusy, ErrNotBuilt, ErrProtocol.
	Open(ctx context.Context, s Spec) (Device, error)
	// Discover lists readers that are there and that this driver is sure of
	// (known model or USB id); it opens and writes to nothing else.
	Discover(ctx context.Context) ([]Spec, error)
	// Detail names the backend for `idtap version`, e.g. "winscard"; a driver
	// that is not built in says so.
	Detail() string
}

// Registry holds the drivers of a program by name. cmd fills it; there are no
// global registrations.
type Registry map[string]Driver

// Open opens a reader through the driver that its Spec names.
func (r Registry) Open(ctx context.Context, s Spec) (Device, error) {
	d, ok := r[s.Driver]
	if !ok {
		return nil, &Error{Op: "open", Reader: s.Name, Err: ErrNotBuilt,
			Cause: fmt.Errorf("driver %q is unknown; there are %s", s.Driver, strings.Join(r.Names(), ", "))}
	}
	return d.Open(ctx, s)
}

// Names lists the drivers, sorted.
func (r Registry) Names() []string {
	names := make([]string, 0, len(r))
	for n := range r {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
