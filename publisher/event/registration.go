package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
)

// Sources of a registration.
const (
	SourceChip   = "chip"
	SourceManual = "manual"
)

// Quality statuses.
const (
	Clean      = "clean"
	Flagged    = "flagged"
	Unverified = "unverified"
)

// DeskFacts are what a desk adds to every registration.
type DeskFacts struct {
	ID            string
	Division      string // six digits or ""
	Unit          string
	Role          string // inflow, outflow or both
	Operator      string
	LegalBasis    string
	NoticeVersion string
	Test          bool           // demo and simulated taps
	EmbedPhoto    bool           // policy.photo: embed
	Zone          *time.Location // of the times in the event
	RefKey        []byte         // HMAC key of person.ref; none: no ref
}

// NewRegistration is a tap as the recorded event's data. Desk.Epoch, Desk.Seq
// and Timing.AcceptedAt are the queue's to fill in at acceptance.
func NewRegistration(t reader.Tap, d DeskFacts) Registration {
	c := t.Checked
	r := Registration{
		Source: SourceChip,
		Test:   d.Test,
		Document: Document{
			Kind: string(c.Kind), Number: c.Number, IssuingAuthority: c.Authority,
			ValidFrom: c.ValidFrom.String(), ValidTo: ValidTo{Date: c.ValidTo.String(), Null: c.LongTerm},
			LongTerm: c.LongTerm, Status: string(c.Validity),
			PassNumber: c.PassNumber, IssueCount: c.IssueCount, Renewals: c.Renewals, OldNumber: c.OldNumber,
		},
		Person: Person{
			Ref: PersonRef(d.RefKey, string(c.Kind), c.Number), Name: c.Name, NameRaw: c.NameRaw, NameEn: c.NameEn,
			Nationality: c.Nationality, Sex: code(c.Sex), Ethnic: code(c.Ethnic),
			BirthDate: c.Birth.String(), Under14: c.Under14,
		},
		Residence: Residence{DeskDivision: d.Division, Direction: direction(d.Role), Relation: string(c.Relation),
			Groups: c.Groups, CardAddress: c.CardAddress},
		Desk:    Desk{ID: d.ID, Unit: d.Unit, Operator: d.Operator, Reader: t.Reader},
		Quality: Quality{Status: quality(c), Findings: c.Findings, VerifiedRead: t.Verified},
		Timing:  Timing{FoundAt: Time{in(t.FoundAt, d.Zone)}, ReadMS: t.ReadTime.Milliseconds(), Clock: clock(c)},
	}
	if r.Document.Status == "" {
		r.Document.Status = string(identity.UnknownValidity)
	}
	if r.Residence.Relation == "" {
		r.Residence.Relation = string(identity.UnknownRelation)
	}
	if r.Quality.Findings == nil {
		r.Quality.Findings = []identity.Finding{}
	}
	if c.Age >= 0 && !c.Birth.IsZero() {
		age := c.Age
		r.Person.Age = &age
	}
	if c.Kind == card.Resident {
		r.Hukou = &Hukou{Address: c.HukouAddress, PrintedAddress: c.PrintedAddress, AppendedAddresses: c.Appended,
			Division: c.Division, Path: c.Path, Confidence: string(c.Confidence)}
		if r.Hukou.Confidence == "" {
			r.Hukou.Confidence = string(identity.None)
		}
	}
	if d.LegalBasis != "" || d.NoticeVersion != "" {
		r.Basis = &Basis{Code: d.LegalBasis, NoticeVersion: d.NoticeVersion}
	}
	if d.EmbedPhoto && len(t.Photo) > 0 {
		r.Photo = &Photo{WLT: t.Photo}
	}
	return r
}

// PersonRef is the keyed hash of kind and number that lets systems join records
// without the number: "p1_" and HMAC-SHA-256 in base64url. It is "" without a
// key or a number. Whoever holds the key can enumerate numbers.
func PersonRef(key []byte, kind, number string) string {
	if len(key) == 0 || number == "" {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\x00" + number))
	return "p1_" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func code(c identity.Code) *Code {
	if c.Code == "" {
		return nil
	}
	return &Code{Code: c.Code, Label: c.Label, Raw: c.Raw}
}

// direction is the desk's role; a desk of both cannot tell from the card.
func direction(role string) string {
	switch role {
	case "inflow", "outflow":
		return role
	}
	return "undecided"
}

func quality(c identity.Checked) string {
	switch c.Worst() {
	case identity.Error:
		return Unverified
	case identity.Warn:
		return Flagged
	}
	return Clean
}

func clock(c identity.Checked) string {
	for _, f := range c.Findings {
		if f.Code == identity.CodeClockUntrusted {
			return "untrusted"
		}
	}
	return "trusted"
}

func in(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t
	}
	return t.In(zone)
}
