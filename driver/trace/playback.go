package trace

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"idtap/driver"
	"idtap/driver/sam"
)

// Playback replays a trace as a driver.Transport, without its times. It is
// strict: a write that the trace does not have next is an error, there and from
// Close, and so is anything left over at Close. Where the trace goes on with a
// write, or is over, a Read blocks like a silent reader.
type Playback struct {
	mu     sync.Mutex // guards all below
	steps  []Step
	at     int // steps consumed
	offset int // bytes consumed of steps[at]
	err    error
	closed chan struct{}
	once   sync.Once
}

var _ driver.Transport = (*Playback)(nil)

// NewPlayback makes a Playback of a trace.
func NewPlayback(t Trace) *Playback { return &Playback{steps: t.Steps, closed: make(chan struct{})} }

// Write implements driver.Transport.
func (p *Playback) Write(ctx context.Context, frame []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
	case p.at == len(p.steps):
		p.err = fmt.Errorf("playback: wrote % X after the end of the trace", frame)
	case !p.steps[p.at].Sent:
		p.err = fmt.Errorf("playback: step %d: wrote % X while an answer stood unread", p.at+1, frame)
	case !bytes.Equal(p.steps[p.at].Bytes, frame):
		p.err = fmt.Errorf("playback: step %d: wrote % X; the trace has % X", p.at+1, frame, p.steps[p.at].Bytes)
	default:
		p.at++
	}
	return p.err
}

// Read implements driver.Transport.
func (p *Playback) Read(ctx context.Context, buf []byte) (int, error) {
	if n, err := p.take(buf); n > 0 || err != nil {
		return n, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-p.closed:
		return 0, &driver.Error{Op: "read", Err: driver.ErrGone}
	}
}

func (p *Playback) take(buf []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.at == len(p.steps) || p.steps[p.at].Sent {
		return 0, p.err
	}
	n := copy(buf, p.steps[p.at].Bytes[p.offset:])
	if p.offset += n; p.offset == len(p.steps[p.at].Bytes) {
		p.at, p.offset = p.at+1, 0
	}
	return n, nil
}

// Next is the command that the trace goes on with once its answers are read; ok
// is false at the end. Whoever replays a trace calls what sends that command.
func (p *Playback) Next() (c sam.Code, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.steps[p.at:] {
		if s.Sent {
			c, _ := sam.Request(s.Bytes)
			return c, true
		}
	}
	return 0, false
}

// Close implements driver.Transport. It reports what went against the trace, or
// how much of it was not used.
func (p *Playback) Close() error {
	p.once.Do(func() { close(p.closed) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.at < len(p.steps) {
		p.err = fmt.Errorf("playback: %d of %d steps were not used", len(p.steps)-p.at, len(p.steps))
	}
	return p.err
}
