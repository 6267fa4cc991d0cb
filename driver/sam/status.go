package sam

import (
	"fmt"

	"idtap/driver"
	"idtap/internal/text"
)

// Values of SW3, the module's own status [SOFTS, LIBSAMV, CODES].
const (
	OK              byte = 0x90
	CardFound       byte = 0x9F // only after 20 01
	NoSuchItem      byte = 0x91 // e.g. no additional address: not an error
	BadChecksum     byte = 0x10
	BadLength       byte = 0x11
	BadCommand      byte = 0x21
	NotPermitted    byte = 0x23
	Unrecognised    byte = 0x24
	CardRefusedSAM  byte = 0x31
	SAMRefusedCard  byte = 0x32
	VerifyFailed    byte = 0x33
	FingerprintFail byte = 0x37
	WrongInfoLength byte = 0x3F
	WrongCardType   byte = 0x40
	ReadFailed      byte = 0x41
	NoRandomNumber  byte = 0x47
	SelfTestFailed  byte = 0x60
	NotAuthorised   byte = 0x66
	NoCard          byte = 0x80
	SelectFailed    byte = 0x81
)

// Class says what a caller does about a status.
type Class string

const (
	Success     Class = "success"
	Normal      Class = "normal"       // an answer like any other
	Transient   Class = "transient"    // try again, at last ask to lift and place the card
	CardProblem Class = "card problem" // the card is not one the module accepts: do not loop
	CallerBug   Class = "caller bug"   // or firmware that lacks the command
	ReaderFault Class = "reader fault" // alarm and stop polling fast
	Unknown     Class = "unknown"      // in no table
)

// Meaning explains one value of SW3.
type Meaning struct {
	SW3   byte
	Class Class
	Err   error // the sentinel of package driver; nil for Success and Normal
	Card  bool  // speaks of a card, so no command about the module is answered by it
}

// Text is the status in words.
func (m Meaning) Text() text.Text {
	if m.Class == Unknown {
		return texts.Say("sw3.unknown")
	}
	return texts.Say("sw3." + fmt.Sprintf("%02X", m.SW3))
}

// meanings holds every published status. 23, 37 and 3F are in the newer tables
// only; the classes are ours.
var meanings = []Meaning{
	{OK, Success, nil, false},
	{CardFound, Success, nil, true},
	{NoSuchItem, Normal, nil, true},
	{BadChecksum, CallerBug, driver.ErrProtocol, false},
	{BadLength, CallerBug, driver.ErrProtocol, false},
	{BadCommand, CallerBug, driver.ErrProtocol, false},
	{NotPermitted, CallerBug, driver.ErrProtocol, false},
	{Unrecognised, Transient, driver.ErrCardLost, false},
	{CardRefusedSAM, Transient, driver.ErrCardLost, true},
	{SAMRefusedCard, CardProblem, driver.ErrNotID, true},
	{VerifyFailed, Transient, driver.ErrCardLost, true},
	{FingerprintFail, Transient, driver.ErrCardLost, true},
	{WrongInfoLength, CallerBug, driver.ErrProtocol, true},
	{WrongCardType, CardProblem, driver.ErrNotID, true},
	{ReadFailed, Transient, driver.ErrCardLost, true},
	{NoRandomNumber, Transient, driver.ErrCardLost, true},
	{SelfTestFailed, ReaderFault, driver.ErrFaulty, false},
	{NotAuthorised, ReaderFault, driver.ErrFaulty, false},
	{NoCard, Transient, driver.ErrNoCard, true},
	{SelectFailed, Transient, driver.ErrCardLost, true},
}

// Meanings lists every status that is known, successes first.
func Meanings() []Meaning { return append([]Meaning(nil), meanings...) }

// Status is the status of an answer. SW1 and SW2 relay what the card said and
// may be anything where SW3 is 31, 41, 47 or 81 [SOFTS]; SW3 is the module's.
type Status struct{ SW1, SW2, SW3 byte }

// Meaning explains the status. A value in no table is Unknown and
// driver.ErrProtocol.
func (s Status) Meaning() Meaning {
	for _, m := range meanings {
		if m.SW3 == s.SW3 {
			return m
		}
	}
	return Meaning{s.SW3, Unknown, driver.ErrProtocol, false}
}

// Error makes a Status the cause in a driver.Error.
func (s Status) Error() string { return fmt.Sprintf("%02X: %s", s.SW3, s.Meaning().Text().En) }
