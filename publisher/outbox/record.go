package outbox

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"idtap/publisher/event"
	"idtap/publisher/outbox/journal"
)

// Errors that callers decide on.
var (
	ErrFull      = errors.New("the queue has no room") // max_bytes or the disk: refuse the tap aloud
	ErrNotFound  = errors.New("no such record")
	ErrClosed    = errors.New("the queue is closed")
	ErrDelivered = errors.New("the record is already delivered") // discard cannot take it out; cancel it instead

	ErrLocked  = journal.ErrLocked  // second daemon
	ErrDamaged = journal.ErrDamaged // the queue file, or one record
	ErrNewer   = journal.ErrNewer   // written by a newer idtap
	ErrKey     = journal.ErrKey     // the key file is not the queue's
)

// State is where a record is on its way out.
type State = journal.State

// States of a record.
const (
	Waiting   = journal.Waiting
	Delivered = journal.Delivered
	Erased    = journal.Erased
	Dead      = journal.Dead
	Discarded = journal.Discarded
)

// LockedError names the daemon that has the queue. It unwraps to ErrLocked.
type LockedError = journal.LockedError

// Gap is what damage took.
type Gap = journal.Gap

// VerifyReport says what Verify looked at and found.
type VerifyReport = journal.Report

// Stamp is what a draft gets inside the writing transaction, so that the body can
// carry it. Seq counts without gaps within Epoch.
type Stamp struct {
	ID         string    `json:"id"` // event id, UUIDv7
	Epoch      string    `json:"epoch"`
	Seq        uint64    `json:"seq"`
	AcceptedAt time.Time `json:"accepted_at"`
	CopyOf     string    `json:"-"` // on a further subject (Draft.Also): the id on the first
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
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Reader   string    `json:"reader"`
	Kind     string    `json:"kind"`
	Codes    []string  `json:"codes"`
	Verified bool      `json:"verified"` // two whole reads agreed: may be published as unverified
	Body     []byte    `json:"-"`        // JSON data as it would have been, without a stamp
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
	Dir           string    `json:"dir"`
	Epoch         string    `json:"epoch"`
	LastSeq       uint64    `json:"last_seq"`
	Waiting       int       `json:"waiting"`         // accepted, not delivered
	Oldest        time.Time `json:"oldest,omitzero"` // of the waiting ones
	Delivered     int       `json:"delivered"`       // delivered and still in the journal
	Local         int       `json:"local"`           // of Delivered: stored by the embedded server only, not sent
	Erased        int       `json:"erased"`          // delivered, body erased
	Dead          int       `json:"dead"`            // cannot be published; waits for requeue or discard
	Discarded     int       `json:"discarded"`
	Quarantined   int       `json:"quarantined"`
	Gaps          int       `json:"gaps"`  // ranges of sequence numbers lost to damage, see [View.Gaps]
	Bytes         int64     `json:"bytes"` // on disk, WAL included
	MaxBytes      int64     `json:"max_bytes"`
	FreeBytes     int64     `json:"free_bytes"` // on the file system
	LastDelivered time.Time `json:"last_delivered,omitzero"`
	Full          bool      `json:"-"`                 // a running queue's only
	Fault         string    `json:"fault,omitempty"`   // a damaged queue that was set aside: its path, until it is taken away
	Moved         time.Time `json:"moved,omitzero"`    // when its files were last removed while it was open, and rescued
	Foreign       *Foreign  `json:"foreign,omitempty"` // another desk's or image's events on this desk's subjects: delivery waits for `outbox adopt`
}

// Foreign is what the forwarder met at the end of this desk's own filter: an
// epoch that was never this queue's.
type Foreign struct {
	Epoch   string `json:"epoch"`
	LastSeq uint64 `json:"last_seq"`
}

// ChainState is the position of the compare-and-set chain of one filter on one
// incarnation of the stream.
type ChainState struct {
	Filter        string
	StreamCreated time.Time
	LastSequence  uint64 // stream sequence of the desk's last stored event; 0 for an empty filter
}

// Ack is a stream's answer for one record.
type Ack struct {
	Row       int64     `json:"-"` // of the record
	Stream    string    `json:"stream,omitempty"`
	Sequence  uint64    `json:"stream_seq,omitempty"`
	Duplicate bool      `json:"-"`
	Local     bool      `json:"local,omitempty"` // stored by the embedded server only: kept on this desk, not sent
	At        time.Time `json:"-"`
}

func stampOf(e *journal.Entry) Stamp {
	return Stamp{ID: e.ID, Epoch: e.Epoch, Seq: e.Seq, AcceptedAt: journal.FromMillis(e.AcceptedAt)}
}

func recordOf(e *journal.Entry, body []byte) Record {
	return Record{Row: e.Row, Stamp: stampOf(e), Type: e.Type, Source: e.Source, Subject: e.Subject, Filter: e.Filter, Refers: e.Refers,
		Kind: e.Kind, Status: e.Status, Codes: splitCodes(e.Codes), Body: body, Requeued: e.Requeued}
}

func listedOf(e *journal.Entry) Listed {
	l := Listed{Row: e.Row, Stamp: stampOf(e), Type: e.Type, Subject: e.Subject, Filter: e.Filter, Refers: e.Refers, Kind: e.Kind, Status: e.Status,
		Codes: splitCodes(e.Codes), State: e.State, Requeued: e.Requeued, Reason: e.Reason.String,
		Ack: Ack{Stream: e.Stream.String, Sequence: uint64(e.StreamSeq.Int64), Duplicate: e.Duplicate.Bool, Local: e.Local.Bool}}
	if e.SettledAt.Valid && e.Stream.Valid {
		l.Ack.Row, l.Ack.At = e.Row, journal.FromMillis(e.SettledAt.Int64)
	}
	return l
}

func joinCodes(codes []string) string { return strings.Join(codes, ",") }

func splitCodes(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// Undelivered counts what was accepted and has not reached the stream: what waits,
// and what was put aside until a person decides on it.
func (s Stats) Undelivered() int { return s.Waiting + s.Dead }
