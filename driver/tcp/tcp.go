// Package tcp reaches SAM modules behind serial servers: the frames of package
// sam in a TCP stream, nothing around them [HSL, ZKC].
package tcp

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/stream"
)

const (
	dialTimeout = 3 * time.Second
	// gap is the inter-byte time. Serial servers pack bytes as they please and
	// networks pause, so it is longer than on a wire.
	gap = 400 * time.Millisecond
)

// keepAlive finds out within half a minute that a server was switched off.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// Driver opens readers at host:port. The zero Driver is ready.
type Driver struct {
	Clock clockwork.Clock // nil means the real one
}

var _ driver.Diagnoser = Driver{}

// Open connects to Spec.Port. Spec.Baud is the rate of the line behind the
// server and scales the time-outs; without it they allow for 9600.
func (d Driver) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	t, err := Dial(ctx, s.Port, s.Name)
	if err != nil {
		return nil, err
	}
	return sam.NewClient(driver.Observed(t, s.Wire), sam.Options{
		Name:       s.Name,
		Detail:     "tcp " + s.Port,
		Baud:       s.Baud,
		Gap:        gap,
		MaxRFBytes: s.MaxRFBytes,
		Clock:      d.Clock,
	}), nil
}

// Discover finds nothing: a network is not searched.
func (Driver) Discover(context.Context) ([]driver.Spec, error) { return nil, nil }

// Detail implements driver.Driver.
func (Driver) Detail() string { return "tcp" }

// Dial connects to a serial server within 3 s. It fails with driver.ErrGone
// where nothing answers or the address does not resolve, driver.ErrDenied where
// the system forbids the connection. The name is the reader's, for errors.
func Dial(ctx context.Context, addr, name string) (*stream.Transport, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err == nil {
		return stream.New(conn, name), nil
	}
	kind := driver.ErrGone
	switch {
	case ctx.Err() != nil:
		kind = ctx.Err()
	case errors.Is(err, os.ErrPermission):
		kind = driver.ErrDenied
	}
	return nil, &driver.Error{Op: "open", Reader: name, Err: kind, Cause: err}
}
