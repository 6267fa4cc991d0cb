// Package publisher takes taps in and carries them to whoever must know: the
// queue first, then the bus and the desk's page.
//
// A tap becomes an event in [Intake.Tap]: findings decide whether it is
// recorded or quarantined, the queue whether it is a repeat, and only what the
// queue has synced to disk is shown as accepted. What a clerk decides later
// (confirm, correct, cancel) goes the same way.
package publisher

import (
	"fmt"
	"time"

	"idtap/publisher/event"
	"idtap/reader"
)

// Outcome is what became of a tap.
type Outcome string

const (
	Accepted Outcome = "accepted" // synced on the desk's disk
	Repeat   Outcome = "repeat"   // the same card's content again within the repeat window: counted, not published
	Refused  Outcome = "refused"  // error findings (quarantined) or an expired card by policy: not published
	Full     Outcome = "full"     // the queue has no room: not published, remedy shown
	Failed   Outcome = "failed"   // the queue could not take it for another reason
)

// Tapped is a tap with its outcome. It is personal data and prints masked.
type Tapped struct {
	ID      string // event id, or the quarantine's id when Quarantined
	Outcome Outcome
	Reader  string
	At      time.Time          // acceptance, or the decision
	Earlier time.Time          // of a repeat: when the first was accepted
	Seq     uint64             // desk.seq of an accepted tap
	Data    event.Registration // as published, or as it would have been
	// Quarantined taps lie sealed in the queue; one that was read twice alike
	// (Verified) may be compared with the card and published as unverified.
	Quarantined bool
	Verified    bool
	Photo       []byte // WLT for the configured decoder, never stored
	Err         error  // of full and failed
}

// Format implements fmt.Formatter so that no verb prints a tap.
func (t Tapped) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "publisher.Tapped(%s, masked)", t.Outcome)
}

// MarshalJSON keeps a tap out of structured logs.
func (t Tapped) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// FollowUp is a clerk's decision about a recorded event, accepted by the queue.
type FollowUp struct {
	ID     string // of the follow-up event
	Refers string // id of the recorded event
	Type   string // event.ConfirmedType, CorrectedType or CancelledType
	At     time.Time
	// Changes of a corrected event: personal data.
	Changes []event.FieldChange
}

// Format implements fmt.Formatter so that no verb prints a change.
func (u FollowUp) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "publisher.FollowUp(%s, masked)", u.Type)
}

// Observer is told what happens, in order per reader. Calls must not block.
type Observer interface {
	Reader(reader.State)
	Tapped(Tapped)
	FollowedUp(FollowUp)
}
