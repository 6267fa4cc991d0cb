package reader

import (
	"sync"
	"time"
)

// Pulse knows when each reading loop last went round. A loop waits 5 s at most,
// and no longer than callBound for a device, so one that is silent for longer
// hangs. The zero Pulse is ready to use, a nil one notes nothing.
type Pulse struct {
	mu   sync.Mutex
	last map[*Reader]time.Time // guarded by mu
}

// PulseBound is far above the longest silence of a loop that is well.
const PulseBound = callBound + 2*overrun + 2*slowRetry

func (p *Pulse) beat(r *Reader) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[*Reader]time.Time{}
	}
	p.last[r] = r.clock.Now()
}

// end forgets a loop that has nothing more to do.
func (p *Pulse) end(r *Reader) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, r)
}

// Weakest returns the name of the reader whose loop has been silent longest and
// when it was last heard; ok is false where no loop runs.
func (p *Pulse) Weakest() (name string, last time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, at := range p.last {
		if !ok || at.Before(last) {
			name, last, ok = r.o.Name, at, true
		}
	}
	return name, last, ok
}
