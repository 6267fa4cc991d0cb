package bus

import (
	"context"
	"fmt"
	"time"
)

// watch looks after what goes with a connection: the micro service, the
// readers' states, the dates on which certificates and credentials end, and
// whether the account is the stream's too.
func (b *Bus) watch(ctx context.Context) {
	for {
		b.watchOnce()
		b.watchAccount(ctx)
		select {
		case <-ctx.Done():
			return
		case <-b.kick:
		case <-b.clock.After(watchEvery):
		}
	}
}

func (b *Bus) watchOnce() {
	if err := b.service.serve(); err != nil {
		b.o.Log.Warn().Err(err).Msg("the micro service does not answer")
	}
	if n := b.link.connections(); n != b.served {
		b.served = n
		b.service.tellAll()
	}
	// Files that cannot be read are the connection's error, not a date.
	cert, _ := b.o.Server.certExpiry()
	creds, _ := b.o.Server.credsExpiry()
	server := b.link.serverCertExpiry()
	if server.IsZero() {
		server = b.Health().ServerCertExpiry // of the last connection
	}
	denied := b.link.deniedSubject()
	b.update(func(h *Health) {
		h.CertExpiry, h.CredsExpiry, h.ServerCertExpiry = cert, creds, server
		h.dates = expiries(b.clock.Now(), cert, server, creds)
		h.service = nil
		if denied != "" {
			h.service = []Problem{{ServiceDenied, "no permission for " + denied}}
		}
	})
}

const watchEvery = time.Hour

// A backlog is told when for backlogFor, at each look, something waited on a
// connected bus and it did not become less: whatever the cause.
const (
	backlogLook = 20 * time.Second
	backlogFor  = time.Minute
)

func (b *Bus) watchBacklog(ctx context.Context) {
	tick := b.clock.NewTicker(backlogLook)
	defer tick.Stop()
	var began time.Time
	var least int
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.Chan():
		}
		s, err := b.forward.queue.Stats(ctx)
		if err != nil {
			continue // the forwarder says so
		}
		now := b.clock.Now()
		switch {
		case !b.Health().Connected || s.Waiting == 0:
			began = time.Time{}
		case began.IsZero() || s.Waiting < least:
			began, least = now, s.Waiting
		}
		var problem []Problem
		if !began.IsZero() && now.Sub(began) >= backlogFor {
			problem = []Problem{{Backlog, fmt.Sprintf("%d waiting", s.Waiting)}}
		}
		b.update(func(h *Health) { h.backlog = problem })
	}
}
