package sam

import (
	"context"
	"time"
)

// deadline is a context that ends at a moment of the injected clock.
// clockwork's own cannot be asked for its Err while it is alive.
type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

// within gives a context that ends after d at the latest. Its Err is then
// context.Canceled; that of ctx tells whether the caller gave up. Inside another
// deadline of the client's clock it says the earlier of the two: transports go by
// what it says.
func (c *Client) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	at := c.o.Clock.Now().Add(d)
	if outer, ok := ctx.(deadline); ok && outer.at.Before(at) {
		at = outer.at
	}
	ctx, cancel := context.WithCancel(ctx)
	timer := c.o.Clock.AfterFunc(d, cancel)
	return deadline{ctx, at}, func() {
		timer.Stop()
		cancel()
	}
}
