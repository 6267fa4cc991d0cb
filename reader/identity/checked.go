// Package identity normalises and validates what a chip carries.
//
// Rules follow GB 11643-1999 (citizen number), ISO 7064 MOD 11-2, GB/T 2260
// (divisions), GB/T 2261.1 (sex), GB/T 3304 (ethnic groups), GA/T 2000.16
// (validity terms) and the machine-readable rules of the permits. What does not
// fit is a [Finding], data with a severity; no genuine person is refused for an
// oddity that occurs on genuine cards.
package identity

import (
	"fmt"
	"time"

	"idtap/reader/card"
)

// Severity says what a finding means for the record.
type Severity string

const (
	Error Severity = "error" // not published; quarantined, the clerk taps again
	Warn  Severity = "warn"  // published and flagged
	Info  Severity = "info"  // derived or normalised
)

// Finding is one thing noticed about a card. It holds no personal data:
// Detail names positions, lengths and codes only.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Field    string   `json:"field,omitempty"` // path in the event's data, e.g. person.name
	Detail   string   `json:"detail,omitempty"`
}

// Date is a calendar day without a time zone. The zero Date is absent.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// IsZero reports whether the date is absent.
func (d Date) IsZero() bool { return d == Date{} }

// String gives ISO 8601, or "" for the zero Date. Callers print it only where
// personal data may go.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// Code is a coded value with its Chinese label; Raw is set where the chip's
// own code was mapped (57 -> 97, say).
type Code struct {
	Code  string
	Label string
	Raw   string
}

// Confidence says how far an address was resolved to a division.
type Confidence string

const (
	Full    Confidence = "full"    // to the county level
	Partial Confidence = "partial" // province or prefecture only
	None    Confidence = "none"
)

// Relation of the hukou division to the desk's, as the census defines migrants.
type Relation string

const (
	SameCounty        Relation = "same_county"
	SameCityDistricts Relation = "same_city_districts"
	SamePrefecture    Relation = "same_prefecture"
	SameProvince      Relation = "same_province"
	OtherProvince     Relation = "other_province"
	HMT               Relation = "hmt"
	Foreign           Relation = "foreign"
	UnknownRelation   Relation = "unknown"
)

// Validity of the document on the day of reading.
type Validity string

const (
	Valid           Validity = "valid"
	Expired         Validity = "expired"
	NotYetValid     Validity = "not_yet_valid"
	UnknownValidity Validity = "unknown"
)

// Checked is a card as idtap understands it: normalised fields, what was
// derived from them, and findings. Absent is the zero value. It is personal
// data and prints masked.
type Checked struct {
	Kind card.Kind

	Number    string // normalised, X upper case
	OldNumber string // Y: the 15-character number rebuilt from the link item
	Authority string
	ValidFrom Date
	ValidTo   Date // zero when LongTerm or absent
	LongTerm  bool
	Validity  Validity

	PassNumber string // J
	IssueCount string // J
	Renewals   string // Y

	Name        string
	NameRaw     string // UTF-16 code units in hex, set when the name has a character finding
	NameEn      string // I, Y
	Nationality string // I, Y: alpha-3
	Sex         Code
	Ethnic      Code
	Birth       Date
	Age         int // on the day of reading, Asia/Shanghai; -1 unknown
	Under14     bool

	// Household registration (hukou), resident cards only.
	HukouAddress   string   // newest: last appended, else printed
	PrintedAddress string   // as printed on the card
	Appended       []string // oldest first
	Division       string   // six digits; "" if unresolved
	Successors     []string // of a retired unit that was divided: the divisions it may concern
	Path           []string // names, province first
	Confidence     Confidence

	CardAddress string // J: mainland dwelling

	Relation Relation
	Groups   []string

	Findings []Finding
}

// Format implements fmt.Formatter so that no verb prints a person.
func (c Checked) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "identity.Checked(%s, %d findings, masked)", c.Kind, len(c.Findings))
}

// MarshalJSON keeps a person out of structured logs; package event publishes
// field by field.
func (c Checked) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Worst is the highest severity among the findings, or "" if there are none.
func (c Checked) Worst() Severity {
	worst := Severity("")
	for _, f := range c.Findings {
		switch {
		case f.Severity == Error:
			return Error
		case f.Severity == Warn:
			worst = Warn
		case worst == "":
			worst = Info
		}
	}
	return worst
}

// Group is a service group by sex and age, from policy.groups.
type Group struct {
	Name   string
	Sex    string // "male", "female" or "" for both
	MinAge int
	MaxAge int // inclusive; used only with HasMax
	HasMax bool
}

// Options are what the desk knows beside the card.
type Options struct {
	Now          time.Time // the moment of reading
	DeskDivision string    // six digits or ""
	Groups       []Group
	// ClockFloor is a moment that certainly lies in the past (the build date):
	// a clock before it makes no finding, age or validity; a birth date in the
	// future is an error only if the card's own start date is not.
	ClockFloor time.Time
}
