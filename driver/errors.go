package driver

import (
	"errors"
	"fmt"
	"strings"
)

// The few things that can go wrong with a reader, as far as a caller decides on
// them. Every error of a driver unwraps to one of these, to a context error, or
// is a programming mistake.
var (
	ErrGone     = errors.New("the reader is gone")              // unplugged, service stopped, connection cut
	ErrNoCard   = errors.New("no card in the field")            // status 80
	ErrCardLost = errors.New("the card could not be read")      // statuses 31 33 41 47 81, pulled mid-read: lift and place again
	ErrNotID    = errors.New("not a resident ID card")          // statuses 32 40: foreign or fake card
	ErrDenied   = errors.New("no permission to use the reader") // file mode, polkit
	ErrBusy     = errors.New("the reader is held by another program")
	ErrNotBuilt = errors.New("this build has no such driver")
	ErrFaulty   = errors.New("the reader's security module is faulty") // statuses 60, 66
	ErrProtocol = errors.New("the reader does not speak the SAM protocol as expected")
	ErrNoSAM    = errors.New("the reader has no security module and cannot read identity") // ordinary contactless readers
	ErrTimeout  = errors.New("the reader did not answer in time")
	ErrTelnet   = errors.New("the serial server speaks telnet instead of passing bytes on")
	ErrDialect  = errors.New("the reader answers whole, but in a form of its own")
	ErrStuck    = errors.New("the reader never came back from a command") // an APDU that hangs in its driver
)

// OtherForm reports whether whole answers came in another form than the
// protocol's, which says nothing against the line.
func OtherForm(err error) bool { return errors.Is(err, ErrTelnet) || errors.Is(err, ErrDialect) }

// Error is a failed operation on a reader.
type Error struct {
	Op     string // e.g. "find", "read text", "open"
	Reader string // configured name or port
	Status []byte // raw status: SW1 SW2 SW3, or a PC/SC code as four bytes; nil if none came
	Err    error  // a sentinel of this package or a context error
	Cause  error  // the underlying error, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Reader != "" {
		fmt.Fprintf(&b, "reader %s: ", e.Reader)
	}
	fmt.Fprintf(&b, "%s: %v", e.Op, e.Err)
	if e.Status != nil {
		fmt.Fprintf(&b, " (status % X)", e.Status)
	}
	if e.Cause != nil && e.Cause != e.Err {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap gives the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}
