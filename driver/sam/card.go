package sam

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"idtap/driver"
)

// Sizes of what a card carries. The inner length fields must say exactly these;
// a fingerprint block has none, one or two records.
const (
	textSize        = 256
	photoSize       = 1024
	fingerprintSize = 512
	addressSize     = 70
	maxAddresses    = 4
	idSize          = 16
	managementSize  = 28
)

// errLayout says that an answer is not laid out as its inner lengths say.
var errLayout = errors.New("the answer's length is not what its inner lengths say")

// ParseCard lays out the data of a read answer: text and photo as 30 01 gives
// them, and also the 30 10 form, whose fingerprints it overwrites in data and
// does not keep.
//
//	30 01   text length | photo length                      | text | photo
//	30 10   text length | photo length | fingerprint length | text | photo | fingerprints
//
// Lengths are big-endian, 2 bytes each. Which form it is follows from the
// lengths alone: whole frames of 1295, 1297, 1809 or 2321 bytes, or 1024 less
// where a module gives no photo [QWM, EVINT, EAST533, YINAN].
func ParseCard(data []byte) (driver.RawCard, error) {
	var c driver.RawCard
	if len(data) < 6 {
		return c, errLayout
	}
	text := int(binary.BigEndian.Uint16(data))
	photo := int(binary.BigEndian.Uint16(data[2:]))
	finger := int(binary.BigEndian.Uint16(data[4:]))
	if text != textSize || photo != photoSize && photo != 0 {
		return c, errLayout
	}
	switch body := text + photo; len(data) {
	case 4 + body:
		data = data[4:]
	case 6 + body + finger:
		if finger > 2*fingerprintSize || finger%fingerprintSize != 0 {
			return c, errLayout
		}
		clear(data[6+body:])
		data = data[6 : 6+body]
	default:
		return c, errLayout
	}
	copy(c.Text[:], data)
	if photo > 0 {
		c.Photo = append([]byte(nil), data[text:]...)
	}
	return c, nil
}

// ParseAddresses splits the data of a 30 03 answer into its records, oldest
// first, and leaves blank ones out: the card's file has four slots, some hosts
// get all of them [SDTC, WIKI]. ok is false for data that is no such answer's.
func ParseAddresses(data []byte) (list [][addressSize]byte, ok bool) {
	if n := len(data); n == 0 || n%addressSize != 0 || n > maxAddresses*addressSize {
		return nil, false
	}
	for ; len(data) >= addressSize; data = data[addressSize:] {
		if record := [addressSize]byte(data); !blank(record) {
			list = append(list, record)
		}
	}
	return list, true
}

// blank reports whether a record is padding only: UTF-16LE spaces, or zeros.
func blank(record [addressSize]byte) bool {
	for i := 0; i < addressSize; i += 2 {
		if u := binary.LittleEndian.Uint16(record[i:]); u != ' ' && u != 0 {
			return false
		}
	}
	return true
}

// ID is a module's own number as command 12 FF gives it.
type ID [idSize]byte

// String prints the number as the module's makers do: two, two, eight, ten and
// ten decimal digits, from little-endian unsigned fields [SDTC, YINAN]. Programs
// that print nine digits or negative numbers are wrong.
func (id ID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%02d.%02d-%08d-%010d-%010d", le.Uint16(id[0:]), le.Uint16(id[2:]),
		le.Uint32(id[4:]), le.Uint32(id[8:]), le.Uint32(id[12:]))
}

// SimulatorID is the number of every simulated module: a published prefix and
// zeros, where a module in the field has a number of its own.
var SimulatorID = ID{0x05, 0x00, 0x01, 0x00, 0x5B, 0x03, 0x33, 0x01, 0x5A, 0xB3, 0x1E, 0x00}

// Management is the card's management block (30 05), opaque. It identifies a
// card for life, so it is personal data and prints masked.
type Management [managementSize]byte

// Format implements fmt.Formatter so that no verb prints the block.
func (Management) Format(f fmt.State, _ rune) { io.WriteString(f, "sam.Management(masked)") }

// MarshalJSON keeps the block out of structured logs.
func (Management) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }
