package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Inspection is what an administrator's look at a stream found.
type Inspection struct {
	Config   jetstream.StreamConfig `json:"config"`
	Created  time.Time              `json:"created"`
	Messages uint64                 `json:"messages"`
	Bytes    uint64                 `json:"bytes"`
	Subjects uint64                 `json:"subjects"`          // distinct ones: each costs the server memory and time
	Account  string                 `json:"account,omitempty"` // of a login with nats.api_prefix or a desk's: see [Health.Account]
	Problems []Problem              `json:"problems"`
}

// ErrNoStream means that the stream does not exist.
var ErrNoStream = errors.New("there is no such stream")

// inspectWait bounds every question to the server.
const inspectWait = 5 * time.Second

// Inspect runs the preflight on an existing stream.
func Inspect(ctx context.Context, s Server, nc *nats.Conn, stream string, want Want) (Inspection, error) {
	js, err := s.jetStream(nc)
	if err != nil {
		return Inspection{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, inspectWait)
	defer cancel()
	found, err := js.Stream(ctx, stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return Inspection{}, fmt.Errorf("%s: %w", stream, ErrNoStream)
	case err != nil:
		return Inspection{}, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	info := found.CachedInfo()
	return Inspection{Config: info.Config, Created: info.Created, Messages: info.State.Msgs, Bytes: info.State.Bytes,
		Subjects: info.State.NumSubjects, Problems: append(Preflight(info.Config, want), smallPayload(nc)...)}, nil
}

// MakeStream makes a stream; one that exists is left as it is, which is an error.
func MakeStream(ctx context.Context, nc *nats.Conn, config jetstream.StreamConfig) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*inspectWait)
	defer cancel()
	if _, err := js.Stream(ctx, config.Name); err == nil {
		return fmt.Errorf("stream %s exists already: look at it with bus check", config.Name)
	}
	if _, err := js.CreateStream(ctx, config); err != nil {
		return fmt.Errorf("make stream %s: %w", config.Name, err)
	}
	return nil
}
