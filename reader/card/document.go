// Package card turns the 256-byte text block of a chip into a typed Document.
//
// The block is 128 code units of UTF-16LE, fields padded at the right with
// U+0020 [QWM, WIKI]. There are four layouts, chosen by the type mark at bytes
// 248-249 before any field is read: space = resident ID card, J = residence
// permit for Hong Kong, Macao and Taiwan residents, I and Y = foreign permanent
// resident ID card of 2017 and 2023 [READINFO, YZF, THPR, DK]. An unknown mark
// is Unknown, never a guess: software that fell back to the resident layout
// showed the renewal count of a 2023 card as an ethnic group. Fields keep their
// raw code units: deciding what they mean is package identity's.
package card

import (
	"fmt"
	"io"
)

// Kind is the kind of document, as published in events.
type Kind string

const (
	Resident      Kind = "resident"
	HMTPermit     Kind = "hmt_permit"
	ForeignPR2017 Kind = "foreign_pr_2017"
	ForeignPR2023 Kind = "foreign_pr_2023"
	Unknown       Kind = "unknown"
)

// Text is a field as it stands on the chip: UTF-16 code units, padding
// included. It is personal data and prints masked.
type Text []uint16

// Format implements fmt.Formatter so that no verb prints a field.
func (Text) Format(f fmt.State, _ rune) { io.WriteString(f, "card.Text(masked)") }

// MarshalJSON keeps a field out of structured logs.
func (Text) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Document is a card by fields. A field that the kind does not have is nil.
type Document struct {
	Kind Kind
	Mark uint16 // the type mark itself

	Name      Text // Chinese name, 15 units
	NameEn    Text // English name: I 60 units, Y 35+11 joined as they stand
	Sex       Text // GB/T 2261.1
	Ethnic    Text // GB/T 3304, resident only
	Birth     Text // YYYYMMDD
	Address   Text // 35 units: household address; on J the mainland dwelling
	Number    Text // 18 units, 15 on I
	Authority Text // issuing authority; resident and J
	ValidFrom Text
	ValidTo   Text // may be 长期

	PassNumber    Text // J: travel permit number, 9 units
	IssueCount    Text // J: 2 units
	Nationality   Text // I, Y: three letters
	Version       Text // I: card version
	AuthorityCode Text // I: accepting authority, 4 digits
	Renewals      Text // Y: 2 units
	OldLink       Text // Y: 3 units that link to the 15-character number

	Appended []Text // command 30 03, oldest first: changed household addresses
	Photo    []byte // WLT, or none

	raw [256]byte
}

// Raw returns the text block that the document was parsed from.
func (d Document) Raw() [256]byte { return d.raw }

// Format implements fmt.Formatter so that no verb prints a document.
func (d Document) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "card.Document(%s, masked)", d.Kind) }

// MarshalJSON keeps a document out of structured logs.
func (d Document) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }
