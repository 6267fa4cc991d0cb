// Package driver says what a card reader is.
//
// A reader of second-generation resident ID cards holds a security module, the
// SAM: only the module can open the card, so a driver never sees keys, only the
// module's answers. The package is the seam between hardware and everything
// above it: a [Transport] carries bytes to one module, a [Device] is an open
// reader whatever it hangs on, a [RawCard] is what it read. Sub-packages
// implement them; package reader uses them and knows no hardware.
//
//	Transport (serial, tcp, pcsc apdu/escape, mock) -> sam.Client -> Device
//	Device    (pcsc paged/uid, mock)
//
// Sources: the layouts and commands are those cross-checked in docs/design.md
// section 5; keys such as [SDTC] in the sub-packages name public sources that are
// listed in docs/sources.md.
package driver

import (
	"context"
	"fmt"
	"io"
)

// Transport carries bytes to and from one SAM module. One owner goroutine.
type Transport interface {
	// Write sends a whole frame or returns an error.
	Write(ctx context.Context, frame []byte) error
	// Read blocks until at least one byte, the context's end, or ErrGone. Bytes
	// that have arrived come first, whether the context has ended or not: so
	// an owner empties a line without waiting.
	Read(ctx context.Context, buf []byte) (int, error)
	// Close frees the port. A blocked Read or Write returns.
	Close() error
}

// Device is an open reader. sam.Client turns any Transport into a Device;
// driver/pcsc gives Devices (paged, uid) and Transports (apdu, escape).
// One owner goroutine; Close may be called from another.
type Device interface {
	// Identify asks model, SAM id and module status. A module that answers
	// "self-test failed" (60) or "not authorised" (66) is ErrFaulty.
	Identify(ctx context.Context) (Identity, error)
	// Find takes one bounded look for a card.
	Find(ctx context.Context) (bool, error)
	// Read selects and reads the card found. Called again without a Find
	// between, it reads the same card again without selecting it anew (a bare
	// 30 01); firmware may refuse that with an error.
	Read(ctx context.Context) (RawCard, error)
	// Present tells whether the card just read is still there.
	Present(ctx context.Context) (bool, error)
	Close() error
}

// Identity is what a reader says of itself. Nothing in it is personal.
type Identity struct {
	Model  string // as the driver knows it; empty if it does not
	SAM    string // printed module number, e.g. 05.01-20120411-0002011994-0000000000; empty if there is none
	Status byte   // SW3 of the self-test (command 11 FF), 0x90 when well
	Baud   int    // bits per second in use; 0 where there is no line
	Detail string // backend, profile or firmware, for a technician
	// Simulated says that the reader is none: what it reads is always a test,
	// whatever the configuration says.
	Simulated bool
}

// RawCard is one card as read: personal data in full. It prints as a
// placeholder whatever the verb.
type RawCard struct {
	Text      [256]byte  // command 30 01
	Photo     []byte     // 1024 bytes WLT, or none
	Addresses [][70]byte // command 30 03, oldest first
}

// Format implements fmt.Formatter so that no verb prints card data.
func (RawCard) Format(f fmt.State, _ rune) { io.WriteString(f, "driver.RawCard(masked)") }

// MarshalJSON keeps a card out of structured logs.
func (RawCard) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }
