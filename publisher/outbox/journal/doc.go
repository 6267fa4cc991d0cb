// Package journal is the queue's file: what is in it, how it is checked, and how
// it is recovered. It knows no card; what the queue promises is in package outbox.
//
// The file is a SQLite database (https://www.sqlite.org/fileformat2.html) with a
// write-ahead log that is synced at each commit. Each line of table journal is a
// record: clear columns (time, type, document kind, finding codes, subject and
// state of delivery) and, in table bodies, a body sealed with AES-256-GCM to
// those columns that never change. A hash chain runs over (hash of the line
// before, SHA-256 of the sealed body, row, clear columns), so it verifies after
// bodies are erased. The head file says where the journal ended, which makes a
// tail that SQLite dropped visible.
//
// A damaged file is scanned page by page, by the format and not through SQLite:
// its seal proves each record by itself (scan.go, rebuild.go).
package journal

import "errors"

// Errors that callers decide on.
var (
	ErrLocked  = errors.New("another daemon uses this queue directory") // Lock
	ErrDamaged = errors.New("the queue file is damaged")
	ErrNewer   = errors.New("the queue was written by a newer idtap")
	ErrKey     = errors.New("the queue's key does not open it") // key file missing, damaged, or another one
)

// State is where a record is on its way out.
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

// Tail is where the journal ends.
type Tail struct {
	Row   int64
	Hash  []byte // of the last line; the anchor's where there is none
	Epoch string // that new records get
	Next  uint64 // next sequence number
}
