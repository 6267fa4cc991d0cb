// Package reader runs one reading loop per device: find, select, read, hold
// until removal, reconnect for ever. It yields one [Tap] per card placed.
//
//	opening -> starting -> ready -> found -> reading -> held -> (lifted) -> ready
//	                         ^                  |
//	                         |                  +-> place_again, unreadable, not_id_card -> (lifted)
//	                         +-- away, busy, denied, faulty, stuck <- any of these
//
// Firmware differs in what it does with a card that stays on the reader
// [ROUTON, YINAN]: some find it again, some do not until it was
// lifted, some refuse to read it twice. So a card is never told from another by
// what find answers, only by what was read; and it counts as lifted only after
// two clear negative answers in a row, never after a damaged one.
//
// The frame's XOR byte lets some damage through. What a [Verify] policy asks to
// be read twice is handed on only when two whole reads of it agree byte for
// byte. docs/decisions/reading-loop.md says why, docs/noise.md what remains.
package reader

import (
	"context"
	"fmt"
	"time"

	"idtap/driver"
	"idtap/reader/identity"
)

// Tap is one card placed and read. It is personal data and prints masked.
type Tap struct {
	Reader   string        // configured name
	FoundAt  time.Time     // when the card was found
	ReadTime time.Duration // from found to the last byte of the read that counts
	Checked  identity.Checked
	Photo    []byte // WLT, 1024 bytes, or none
	// Simulated says that the reader is none, so that this is nobody's card.
	Simulated bool
	Verified  bool // two whole reads agreed byte for byte
	Attempts  int  // whole reads made, disagreements included
}

// Format implements fmt.Formatter so that no verb prints a tap.
func (t Tap) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "reader.Tap(%s, %s, masked)", t.Reader, t.Checked.Kind)
}

// MarshalJSON keeps a tap out of structured logs.
func (t Tap) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Phase is what a reader is doing, as the clerk and the technician see it.
type Phase string

const (
	Starting   Phase = "starting"    // opening, identifying, power-up grace
	Ready      Phase = "ready"       // waiting for a card
	Found      Phase = "found"       // a card lies there, being selected
	Reading    Phase = "reading"     // text and photo on their way
	Held       Phase = "held"        // read; waiting for removal
	PlaceAgain Phase = "place_again" // lift the card and place it again
	NotID      Phase = "not_id_card" // foreign card: 32, 40
	Unreadable Phase = "unreadable"  // read several times, never twice alike or always an error
	Away       Phase = "away"        // gone, will come back by itself
	Denied     Phase = "denied"      // no permission
	Busy       Phase = "busy"        // held by another program
	Faulty     Phase = "faulty"      // module self-test failed or not authorised
	NoIdentity Phase = "no_identity" // reader without a security module
	Stuck      Phase = "stuck"       // a command hangs in the reader's driver
	Telnet     Phase = "telnet"      // the serial server speaks telnet instead of passing bytes on
	Dialect    Phase = "dialect"     // the module answers whole, but in a form of its own
	Stopped    Phase = "stopped"     // the loop has ended, or this build has no such driver
)

// State is a change in what a reader is doing. Nothing in it is personal.
type State struct {
	Reader   string
	Phase    Phase
	Since    time.Time
	Identity driver.Identity // what the reader said of itself, zero if unknown
	Err      error           // why, for every phase that is not as it should be; with held: the sink did not settle the tap
	Retry    time.Duration   // how soon it is tried again at first, 0 if it is not; later waits may be longer
	Counts   Counts
}

// Counts are a reader's counters since the daemon started.
type Counts struct {
	Taps       uint64 // taps handed on
	Reads      uint64 // whole reads
	LineErrors uint64 // damaged, broken or foreign bytes seen
	Disagreed  uint64 // pairs of reads that differed
	Reopened   uint64 // times the device was opened again
}

// Sink takes what readers produce. Calls for one reader come in order from one
// goroutine; calls of several readers run at once. State must not block.
// Tap returns once the tap's fate is settled (accepted, repeat, refused) or the
// context ends; the reader then holds the card until it is lifted. After an
// error nothing is settled (no room on the disk, say): the same tap is offered
// again for as long as the card lies there, and is gone once it is lifted.
type Sink interface {
	Tap(ctx context.Context, t Tap) error
	State(s State)
}
