package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// look sees what the stream is and whether the chain is possible on filter. What
// was stored under the view that ends here is marked first.
func (f *forwarder) look(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, filter string) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	v := view{filter: filter, at: f.clock.Now()}
	info, err := f.streamInfo(ctx, js)
	switch {
	case errors.Is(err, errDenied):
		// Publishing may be all that this desk is allowed.
		v.problems = []Problem{{StreamUnseen, "no permission for " + f.link.server.api() + ".STREAM.INFO." + f.stream}}
	case err != nil:
		return err
	default:
		v.created, v.seen, v.maxMsgSize = info.Created, true, info.Config.MaxMsgSize
		v.problems = Preflight(info.Config, Want{Subject: filter, Replicas: f.want.Replicas})
		v.chain = info.Config.AllowDirect
	}
	if v.chain {
		if _, err := lastStored(ctx, f.link, nc, f.stream, filter, f.ackWait, 0); errors.Is(err, errDenied) {
			v.chain = false
			v.problems = append(v.problems, Problem{DirectDenied, "no permission for " + f.link.server.api() + ".DIRECT.GET." + f.stream + "." + filter})
		} else if err != nil {
			return &stop{StreamDown, err}
		}
	}
	v.problems = append(v.problems, smallPayload(nc)...)
	f.view = v
	return nil
}

// streamInfo looks at the stream, and makes it where that is this desk's
// business.
func (f *forwarder) streamInfo(ctx context.Context, js jetstream.JetStream) (*jetstream.StreamInfo, error) {
	info, err := f.askInfo(ctx, js)
	if errors.Is(err, jetstream.ErrStreamNotFound) && f.create != nil {
		if err := f.makeStream(ctx, js); err != nil {
			return nil, err
		}
		info, err = f.askInfo(ctx, js)
	}
	var api *jetstream.APIError
	switch {
	case err == nil:
		return info, nil
	case errors.Is(err, errDenied):
		return nil, err
	case errors.Is(err, errDisconnected), errors.Is(err, errDeaf):
		return nil, &stop{connectCode(err), err}
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, &stop{NoStream, fmt.Errorf("there is no stream %s", f.stream)}
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &stop{NoAnswer, fmt.Errorf("nothing is said about stream %s within %v", f.stream, f.ackWait)}
	case errors.As(err, &api), errors.Is(err, nats.ErrNoResponders):
		return nil, &stop{StreamDown, err}
	}
	return nil, &stop{StreamRefused, err}
}

func (f *forwarder) askInfo(ctx context.Context, js jetstream.JetStream) (*jetstream.StreamInfo, error) {
	ctx, done := f.link.expect(ctx, f.link.server.api()+".STREAM.INFO."+f.stream, f.ackWait)
	defer done()
	s, err := js.Stream(ctx, f.stream)
	if err != nil {
		return nil, because(ctx, err)
	}
	return s.CachedInfo(), nil
}

func (f *forwarder) makeStream(ctx context.Context, js jetstream.JetStream) error {
	ctx, done := f.link.expect(ctx, f.link.server.api()+".STREAM.CREATE."+f.stream, max(f.ackWait, 5*time.Second))
	defer done()
	_, err := js.CreateStream(ctx, *f.create)
	switch err = because(ctx, err); {
	case err == nil:
		f.log.Info().Str("stream", f.stream).Msg("made the stream")
		return nil
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return nil // somebody else was quicker: looked at next
	}
	return &stop{NoStream, fmt.Errorf("make stream %s: %w", f.stream, err)}
}
