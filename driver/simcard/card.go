// Package simcard makes the cards that simulated readers show and tests read:
// synthetic people on all four kinds of document.
//
// A [Card] is a card by its fields; [Read] and [Load] take cards from a file that
// docs/simulator.md documents, [Generate] makes them from a seed, and [Demo] is
// what the demonstration shows. [BlankText] takes a person out of a card's text.
//
// The layouts of the 256-byte text block stand here a second time on purpose:
// imports run from driver to reader, and a decoder tested against its own encoder
// would agree with itself about anything.
package simcard

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"unicode/utf16"

	"idtap/driver"
)

// The kinds of document, as events name them.
const (
	Resident      = "resident"        // type mark space
	HMTPermit     = "hmt_permit"      // type mark J
	ForeignPR2017 = "foreign_pr_2017" // type mark I
	ForeignPR2023 = "foreign_pr_2023" // type mark Y
)

var marks = map[string]uint16{Resident: ' ', HMTPermit: 'J', ForeignPR2017: 'I', ForeignPR2023: 'Y'}

// Card is a card by its fields, as they stand on the chip: dates YYYYMMDD (or
// 长期), sex and ethnic group as codes. It holds synthetic people only, yet prints
// masked, so that a log of a simulated run is checked like that of a real one.
type Card struct {
	Kind      string
	Name      string   // Chinese name
	NameUnits []uint16 // UTF-16 code units that stand in for Name: private use, lone surrogates
	Sex       string   // GB/T 2261.1
	Ethnic    string   // GB/T 3304; resident only
	Birth     string
	Address   string // resident: household; hmt_permit: mainland dwelling
	Number    string
	Authority string // issuing authority; resident and hmt_permit
	ValidFrom string
	ValidTo   string
	Appended  []string // command 30 03, oldest first, at most 4

	PassNumber    string // hmt_permit
	IssueCount    string // hmt_permit
	NameEn        string // foreign
	Nationality   string // foreign
	Version       string // foreign_pr_2017
	AuthorityCode string // foreign_pr_2017
	Renewals      string // foreign_pr_2023
	OldLink       string // foreign_pr_2023

	Mark        uint16     // overrides the kind's type mark if not 0
	RawText     *[256]byte // overrides every field
	Fingerprint int        // bytes in answer to 30 10: 0, 512 or 1024
	Refuse      byte       // status given instead of being read: 31 32 33 40 41 47 81; 0 for a good card
}

// Format implements fmt.Formatter so that no verb prints a card.
func (c Card) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "simcard.Card(%s, masked)", c.Kind) }

// MarshalJSON keeps a card out of structured logs.
func (c Card) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// field is a place in the text block: offset in bytes, width in UTF-16 units.
type field struct{ at, units int }

// Offsets shared by several layouts, then those of one: GA/T 490 by way of
// [WIKI], [QWM], [READINFO], [THPR], [AFZ], [EAST840].
var (
	atName      = field{0, 15} // resident, J, Y
	atSex       = field{30, 1}
	atEthnic    = field{32, 2} // resident; Y: renewals
	atBirth     = field{36, 8}
	atAddress   = field{52, 35} // Y: English name, first part
	atNumber    = field{122, 18}
	atAuthority = field{158, 15}
	atFrom      = field{188, 8}
	atTo        = field{204, 8}
	atMark      = field{248, 1}

	atPass       = field{220, 9} // J
	atIssueCount = field{238, 2}

	atINameEn      = field{0, 60} // I
	atISex         = field{120, 1}
	atINumber      = field{122, 15}
	atINationality = field{152, 3}
	atIName        = field{158, 15}
	atIBirth       = field{220, 8}
	atIVersion     = field{236, 2}
	atIAuthority   = field{240, 4}

	atYNameEn2     = field{220, 11} // Y
	atYNationality = field{242, 3}
	atYOldLink     = field{250, 3}
)

const addressUnits = 35

// placed is one field's content and where it goes. key is its name in a cards
// file.
type placed struct {
	key  string
	at   field
	text []uint16
}

