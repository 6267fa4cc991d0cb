package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Present is a desk that answered a roll call.
type Present struct {
	Desk, Division string
	Version        string
	Started        time.Time
	Stats          json.RawMessage // what the desk's own stats endpoint answers
	Diag           json.RawMessage // its brief diagnosis; nil if it did not answer
}

// rollAtOnce is how many desks are asked for their diagnosis at a time.
const rollAtOnce = 16

// Roll calls the roll: every desk that answers the question for its statistics
// within wait, and then its diagnosis. Two desks with one id are both in the list.
func Roll(ctx context.Context, nc *nats.Conn, wait time.Duration) ([]Present, error) {
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("roll call: %w", err)
	}
	defer sub.Unsubscribe()
	subject, err := micro.ControlSubject(micro.StatsVerb, ServiceName, "")
	if err != nil {
		return nil, err
	}
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		return nil, fmt.Errorf("roll call: %w", err)
	}
	call, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var list []Present
	for {
		m, err := sub.NextMsgWithContext(call)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("roll call: %w", err)
		}
		if len(m.Data) == 0 { // nobody listens: the server says so
			break
		}
		var s micro.Stats
		if err := json.Unmarshal(m.Data, &s); err != nil || s.Name != ServiceName {
			continue
		}
		p := Present{Desk: s.Metadata["desk"], Division: s.Metadata["division"], Version: s.Version, Started: s.Started}
		for _, e := range s.Endpoints {
			if e.Name == "stats" {
				p.Stats = e.Data
			}
		}
		list = append(list, p)
	}
	var asking sync.WaitGroup
	places := make(chan struct{}, rollAtOnce)
	for i := range list {
		p := &list[i]
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			within, cancel := context.WithTimeout(ctx, inspectWait)
			defer cancel()
			if m, err := nc.RequestWithContext(within, ServiceSubject(p.Division, p.Desk, "diag"), nil); err == nil {
				p.Diag = m.Data
			}
		})
	}
	asking.Wait()
	return list, ctx.Err()
}
