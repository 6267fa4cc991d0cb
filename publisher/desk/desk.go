// Package desk is what a clerk sees after a tap, and the door through which
// other programs at the desk read taps.
//
// A [Board] is told what happens (it is a publisher.Observer) and holds the one
// snapshot that everybody sees: the readers side by side with one large [Face]
// each, today's counts, the last taps, the records that still need a look. A
// [Server] shows the board as a page and as a Server-Sent-Events stream: first
// the whole snapshot, then only what changed. A clerk's decisions go through
// [Decisions] to the queue, never around it.
//
// Personal data lives on the board only until clear_after and leaves it masked
// unless the caller holds the token of desk_page.token_file, or holds down the
// page's reveal button, which leaves an audit line. What the local services of
// reader vendors do badly (any web page may ask 127.0.0.1 for the card, JSONP,
// polling) is the attack table of the tests in pagetest.
//
// The routes are described in openapi.yaml, which a test holds against the
// running server.
package desk

import (
	"context"
	"time"

	"idtap/publisher"
	"idtap/publisher/event"
)

// Decisions is where a clerk's decisions go; publisher.Intake implements it.
// Every error leaves things as they were; it unwraps to outbox.ErrNotFound for
// an id that is not in the queue (any more), to outbox.ErrFull where there is no
// room, or to one of publisher's errors of decisions.
type Decisions interface {
	// Confirm: the flagged record was compared with the printed card and is right.
	Confirm(ctx context.Context, id string, op event.Operator) (publisher.FollowUp, error)
	// Correct: the record's fields were corrected from the printed card. Old
	// values are the record's, whatever the changes say.
	Correct(ctx context.Context, id string, op event.Operator, reason string, changes []event.FieldChange) (publisher.FollowUp, error)
	// Cancel: the record is withdrawn; reason is wrong_person, test_tap,
	// withdrawal or discarded. For a quarantined tap: it is taken off the to-do
	// list and nothing is published.
	Cancel(ctx context.Context, id string, op event.Operator, reason, note string) (publisher.FollowUp, error)
	// Release publishes a quarantined tap that was read twice alike as unverified.
	Release(ctx context.Context, quarantineID string, op event.Operator) (publisher.Tapped, error)
	// Record opens a recorded or quarantined tap.
	Record(ctx context.Context, id string) (event.Registration, error)
	// Audit writes an audit line: who did what to which id.
	Audit(ctx context.Context, who, what, id string) error
	// Todo lists flagged records without a decision and quarantined taps that
	// were read twice alike.
	Todo(ctx context.Context) ([]publisher.Tapped, error)
}

// QueueState is the outbox as the page shows it.
type QueueState struct {
	Waiting int       // accepted, not delivered
	Oldest  time.Time // of the waiting ones; zero if none
	Full    bool      // taps are refused until there is room
	Damaged bool      // a damaged queue was set aside and a new one started
}

// BusMode says where accepted events go.
type BusMode string

const (
	BusLocal      BusMode = "local"      // the embedded server alone: kept on this desk, not sent
	BusConnecting BusMode = "connecting" // not yet reached since the start
	BusConnected  BusMode = "connected"
	BusAway       BusMode = "away" // was reached, is not now
)

// BusState is the bus as the page shows it.
type BusState struct {
	Mode    BusMode
	Problem string    // a code, e.g. desk_id_in_use: connected, yet nothing is delivered
	Since   time.Time // of the mode
}

// delivers reports whether accepted events are on their way at once. The
// embedded server alone is the desk's own choice and no reason to worry a clerk.
func (b BusState) delivers() bool {
	return (b.Mode == BusConnected || b.Mode == BusLocal) && b.Problem == ""
}