// layout says which units go where, by kind.
func (c Card) layout() []placed {
	name := c.NameUnits
	if name == nil {
		name = units(c.Name)
	}
	common := []placed{
		{"name", atName, name}, {"sex", atSex, units(c.Sex)}, {"birth_date", atBirth, units(c.Birth)},
		{"number", atNumber, units(c.Number)}, {"valid_from", atFrom, units(c.ValidFrom)}, {"valid_to", atTo, units(c.ValidTo)},
	}
	switch c.Kind {
	case HMTPermit:
		return append(common,
			placed{"address", atAddress, units(c.Address)}, placed{"issuing_authority", atAuthority, units(c.Authority)},
			placed{"pass_number", atPass, units(c.PassNumber)}, placed{"issue_count", atIssueCount, units(c.IssueCount)})
	case ForeignPR2017:
		return []placed{
			{"name_en", atINameEn, units(c.NameEn)}, {"sex", atISex, units(c.Sex)}, {"number", atINumber, units(c.Number)},
			{"nationality", atINationality, units(c.Nationality)}, {"name", atIName, name},
			{"valid_from", atFrom, units(c.ValidFrom)}, {"valid_to", atTo, units(c.ValidTo)}, {"birth_date", atIBirth, units(c.Birth)},
			{"version", atIVersion, units(c.Version)}, {"authority_code", atIAuthority, units(c.AuthorityCode)},
		}
	case ForeignPR2023:
		english := units(c.NameEn)
		first := english[:min(len(english), atAddress.units)]
		return append(common,
			placed{"renewals", atEthnic, units(c.Renewals)}, placed{"name_en", atAddress, first},
			placed{"name_en", atYNameEn2, english[len(first):]}, placed{"nationality", atYNationality, units(c.Nationality)},
			placed{"old_link", atYOldLink, units(c.OldLink)})
	default:
		return append(common, placed{"ethnic", atEthnic, units(c.Ethnic)},
			placed{"address", atAddress, units(c.Address)}, placed{"issuing_authority", atAuthority, units(c.Authority)})
	}
}

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

// put writes units little-endian at the start of dst and pads dst with U+0020.
func put(dst []byte, text []uint16) {
	for i := 0; i+1 < len(dst); i += 2 {
		u := uint16(' ')
		if i/2 < len(text) {
			u = text[i/2]
		}
		binary.LittleEndian.PutUint16(dst[i:], u)
	}
}

// Text returns the block that command 30 01 answers. What does not fit a field is cut.
func (c Card) Text() [256]byte {
	if c.RawText != nil {
		return *c.RawText
	}
	var b [256]byte
	put(b[:], nil)
	for _, p := range c.layout() {
		put(b[p.at.at:p.at.at+2*p.at.units], p.text)
	}
	mark := marks[c.Kind]
	if c.Mark != 0 {
		mark = c.Mark
	}
	put(b[atMark.at:atMark.at+2], []uint16{mark})
	return b
}

// Addresses returns the records that command 30 03 answers, oldest first.
func (c Card) Addresses() [][70]byte {
	var out [][70]byte
	for _, a := range c.Appended {
		var b [2 * addressUnits]byte
		put(b[:], units(a))
		out = append(out, b)
	}
	return out
}

// wltPrefix begins every photo seen: W L, width 102, height 126 and coder
// settings (see docs/simulator.md).
var wltPrefix = []byte{0x57, 0x4C, 0x66, 0x00, 0x7E, 0x00, 0x32, 0x00, 0x00, 0xFF, 0x85}

// Photo returns 1024 bytes shaped like a WLT picture: the common prefix, then filler
// that depends on the card's text. It decodes to nothing.
func (c Card) Photo() []byte {
	p := make([]byte, 1024)
	copy(p, wltPrefix)
	fill(p[len(wltPrefix):], c.seed())
	return p
}

// Fingerprints is filler for the fingerprint records that the card has.
func (c Card) Fingerprints() []byte {
	p := make([]byte, c.Fingerprint)
	fill(p, c.seed())
	return p
}

// DN is filler for the 16 bytes of the management block that name the card.
func (c Card) DN() []byte {
	p := make([]byte, 16)
	fill(p, c.seed())
	return p
}

// seed is a number that differs between cards.
func (c Card) seed() uint64 {
	text := c.Text()
	h := fnv.New64a()
	h.Write(text[:])
	return h.Sum64()
}

// fill writes a xorshift sequence.
func fill(p []byte, x uint64) {
	x |= 1
	for i := range p {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x >> 32)
	}
}

// Raw returns the card as a driver hands it on.
func (c Card) Raw() driver.RawCard {
	return driver.RawCard{Text: c.Text(), Photo: c.Photo(), Addresses: c.Addresses()}
}

// check reports a field that the kind's layout cannot hold.
func (c Card) check() (key string, err error) {
	if c.RawText != nil {
		return "", nil
	}
	if c.Kind == ForeignPR2023 {
		if n := len(units(c.NameEn)); n > atAddress.units+atYNameEn2.units {
			return "name_en", tooLong(n, atAddress.units+atYNameEn2.units)
		}
	}
	for _, p := range c.layout() {
		if len(p.text) > p.at.units && !(c.Kind == ForeignPR2023 && p.key == "name_en") {
			return p.key, tooLong(len(p.text), p.at.units)
		}
	}
	if len(c.Appended) > 4 {
		return "appended_addresses", fmt.Errorf("%d addresses; the chip holds 4", len(c.Appended))
	}
	for _, a := range c.Appended {
		if n := len(units(a)); n > addressUnits {
			return "appended_addresses", tooLong(n, addressUnits)
		}
	}
	return "", nil
}

func tooLong(have, room int) error {
	return fmt.Errorf("%d UTF-16 units; the field holds %d", have, room)
}
