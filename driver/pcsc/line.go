package pcsc

import (
	"context"
	"errors"

	"idtap/driver"
)

// line is a driver.Transport of frames through PC/SC. A frame's answer comes
// back with the call that sends it, which may take as long as the module thinks:
// Write hands the frame over, Read waits for the answer.
type line struct {
	*place
	wrapping

	session *session
	pending chan reply // the call under way, or nil
	rest    []byte     // of an answer
}

type reply struct {
	frame []byte
	err   error
}

var _ driver.Transport = (*line)(nil)

// Write implements driver.Transport. A call that is still under way for an
// earlier frame is waited for: its answer comes too late.
func (l *line) Write(ctx context.Context, frame []byte) error {
	if l.pending != nil {
		if _, err := l.await(ctx); err != nil {
			return err
		}
	}
	l.rest = nil
	if l.session == nil {
		s, err := l.open(ctx, l.direct())
		if err != nil {
			return err
		}
		l.session = s
	}
	replies, s, sent := make(chan reply, 1), l.session, append([]byte(nil), frame...)
	l.pending = replies
	go func() {
		answer, err := call(l.life, s, "transmit", apduTime, func() ([]byte, error) { return l.send(s.card, sent) })
		replies <- reply{answer, err}
	}()
	return nil
}

// Read implements driver.Transport.
func (l *line) Read(ctx context.Context, buf []byte) (int, error) {
	for len(l.rest) == 0 {
		frame, err := l.await(ctx)
		if err != nil {
			return 0, err
		}
		l.rest = frame
	}
	n := copy(buf, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// await waits for the call under way. An answer that is there comes first,
// whether the context has ended or not.
func (l *line) await(ctx context.Context) ([]byte, error) {
	if l.pending == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var r reply
	select {
	case r = <-l.pending:
	default:
		select {
		case r = <-l.pending:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l.pending = nil
	return r.frame, l.failed(ctx, r.err)
}

// failed decides what an error of a call means for the session: after a reset by
// another program the card is taken up again, after anything else a new session
// is made for the next frame.
func (l *line) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, codeReset) && l.session.reconnect(ctx) == nil {
		return err
	}
	l.drop()
	return err
}

// drop ends the session, if there is one.
func (l *line) drop() {
	if l.pending != nil {
		<-l.pending // comes within apduTime, or soon after the place was closed
		l.pending = nil
	}
	if l.session != nil {
		l.session.close()
	}
	l.session, l.rest = nil, nil
}

// Close implements driver.Transport.
func (l *line) Close() error {
	l.drop()
	return nil
}
