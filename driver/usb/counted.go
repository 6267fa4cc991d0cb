package usb

import (
	"context"
	"sync/atomic"

	"idtap/driver"
)

// counted is a transport that knows whether anything ever came.
type counted struct {
	driver.Transport
	sent, received atomic.Int64
}

func (c *counted) Write(ctx context.Context, frame []byte) error {
	c.sent.Add(1)
	return c.Transport.Write(ctx, frame)
}

func (c *counted) Read(ctx context.Context, p []byte) (int, error) {
	n, err := c.Transport.Read(ctx, p)
	c.received.Add(int64(n))
	return n, err
}
