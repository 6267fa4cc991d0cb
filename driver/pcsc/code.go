package pcsc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"idtap/driver"
)

// Code is what a PC/SC call failed with, numbered alike by pcsc-lite and
// Windows.
type Code uint32

// The codes that are told apart.
const (
	codeCancelled       Code = 0x80100002
	codeInvalidHandle   Code = 0x80100003
	codeUnknownReader   Code = 0x80100009
	codeTimeout         Code = 0x8010000A
	codeSharing         Code = 0x8010000B
	codeNoCard          Code = 0x8010000C
	codeProtoMismatch   Code = 0x8010000F
	codeNotReady        Code = 0x80100010
	codeInvalidValue    Code = 0x80100011
	codeCommError       Code = 0x80100013
	codeNotTransacted   Code = 0x80100016
	codeUnavailable     Code = 0x80100017
	codeNoService       Code = 0x8010001D
	codeServiceStopped  Code = 0x8010001E
	codeUnsupported     Code = 0x8010001F // SCARD_E_UNEXPECTED on Windows, SCARD_E_UNSUPPORTED_FEATURE of pcsc-lite
	codeNoReaders       Code = 0x8010002E
	codeCommLost        Code = 0x8010002F
	codeUnsupportedCard Code = 0x80100065
	codeUnresponsive    Code = 0x80100066
	codeUnpowered       Code = 0x80100067
	codeReset           Code = 0x80100068
	codeRemoved         Code = 0x80100069
	codeDenied          Code = 0x8010006A
)

// codes says what each is and which sentinel of package driver it unwraps to.
// What is not here is driver.ErrGone: all is opened anew.
var codes = map[Code]struct {
	text string
	kind error
}{
	codeCancelled:       {"the call was cancelled", driver.ErrGone},
	codeInvalidHandle:   {"the context is not valid any more", driver.ErrGone},
	codeUnknownReader:   {"the service has no such reader", driver.ErrGone},
	codeTimeout:         {"the service gave up waiting", driver.ErrTimeout},
	codeSharing:         {"another program uses the card alone", driver.ErrBusy},
	codeNoCard:          {"no card", driver.ErrNoCard},
	codeProtoMismatch:   {"the card speaks no protocol that was offered", driver.ErrCardLost},
	codeNotReady:        {"the reader is not ready", driver.ErrGone},
	codeInvalidValue:    {"the reader went away", driver.ErrGone},
	codeCommError:       {"the connection to the service broke", driver.ErrGone},
	codeNotTransacted:   {"the card did not take part", driver.ErrCardLost},
	codeUnavailable:     {"the reader went away", driver.ErrGone},
	codeNoService:       {"the PC/SC service is not running", driver.ErrGone},
	codeServiceStopped:  {"the PC/SC service has stopped", driver.ErrGone},
	codeUnsupported:     {"the reader's driver does not do that", driver.ErrProtocol},
	codeNoReaders:       {"there is no reader", driver.ErrGone},
	codeCommLost:        {"the reader lost its answer", driver.ErrCardLost},
	codeUnsupportedCard: {"the card's ATR makes no sense", driver.ErrCardLost},
	codeUnresponsive:    {"the card does not respond", driver.ErrCardLost},
	codeUnpowered:       {"the card has no power", driver.ErrCardLost},
	codeReset:           {"another program reset the card", driver.ErrCardLost},
	codeRemoved:         {"the card was removed", driver.ErrCardLost},
	codeDenied:          {"the service refuses this user", driver.ErrDenied},
}

func (c Code) Error() string {
	if known, ok := codes[c]; ok {
		return fmt.Sprintf("PC/SC %08X: %s", uint32(c), known.text)
	}
	return fmt.Sprintf("PC/SC %08X", uint32(c))
}

// kind is the sentinel of package driver.
func (c Code) kind() error {
	if known, ok := codes[c]; ok {
		return known.kind
	}
	return driver.ErrGone
}

var errWithout = errors.New("PC/SC was left out of it; docs/pcsc.md says which builds have it")

// wrap makes a driver.Error of what a backend said.
func wrap(op, reader string, err error) error {
	var known *driver.Error
	var code Code
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.As(err, &code):
		return &driver.Error{Op: op, Reader: reader, Status: binary.BigEndian.AppendUint32(nil, uint32(code)), Err: code.kind(), Cause: err}
	case errors.Is(err, driver.ErrNotBuilt):
		return &driver.Error{Op: op, Reader: reader, Err: driver.ErrNotBuilt, Cause: errWithout}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &driver.Error{Op: op, Reader: reader, Err: err}
	}
	return &driver.Error{Op: op, Reader: reader, Err: driver.ErrGone, Cause: err}
}
