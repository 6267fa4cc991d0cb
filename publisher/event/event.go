package event

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Event types (CloudEvents type).
const (
	RecordedType  = "idtap.registration.recorded.v1"
	ConfirmedType = "idtap.registration.confirmed.v1"
	CorrectedType = "idtap.registration.corrected.v1"
	CancelledType = "idtap.registration.cancelled.v1"
	StatusType    = "idtap.reader.status.v1"
)

// registrationTypes are the types that the stream stores.
var registrationTypes = []string{RecordedType, ConfirmedType, CorrectedType, CancelledType}

func known(ceType string) bool {
	return ceType == StatusType || slices.Contains(registrationTypes, ceType)
}

// SourceChip is the value of Registration.Source: what is recorded came from a chip.
const SourceChip = "chip"

// Values of Quality.Status.
const (
	Clean      = "clean"
	Flagged    = "flagged"
	Unverified = "unverified"
)

// Token returns the subject token of an event type, e.g. "recorded", or "" for a
// type that has none.
func Token(ceType string) string {
	switch ceType {
	case RecordedType:
		return "recorded"
	case ConfirmedType:
		return "confirmed"
	case CorrectedType:
		return "corrected"
	case CancelledType:
		return "cancelled"
	}
	return ""
}

// Time is a time that JSON writes in RFC 3339 with milliseconds and offset.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.Format("2006-01-02T15:04:05.000Z07:00") + `"`), nil
}

// Registration is the data of a recorded event. Absent is absent; only
// Document.ValidTo of a long-term card is null.
type Registration struct {
	Source    string    `json:"source"` // chip
	Test      bool      `json:"test"`
	Document  Document  `json:"document"`
	Person    Person    `json:"person"`
	Hukou     *Hukou    `json:"hukou,omitempty"` // resident cards only
	Residence Residence `json:"residence"`
	Desk      Desk      `json:"desk"`
	Basis     *Basis    `json:"basis,omitempty"`
	Quality   Quality   `json:"quality"`
	Timing    Timing    `json:"timing"`
	Stay      *Stay     `json:"stay,omitempty"` // form fields; later
	Photo     *Photo    `json:"photo,omitempty"`
}

// Format implements fmt.Formatter: no verb prints personal data.
func (Registration) Format(f fmt.State, _ rune) { io.WriteString(f, "event.Registration(masked)") }

// Document is the card that was read.
type Document struct {
	Kind             string  `json:"kind"`
	Number           string  `json:"number,omitempty"`
	IssuingAuthority string  `json:"issuing_authority,omitempty"`
	ValidFrom        string  `json:"valid_from,omitempty"`
	ValidTo          ValidTo `json:"valid_to,omitzero"`
	LongTerm         bool    `json:"long_term"`
	Status           string  `json:"status"` // valid, expired, not_yet_valid, unknown
	PassNumber       string  `json:"pass_number,omitempty"`
	IssueCount       string  `json:"issue_count,omitempty"`
	Renewals         string  `json:"renewals,omitempty"`
	OldNumber        string  `json:"old_number,omitempty"`
}

// ValidTo is a day, null (long-term) or absent.
type ValidTo struct {
	Date string
	Null bool
}

// IsZero reports whether v is absent; JSON then leaves it out.
func (v ValidTo) IsZero() bool { return v.Date == "" && !v.Null }

// MarshalJSON implements json.Marshaler.
func (v ValidTo) MarshalJSON() ([]byte, error) {
	if v.Null {
		return []byte("null"), nil
	}
	return json.Marshal(v.Date)
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *ValidTo) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = ValidTo{Null: true}
		return nil
	}
	*v = ValidTo{}
	return json.Unmarshal(b, &v.Date)
}

// Code is a coded value with its Chinese label.
type Code struct {
	Code  string `json:"code"`
	Label string `json:"label,omitempty"`
	Raw   string `json:"raw,omitempty"` // the chip's own code where it was mapped
}

// Person is the card's holder.
type Person struct {
	Ref         string `json:"ref,omitempty"` // keyed hash of kind and number: joins without the number
	Name        string `json:"name,omitempty"`
	NameRaw     string `json:"name_raw,omitempty"`
	NameEn      string `json:"name_en,omitempty"`
	Nationality string `json:"nationality,omitempty"`
	Sex         *Code  `json:"sex,omitempty"`
	Ethnic      *Code  `json:"ethnic,omitempty"`
	BirthDate   string `json:"birth_date,omitempty"`
	Age         *int   `json:"age,omitempty"`
	Under14     bool   `json:"under_14,omitempty"`
}

// Hukou is the holder's household registration (户籍).
type Hukou struct {
	Address           string   `json:"address,omitempty"` // newest
	PrintedAddress    string   `json:"printed_address,omitempty"`
	AppendedAddresses []string `json:"appended_addresses,omitempty"`
	Division          string   `json:"division,omitempty"`
	Path              []string `json:"path,omitempty"`
	Confidence        string   `json:"confidence"`
	// Successors are the divisions of today that a retired unit named in the
	// address was divided among; Division is then what all of them lie in.
	Successors []string `json:"successors,omitempty"`
}

