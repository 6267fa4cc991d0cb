package identity

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"idtap/reader/card"
	"idtap/reader/identity/division"
)

// Fields are a card's fields as a record has them, after a clerk corrected some.
// Dates are ISO 8601, coded fields are codes, absent is "". They are personal data
// and print masked.
type Fields struct {
	Kind        card.Kind
	Number      string
	OldNumber   string
	Authority   string
	ValidFrom   string
	ValidTo     string
	LongTerm    bool
	PassNumber  string
	IssueCount  string
	Renewals    string
	Name        string
	NameEn      string
	Nationality string
	Sex         string
	Ethnic      string
	Birth       string
	CardAddress string

	HukouAddress string // the newest
	// Division and Successors are what the record says. Where that is not what the
	// address resolves to, a clerk has decided it and it stands.
	Division   string
	Successors []string
}

// Format implements fmt.Formatter so that no verb prints a person.
func (f Fields) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "identity.Fields(%s, masked)", f.Kind)
}

// MarshalJSON keeps a person out of structured logs.
func (Fields) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// CheckFields applies the rules of [Check] to a record's fields. What only the chip
// can show (padding, mapped code points, a field filled to its end) it does not
// find; text problems of the household address are findings on hukou.address.
func CheckFields(f Fields, o Options) Checked {
	c := newChecker(f.Kind, o)
	if r := division.Resolve(f.HukouAddress); r.Code != f.Division || !slices.Equal(r.Successors, f.Successors) {
		c.decided = &division.Resolution{Code: f.Division, County: division.IsCounty(f.Division), Path: division.Path(f.Division),
			Successors: f.Successors}
		if len(f.Successors) > 0 {
			c.decided.Retired = f.Division
		}
	}
	checked := c.check(f.document(), o)
	for i := range checked.Findings {
		if checked.Findings[i].Field == fieldPrinted {
			checked.Findings[i].Field = fieldHukou
		}
	}
	return checked
}

// document puts the fields onto a card. Texts end in padding, so that none looks
// cut off.
func (f Fields) document() card.Document {
	address := f.HukouAddress
	if f.Kind == card.HMTPermit {
		address = f.CardAddress
	}
	to := compact(f.ValidTo)
	if f.LongTerm {
		to = units("长期")
	}
	number := units(f.Number)
	if f.Kind != card.ForeignPR2017 {
		for len(number) < 18 { // as wide as the field is on the card
			number = append(number, ' ')
		}
	}
	d := card.Document{
		Kind: f.Kind, Number: number, Name: padded(f.Name), Sex: units(f.Sex), Ethnic: units(f.Ethnic), Birth: compact(f.Birth),
		Address: padded(address), Authority: padded(f.Authority), ValidFrom: compact(f.ValidFrom), ValidTo: to,
		PassNumber: padded(f.PassNumber), IssueCount: padded(f.IssueCount), Nationality: units(f.Nationality), Renewals: padded(f.Renewals),
	}
	if f.Kind == card.ForeignPR2017 || f.Kind == card.ForeignPR2023 {
		d.NameEn = padded(f.NameEn)
	}
	if old := units(f.OldNumber); len(old) == 15 {
		d.OldLink = card.Text{old[5], old[6], old[13]} // as oldNumber puts them there
	}
	return d
}

func units(s string) card.Text { return utf16.Encode([]rune(s)) }

func padded(s string) card.Text { return units(s + " ") }

func compact(date string) card.Text { return units(strings.ReplaceAll(date, "-", "")) }
