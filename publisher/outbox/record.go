// Package outbox is the durable queue on the desk's disk: what stands in it is
// accepted, and it is the only copy idtap relies on until a server elsewhere has
// stored the event.
//
// It is one SQLite file (WAL, synchronous=FULL, one writer with group commit).
// Bodies are sealed with AEAD; clear columns hold only time, type, outcome,
// document kind, finding codes, subject and delivery state. A hash chain over
// (previous hash, SHA-256 of the sealed body, clear columns) still verifies
// after bodies are erased.
package outbox

import (
	"errors"
	"fmt"
	"io"
	"time"

	"idtap/publisher/event"
)

// Errors that callers decide on.
var (
	ErrFull     = errors.New("the queue has no room")                    // max_bytes or the disk: refuse the tap aloud
	ErrLocked   = errors.New("another daemon uses this queue directory") // second daemon
	ErrDamaged  = errors.New("the queue file is damaged")
	ErrNewer    = errors.New("the queue was written by a newer idtap")
	ErrKey      = errors.New("the queue's key does not open it")
	ErrNotFound = errors.New("no such record")
	ErrClosed   = errors.New("the queue is closed")

	ErrDelivered = errors.New("the record is already delivered") // discard cannot take it out; cancel it instead
)

// State is where a record stands on its way out.
type State string

// States of a record. They differ in more than one bit, so that a damaged one
// is seen and never taken for another.
const (
	Waiting   State = "waiting"   // accepted, not delivered
	Delivered State = "delivered" // stored by a stream; body still sealed in the journal
	Erased    State = "erased"    // delivered, body erased after the retention time
	Dead      State = "dead"      // cannot be published as it is; waits for requeue or discard
	Discarded State = "discarded" // taken out; a cancelled event has its sequence number
)

// Stamp is what the queue gives a draft inside the writing transaction, so that
// the body can carry it. Seq counts without gaps within Epoch.
type Stamp struct {
	ID         string // event id, UUIDv7
	Epoch      string
	Seq        uint64
	AcceptedAt time.Time
}

// Draft is an event about to be accepted.
type Draft struct {
	Type    string // CloudEvents type
	Source  string // CloudEvents source
	Subject string // full subject, kept with the record
	Filter  string // the desk's own filter at acceptance: a changed desk id drains the old first
	Refers  string // id of the recorded event that a confirmed, corrected or cancelled event is about

	Kind   string   // document kind, for reports
	Status string   // quality status
	Codes  []string // finding codes

	// Repeat identifies the card's content (a keyed hash made by the caller). It
	// is stored sealed only. A draft whose Repeat was accepted within the repeat
	// window is not stored: Accept answers Repeated. Empty: never a repeat.
	Repeat string

	// Also lists further subjects that the same event goes to (a corrected
	// event whose division changed). Each is a record of its own with its own
	// id and sequence number.
	Also []string

	// Body makes the JSON data once the stamp is known. It may be called again
	// with another stamp if the transaction is retried.
	Body func(Stamp) ([]byte, error)
}

// Accepted is the answer to a draft: synced on disk, or a repeat.
type Accepted struct {
	Stamp
	Repeated bool  // not stored: the same content was accepted at Earlier
	Earlier  Stamp // the accepted record that this repeats
}

// Record is a stored event with its body opened.
type Record struct {
	Row int64 // position in the journal
	Stamp
	Type     string
	Source   string
	Subject  string
	Filter   string
	Refers   string
	Kind     string
	Status   string
	Codes    []string
	Body     []byte // JSON data; nil once erased
	Requeued int    // how many times `outbox requeue` put it back
}

// Format implements fmt.Formatter so that no verb prints a body.
func (r Record) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "outbox.Record(%s seq %d, masked)", r.ID, r.Seq)
}

// MarshalJSON keeps a record out of structured logs.
func (r Record) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Envelope is the record's envelope; Content is filled in when it is published.
func (r Record) Envelope() event.Envelope {
	return event.Envelope{ID: r.ID, Type: r.Type, Source: r.Source, Time: r.AcceptedAt,
		Seq: r.Seq, Epoch: r.Epoch, Subject: r.Subject, Content: event.ContentJSON}
}

// Quarantined is a tap with error findings: never published by itself, kept
// sealed for the retention time so that a clerk may compare it with the card.
type Quarantined struct {
	ID       string
	At       time.Time
	Reader   string
	Kind     string
	Codes    []string
	Verified bool   // two whole reads agreed: may be published as unverified
	Body     []byte // JSON data as it would have been, without a stamp
}

// Format implements fmt.Formatter so that no verb prints a body.
func (q Quarantined) Format(f fmt.State, _ rune) { io.WriteString(f, "outbox.Quarantined(masked)") }

// Tally is an outcome that is counted but not stored as an event: a repeat, a
// refused or failed tap.
type Tally struct {
	At      time.Time
	Outcome string // repeat, refused, unreadable, cancelled_read, not_id_card, ...
	Kind    string
	Codes   []string
}

// Stats is the queue's state for diag, metrics and the page.
type Stats struct {
	Epoch         string
	LastSeq       uint64
	Waiting       int       // accepted, not delivered
	Oldest        time.Time // of the waiting ones; zero if none
	Delivered     int       // delivered and still in the journal
	Erased        int       // delivered, body erased
	Local         int       // of Delivered: stored by the embedded server only, not sent
	Dead          int       // cannot be published; waits for requeue or discard
	Discarded     int
	Quarantined   int
	Gaps          int   // ranges of sequence numbers lost to damage, see [View.Gaps]
	Bytes         int64 // on disk, WAL included
	MaxBytes      int64
	FreeBytes     int64 // on the file system
	LastDelivered time.Time
	Full          bool
	Fault         string   // a damaged queue that was set aside: where it lies, until somebody takes it away; else ""
	Foreign       *Foreign // another desk's or image's events on this desk's subjects: delivery waits for `outbox adopt`
}

// Foreign is what the forwarder met at the end of this desk's own filter: an
// epoch that was never this queue's.
type Foreign struct {
	Epoch   string
	LastSeq uint64
}

// ChainState is where the compare-and-set chain of one filter stands on one
// incarnation of the stream.
type ChainState struct {
	Filter        string
	StreamCreated time.Time
	LastSequence  uint64 // stream sequence of the desk's last stored event; 0 for an empty filter
}

// Ack is a stream's answer for one record.
type Ack struct {
	Row       int64 // of the record
	Stream    string
	Sequence  uint64
	Duplicate bool
	Local     bool // stored by the embedded server only: kept on this desk, not sent
	At        time.Time
}
