package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/cmd/internal/systemd"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// watchdog tells the service manager that the daemon is alive, each time that all
// its parts have gone on: a plain ticker would only prove that Go schedules. When
// one hangs, the manager ends the process and starts it again; nothing accepted is
// lost by it.
type watchdog struct {
	manager systemd.Manager
	parts   []func(context.Context) error // an error names what hangs
	clock   clockwork.Clock
	log     zerolog.Logger
}

// writerBound is how long the queue's writer may take for one turn: it goes round
// every 5 s, and a disk that takes longer than this to sync is no disk to wait for.
const writerBound = 30 * time.Second

// pageBound is what the page may take to answer, on a machine under load as well.
const pageBound = 20 * time.Second

func (d *daemon) watchdog(m systemd.Manager) *watchdog {
	clock := d.o.clock()
	w := &watchdog{manager: m, clock: clock, log: d.o.Log}
	w.parts = append(w.parts, readersGoOn(&d.pulse, clock), queueGoesOn(d.queue, clock))
	if d.address != "" {
		w.parts = append(w.parts, pageAnswers(d.address))
	}
	return w
}

// run feeds the manager four times per interval, until the context ends.
func (w *watchdog) run(ctx context.Context) {
	if w.manager.Watchdog == 0 {
		return
	}
	tick := w.clock.NewTicker(w.manager.Watchdog / 4)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.Chan():
		}
	}
}

// look feeds the manager if every part goes on, and says which does not.
func (w *watchdog) look(ctx context.Context) {
	for _, goesOn := range w.parts {
		if err := goesOn(ctx); err != nil {
			if ctx.Err() == nil {
				w.log.Error().Err(err).Msg("no progress; unless it goes on, the service is started again")
			}
			return
		}
	}
	if err := w.manager.Notify(systemd.Alive); err != nil {
		w.log.Warn().Err(err).Msg("the service manager cannot be told that this daemon is alive")
	}
}

func readersGoOn(p *reader.Pulse, clock clockwork.Clock) func(context.Context) error {
	return func(context.Context) error {
		name, last, ok := p.Weakest()
		if silent := clock.Since(last); ok && silent > reader.PulseBound {
			return fmt.Errorf("the loop of reader %s hangs for %v", name, silent.Round(time.Second))
		}
		return nil
	}
}

func queueGoesOn(q *outbox.Queue, clock clockwork.Clock) func(context.Context) error {
	return func(context.Context) error {
		if silent := clock.Since(q.Progress()); silent > writerBound {
			return fmt.Errorf("the queue's writer hangs for %v", silent.Round(time.Second))
		}
		return nil
	}
}

// pageAnswers asks the page over its own port. Whatever it answers will do, and
// whatever its certificate says: it is this process.
func pageAnswers(address string) func(context.Context) error {
	client := &http.Client{Timeout: pageBound, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("the page does not answer: %w", err)
		}
		return resp.Body.Close()
	}
}
