package pcsc

import (
	"context"
	"errors"
	"time"

	"idtap/driver"
)

// Bounds of calls. Beyond them a call counts as hung.
const (
	serviceTime = 2 * time.Second // the service's own answers; polkit may think
	connectTime = 3 * time.Second // powers a card up
	// apduTime is above what a module takes to read a card (3 s, see package sam).
	apduTime  = 5 * time.Second
	closeTime = 500 * time.Millisecond
	// grace is what a call may take beyond the end of its context.
	grace = 200 * time.Millisecond
)

var errNoReturn = errors.New("a call did not come back; its reader hangs until it does")

// session is one context of the service with at most one card. One goroutine at
// a time; it is used no more after a call that did not come back.
type session struct {
	d      *Driver
	reader string // the PC/SC name; "" for the service as a whole
	who    string // the desk's name, for errors

	svc  service
	card card
	lost bool // its context belongs to a hung call
}

// establish opens a context. A service that dies may seem to refuse, so that is
// believed only when it is said again.
func (d *Driver) establish(ctx context.Context, who, reader string) (*session, error) {
	s := &session{d: d, reader: reader, who: who}
	_, err := call(ctx, s, "open", serviceTime, func() (none, error) {
		var err error
		if s.svc, err = d.backend().establish(); errors.Is(err, codeDenied) {
			s.svc, err = d.backend().establish()
		}
		return none{}, err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

type none struct{}

// call makes one call and waits for it no longer than limit and not much longer
// than the context. A call that does not come back keeps the session; the
// reader is stuck until it does.
func call[T any](ctx context.Context, s *session, op string, limit time.Duration, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var nothing T
	if err := ctx.Err(); err != nil {
		return nothing, wrap(op, s.who, err)
	}
	if s.lost {
		return nothing, s.stuck(op)
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := f()
		answers <- answer{value, err}
	}()
	late := s.d.clock().NewTimer(limit)
	defer late.Stop()
	select {
	case a := <-answers:
		return a.value, wrap(op, s.who, a.err)
	case <-late.Chan():
	case <-ctx.Done():
		last := s.d.clock().NewTimer(grace)
		defer last.Stop()
		select {
		case a := <-answers:
			return a.value, wrap(op, s.who, a.err)
		case <-last.Chan():
		}
	}
	s.lost = true
	s.d.hang(s.reader, 1)
	go func() {
		<-answers
		s.end()
		s.d.hang(s.reader, -1)
	}()
	if err := ctx.Err(); err != nil {
		return nothing, wrap(op, s.who, err)
	}
	return nothing, s.stuck(op)
}

func (s *session) stuck(op string) error {
	kind := driver.ErrStuck
	if s.reader == "" { // the service itself does not answer
		kind = driver.ErrGone
	}
	return &driver.Error{Op: op, Reader: s.who, Err: kind, Cause: errNoReturn}
}

// connect opens the session's reader.
func (s *session) connect(ctx context.Context, direct bool) error {
	_, err := call(ctx, s, "connect", connectTime, func() (none, error) {
		var err error
		s.card, err = s.svc.connect(s.reader, direct)
		return none{}, err
	})
	return err
}

// reconnect takes the card up again that another program has reset.
func (s *session) reconnect(ctx context.Context) error {
	_, err := call(ctx, s, "reconnect", connectTime, func() (none, error) { return none{}, s.card.reconnect() })
	return err
}

// states asks how readers are.
func (s *session) states(ctx context.Context, readers ...string) ([]state, error) {
	return call(ctx, s, "look", serviceTime, func() ([]state, error) { return s.svc.states(readers) })
}

// readers lists the readers there are.
func (s *session) readers(ctx context.Context) ([]string, error) {
	return call(ctx, s, "list readers", serviceTime, func() ([]string, error) { return s.svc.readers() })
}

// close frees the session. After a hung call that is done when the call comes
// back.
func (s *session) close() {
	if s.lost {
		return
	}
	call(context.Background(), s, "close", closeTime, func() (none, error) {
		s.end()
		return none{}, nil
	})
	s.lost = true
}

// end frees what the session holds. That a dead service refuses to is of no
// interest.
func (s *session) end() {
	if s.card != nil {
		s.card.disconnect()
	}
	if s.svc != nil {
		s.svc.release()
	}
	s.card, s.svc = nil, nil
}
