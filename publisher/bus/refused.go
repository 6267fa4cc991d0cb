package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/outbox"
)

// Error codes of JetStream that decide what becomes of an event. Everything
// else keeps it too, under StreamRefused.
const (
	wrongLastSequence   = 10071 // compare-and-set
	wrongLastInFlight   = 10164 // the same while another proposal is in flight (replicas)
	sameIDInFlight      = 10158
	tooLargeForStream   = 10054
	wrongExpectedStream = 10060
	storeFailed         = 10077 // also "maximum messages exceeded"
	streamMissing       = 10059
)

// refused settles a publish that was not acknowledged. Only what no retry can
// mend leaves the queue, for the dead letters.
func (f *forwarder) refused(ctx context.Context, nc *nats.Conn, r outbox.Record, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		f.askAgain(nc)
		return f.tooLarge(ctx, nc, r, fmt.Sprintf("the server's max_payload %d", nc.MaxPayload()))
	case errors.As(err, &api):
		return f.refusedByStream(ctx, nc, r, api)
	case errors.Is(err, errDeaf):
		return &stop{PublishDenied, err}
	case errors.Is(err, errDenied):
		return &stop{PublishDenied, fmt.Errorf("no permission to publish on %s", r.Subject)}
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		f.view.at = time.Time{}
		return &stop{NoStream, errors.New("no stream takes the event's subject")}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		f.view.at = time.Time{} // no_ack, a lost stream and a lost answer look the same
		return &stop{NoAnswer, fmt.Errorf("no acknowledgement within %v", f.ackWait)}
	case errors.Is(err, errDisconnected), errors.Is(err, nats.ErrReconnectBufExceeded),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected):
		return &stop{Unreachable, err}
	}
	return &stop{StreamRefused, err}
}

func (f *forwarder) refusedByStream(ctx context.Context, nc *nats.Conn, r outbox.Record, api *jetstream.APIError) error {
	switch api.ErrorCode {
	case wrongLastSequence:
		return f.mismatch(ctx, nc, r, wrongLast(api))
	case wrongLastInFlight, sameIDInFlight:
		return &stop{ChainInterrupted, api}
	case tooLargeForStream:
		f.view.at = time.Time{}
		return f.tooLarge(ctx, nc, r, "the stream's max_msg_size")
	case wrongExpectedStream:
		return &stop{WrongStream, fmt.Errorf("another stream than %s takes %s", f.stream, r.Subject)}
	case storeFailed:
		return &stop{StreamFull, api}
	case streamMissing:
		f.view.at = time.Time{}
		return &stop{NoStream, api}
	}
	if api.Code >= 500 {
		return &stop{StreamDown, api}
	}
	return &stop{StreamRefused, api}
}

// Sizes of an event with its headers. A card's is 2 to 10 KiB, sealed to several
// registries and with a portrait some 64; one over maxEvent is a mistake of ours.
const (
	sureEvent = 64 << 10  // what a server and a stream must take
	maxEvent  = 256 << 10 // what no limit needs to be raised for
)

// tooLarge settles an event that a limit refuses. The limit is the
// administrator's, not the event's: the event stays and goes when the limit is
// lifted. Only an event over maxEvent, where one of sureEvent would pass, is put
// aside.
func (f *forwarder) tooLarge(ctx context.Context, nc *nats.Conn, r outbox.Record, limit string) error {
	roomy := nc.MaxPayload() >= sureEvent && f.view.seen && (f.view.maxMsgSize <= 0 || f.view.maxMsgSize >= sureEvent)
	if f.size > maxEvent && roomy {
		return f.bury(ctx, r, ReasonTooLarge)
	}
	return &stop{EventTooLarge, fmt.Errorf("an event of %d bytes is over %s", f.size, limit)}
}

// askAgain makes a new connection, at most once a minute: a server tells its
// max_payload when a connection begins and not when it is changed.
func (f *forwarder) askAgain(nc *nats.Conn) {
	if now := f.clock.Now(); now.Sub(f.asked) >= time.Minute {
		f.asked = now
		if err := nc.ForceReconnect(); err != nil && !nc.IsClosed() {
			f.log.Warn().Err(err).Msg("could not ask the server for its limits again")
		}
	}
}

// mismatch resolves a compare-and-set that did not hold. The stream may have
// been made anew since it was last looked at; the position must be read from
// the same incarnation as it is used on.
func (f *forwarder) mismatch(ctx context.Context, nc *nats.Conn, r outbox.Record, atLeast uint64) error {
	created := f.view.created
	_, js, err := f.link.up()
	if err != nil {
		return &stop{Unreachable, err}
	}
	if err := f.look(ctx, nc, js, r.Filter); err != nil {
		return err
	}
	if !f.view.chain {
		return &stop{ChainInterrupted, errors.New("the chain is no longer possible")}
	}
	if !created.Equal(f.view.created) {
		return &stop{ChainInterrupted, errors.New("the stream was made anew")}
	}
	_, settled, err := f.resolve(ctx, nc, r, atLeast)
	if err != nil || settled {
		return err
	}
	return &stop{ChainInterrupted, errors.New("the chain's position was read anew")}
}

// connectCode tells why there is no connection.
func connectCode(err error) Code {
	var file *FileError
	var plain *PlaintextError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errEmbeddedDown):
		return EmbeddedFailed
	case errors.Is(err, errDeaf):
		return PublishDenied
	case errors.As(err, &file):
		if file.What == "certificate" || file.What == "authorities" {
			return TLSFailed
		}
		return CredsUnreadable
	case errors.As(err, &plain), errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid),
		errors.As(err, &alert), errors.As(err, &record),
		errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return TLSFailed
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), errors.Is(err, nats.ErrNkeysNotSupported):
		return AuthFailed
	}
	return Unreachable
}
