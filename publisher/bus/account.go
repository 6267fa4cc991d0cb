package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// How a desk's account and the stream's lie to each other ([Health.Account]).
const (
	AccountApart     = "apart"     // the stream is in another account: desks cannot harm each other
	AccountShared    = "shared"    // one account: every desk is trusted with everything
	AccountBranch    = "branch"    // one account on a branch's own server, as docs/cluster.md describes it
	AccountUnchecked = "unchecked" // no answer, or no permission to ask
)

const jetStreamMissing = 10039 // "JetStream not enabled for account"

// accountWait bounds the question; nothing waits for its answer.
const accountWait = 2500 * time.Millisecond

// askAccount asks for JetStream in the desk's own account. Error 10039 means that
// the stream lives in another one. Nothing is redirected anywhere: an answer that
// arrives where the desk itself listens would do so in either shape and prove
// nothing.
//
// A branch's server is one without a cluster whose JetStream has a domain of its
// own.
func askAccount(ctx context.Context, l *link, nc *nats.Conn, limit time.Duration) (state, detail string) {
	const subject = DefaultAPIPrefix + ".INFO"
	ctx, done := l.expect(ctx, subject, limit)
	defer done()
	m, err := nc.RequestWithContext(ctx, subject, nil)
	switch err = because(ctx, err); {
	case errors.Is(err, errDenied):
		return AccountUnchecked, "no permission for " + subject
	case err != nil:
		return AccountUnchecked, fmt.Sprintf("%s: no answer within %v", subject, limit)
	}
	var answer struct {
		Domain string              `json:"domain"`
		Error  *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err == nil && answer.Error != nil && answer.Error.ErrorCode == jetStreamMissing:
		return AccountApart, ""
	case err == nil && answer.Error == nil && answer.Domain != "" && nc.ConnectedClusterName() == "":
		return AccountBranch, "domain " + answer.Domain
	}
	return AccountShared, ""
}

// CheckAccount asks as askAccount does, on a connection with a desk's login.
func CheckAccount(ctx context.Context, s Server, nc *nats.Conn) (state string, problems []Problem) {
	l := &link{server: s, log: zerolog.Nop(), changed: func() {}}
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.asyncError(err) })
	state, detail := askAccount(ctx, l, nc, accountWait)
	return state, accountProblem(state, detail)
}

// accountProblem is what is wrong with a state of [Health.Account].
func accountProblem(state, detail string) []Problem {
	switch state {
	case AccountShared:
		return []Problem{{StreamShared, detail}}
	case AccountUnchecked:
		return []Problem{{AccountNotAsked, detail}}
	}
	return nil
}

// watchAccount sees whether this desk shares the stream's account. It decides
// nothing: a set-up with one account works as it always did.
func (b *Bus) watchAccount(ctx context.Context) {
	if b.embedded != nil {
		return
	}
	nc, _, err := b.link.up()
	if err != nil {
		return
	}
	state, detail := askAccount(ctx, b.link, nc, accountWait)
	if ctx.Err() == nil && nc.IsConnected() {
		b.update(func(h *Health) { h.Account, h.account = state, accountProblem(state, detail) })
	}
}
