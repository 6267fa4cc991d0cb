package publisher

import (
	"time"

	"idtap/publisher/event"
	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
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
func NewRegistration(t reader.Tap, d DeskFacts) event.Registration {
	c := t.Checked
	r := event.Registration{
		Source: event.SourceChip,
		Test:   d.Test || t.Simulated,
		Document: event.Document{
			Kind: string(c.Kind), Number: c.Number, IssuingAuthority: c.Authority,
			ValidFrom: c.ValidFrom.String(), ValidTo: event.ValidTo{Date: c.ValidTo.String(), Null: c.LongTerm},
			LongTerm: c.LongTerm, Status: string(c.Validity),
			PassNumber: c.PassNumber, IssueCount: c.IssueCount, Renewals: c.Renewals, OldNumber: c.OldNumber,
		},
		Person: event.Person{
			Ref: event.PersonRef(d.RefKey, string(c.Kind), c.Number), Name: c.Name, NameRaw: c.NameRaw, NameEn: c.NameEn,
			Nationality: c.Nationality, Sex: code(c.Sex), Ethnic: code(c.Ethnic),
			BirthDate: c.Birth.String(), Under14: c.Under14,
		},
		Residence: event.Residence{DeskDivision: d.Division, Direction: direction(d.Role), Relation: string(c.Relation),
			Groups: c.Groups, CardAddress: c.CardAddress},
		Desk:    event.Desk{ID: d.ID, Unit: d.Unit, Operator: d.Operator, Reader: t.Reader},
		Quality: event.Quality{Status: quality(c), Findings: findings(c.Findings), VerifiedRead: t.Verified},
		Timing:  event.Timing{FoundAt: event.Time{Time: in(t.FoundAt, d.Zone)}, ReadMS: t.ReadTime.Milliseconds(), Clock: clock(c)},
	}
	if r.Document.Status == "" {
		r.Document.Status = string(identity.UnknownValidity)
	}
	if r.Residence.Relation == "" {
		r.Residence.Relation = string(identity.UnknownRelation)
	}
	if c.Age >= 0 && !c.Birth.IsZero() {
		age := c.Age
		r.Person.Age = &age
	}
	if c.Kind == card.Resident {
		r.Hukou = &event.Hukou{Address: c.HukouAddress, PrintedAddress: c.PrintedAddress, AppendedAddresses: c.Appended,
			Division: c.Division, Path: c.Path, Confidence: string(c.Confidence),
			Successors: c.Successors}
		if r.Hukou.Confidence == "" {
			r.Hukou.Confidence = string(identity.None)
		}
	}
	if d.LegalBasis != "" || d.NoticeVersion != "" {
		r.Basis = &event.Basis{Code: d.LegalBasis, NoticeVersion: d.NoticeVersion}
	}
	if d.EmbedPhoto && len(t.Photo) > 0 {
		r.Photo = &event.Photo{WLT: t.Photo}
	}
	return r
}

func code(c identity.Code) *event.Code {
	if c.Code == "" {
		return nil
	}
	return &event.Code{Code: c.Code, Label: c.Label, Raw: c.Raw}
}

// findings is never nil: the event has an empty list.
func findings(noticed []identity.Finding) []event.Finding {
	list := make([]event.Finding, 0, len(noticed))
	for _, f := range noticed {
		list = append(list, event.Finding{Code: f.Code, Severity: string(f.Severity), Field: f.Field, Detail: f.Detail})
	}
	return list
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
		return event.Unverified
	case identity.Warn:
		return event.Flagged
	}
	return event.Clean
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
