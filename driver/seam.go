package driver

import (
	"context"
	"errors"

	"idtap/driver/diagnosis"
)

// Optional interfaces. A Driver or Device that implements one is used by it
// wherever the program needs what it offers; nothing above the drivers knows
// any of them by name.

// Diagnoser is a Driver that explains to a technician what keeps its readers
// from working. A reader whose driver is none is explained by the sentinel of
// its error alone.
type Diagnoser interface {
	// Checks returns what can be looked at without opening a reader: the service,
	// the ports, the devices. configured are the readers of this driver in the
	// configuration; auto means that the configuration lists no reader at all, so
	// that what Discover finds is used.
	Checks(configured []Spec, auto bool) []diagnosis.Check
	// Diagnose notes why a reader of this driver does not work. What its module
	// is to blame for goes to the group diagnosis.SAM, see sam.Explain; what lies
	// below the module to a group of the driver's own.
	Diagnose(s *diagnosis.Sheet, spec Spec, err error)
	// Codes lists every entry that Checks, Diagnose and Probe may note.
	Codes() []diagnosis.Entry
}

// Examiner is a Driver that tries a reader in a way of its own, rather than by
// Open and sam.Examine. Nothing else of the program has the reader open.
type Examiner interface {
	Examine(ctx context.Context, s *diagnosis.Sheet, spec Spec)
}

// Prober is a Driver that can ask a port for a security module although the
// configuration does not name it, because a technician did.
type Prober interface {
	// Probe returns the check that asks the port; ok is false for a name that
	// cannot be a port of this driver.
	Probe(port string) (c diagnosis.Check, ok bool)
}

// Watcher is a Driver that notices when something that may be a reader of its
// kind is plugged in or out.
type Watcher interface {
	// Watch calls changed whenever that happens, until the context ends. It may
	// call too often, and returns early where the system tells nothing: who waits
	// for a reader has to look again without it, too.
	Watch(ctx context.Context, changed func())
}

// Describer is a Driver that can say what a reader's device is, beyond its name,
// for whoever has never seen the model.
type Describer interface {
	// Describe returns lines such as ids and descriptors, without opening the
	// reader. Nothing in them is personal.
	Describe(spec Spec) []string
}

// LineCounter is a Device that counts damaged, broken and foreign messages on
// its line, beside its answers.
type LineCounter interface {
	// LineErrors returns the count since the device was opened.
	LineErrors() uint64
}

// LineErrors returns what a device counts, 0 if it counts nothing.
func LineErrors(d Device) uint64 {
	if l, ok := d.(LineCounter); ok {
		return l.LineErrors()
	}
	return 0
}

// Statuses of a module that decide something outside package sam.
const (
	statusDamagedSum    = 0x10 // the request's check sum was wrong
	statusDamagedLength = 0x11 // the request's length was wrong
	statusSelectFailed  = 0x81
)

// DamagedRequest reports whether the module received the request damaged: a
// fault of the line, not of the card (SW3 10, 11).
func DamagedRequest(err error) bool {
	sw3, ok := moduleStatus(err)
	return ok && (sw3 == statusDamagedSum || sw3 == statusDamagedLength)
}

// SelectFailed reports whether a card was found that could not be selected,
// which is what a second card in the field does (SW3 81).
func SelectFailed(err error) bool {
	sw3, ok := moduleStatus(err)
	return ok && sw3 == statusSelectFailed
}

// Answered reports whether the error is a status that the module sent, rather
// than silence or bytes that are no answer.
func Answered(err error) bool {
	_, ok := moduleStatus(err)
	return ok
}

// moduleStatus returns SW3 of the answer that an error stands for.
func moduleStatus(err error) (sw3 byte, ok bool) {
	var e *Error
	if !errors.As(err, &e) || len(e.Status) != 3 {
		return 0, false
	}
	return e.Status[2], true
}