// Divisions returns the divisions that the household registration may concern:
// the successors of a divided unit, else the division, none where it is unknown.
func (h *Hukou) Divisions() []string {
	switch {
	case h == nil:
		return nil
	case len(h.Successors) > 0:
		return h.Successors
	case h.Division != "":
		return []string{h.Division}
	}
	return nil
}

// Residence relates the desk's division to the person's household registration.
type Residence struct {
	DeskDivision string   `json:"desk_division,omitempty"`
	Direction    string   `json:"direction"` // inflow, outflow, undecided
	Relation     string   `json:"relation"`  // same_county ... other_province, hmt, foreign, unknown
	Groups       []string `json:"groups,omitempty"`
	CardAddress  string   `json:"card_address,omitempty"` // hmt_permit: mainland dwelling
}

// Desk identifies the desk that published the event.
type Desk struct {
	ID       string `json:"id"`
	Unit     string `json:"unit,omitempty"`
	Operator string `json:"operator,omitempty"`
	Reader   string `json:"reader"`
	Epoch    string `json:"epoch,omitempty"` // absent, like Seq, until the queue has accepted it
	Seq      uint64 `json:"seq,omitempty"`
}

// Basis is the legal basis of the registration.
type Basis struct {
	Code          string `json:"code,omitempty"`
	NoticeVersion string `json:"notice_version,omitempty"`
}

// Quality says how far a registry may rely on the record.
type Quality struct {
	Status       string    `json:"status"` // clean, flagged, unverified
	Findings     []Finding `json:"findings"`
	VerifiedRead bool      `json:"verified_read"`
}

// Finding is one thing noticed about a card. It holds no personal data: Detail
// names positions, lengths and codes only.
type Finding struct {
	Code     string `json:"code"`            // docs/codes.md lists them
	Severity string `json:"severity"`        // error, warn, info
	Field    string `json:"field,omitempty"` // path in the event's data, e.g. person.name
	Detail   string `json:"detail,omitempty"`
}

// Timing holds the times of the tap.
type Timing struct {
	FoundAt    Time   `json:"found_at"`
	ReadMS     int64  `json:"read_ms"`
	AcceptedAt Time   `json:"accepted_at,omitzero"` // absent until the queue has accepted it
	Clock      string `json:"clock"`                // trusted or untrusted
}

// Stay holds form fields that a registry may add.
type Stay struct {
	Address   string `json:"address,omitempty"`
	Phone     string `json:"phone,omitempty"`
	ArrivedOn string `json:"arrived_on,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Photo is the chip's portrait, embedded only by policy.
type Photo struct {
	WLT []byte `json:"wlt"` // base64
}

// Operator is the clerk of a follow-up event.
type Operator struct {
	Name          string `json:"name,omitempty"`
	Authenticated bool   `json:"authenticated"`
}

// Confirmed is the data of a confirmed event: a clerk compared the record with the
// card. HukouDivisions of a follow-up are every hukou division that the record has
// or had, the one that a correction moves it to included: recipients limited to any
// of them get the event, whatever the subject shows. CopyOf is the id of the same
// follow-up on the first of its subjects, absent there.
type Confirmed struct {
	Refers         string   `json:"refers"` // id of the recorded event, a UUIDv7
	CopyOf         string   `json:"copy_of,omitempty"`
	Test           bool     `json:"test"`
	Desk           Desk     `json:"desk"`
	HukouDivisions []string `json:"hukou_divisions,omitempty"`
	Operator       Operator `json:"operator"`
	At             Time     `json:"at"`
}

// Corrected is the data of a corrected event: a clerk changed fields of the record.
// Record is the recorded data as it stands afterwards, with all that follows from
// the changes; events of version 0.1 have none.
type Corrected struct {
	Refers         string        `json:"refers"`
	CopyOf         string        `json:"copy_of,omitempty"`
	Test           bool          `json:"test"`
	Desk           Desk          `json:"desk"`
	HukouDivisions []string      `json:"hukou_divisions,omitempty"`
	Operator       Operator      `json:"operator"`
	At             Time          `json:"at"`
	Reason         string        `json:"reason"`
	Changes        []FieldChange `json:"changes"`
	Record         *Registration `json:"record,omitempty"`
}

// Format implements fmt.Formatter: no verb prints personal data.
func (Corrected) Format(f fmt.State, _ rune) { io.WriteString(f, "event.Corrected(masked)") }

// FieldChange is one field of a recorded event, by path in its data.
type FieldChange struct {
	Field string `json:"field"` // e.g. person.name
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Format implements fmt.Formatter: no verb prints the values.
func (c FieldChange) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "event.FieldChange(%s, masked)", c.Field)
}

// Cancelled is the data of a cancelled event: the record is void.
type Cancelled struct {
	Refers         string   `json:"refers"`
	CopyOf         string   `json:"copy_of,omitempty"`
	Test           bool     `json:"test"`
	Desk           Desk     `json:"desk"`
	HukouDivisions []string `json:"hukou_divisions,omitempty"`
	Operator       Operator `json:"operator"`
	At             Time     `json:"at"`
	Reason         string   `json:"reason"` // wrong_person, test_tap, withdrawal, discarded
	Note           string   `json:"note,omitempty"`
}
