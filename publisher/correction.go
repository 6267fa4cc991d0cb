package publisher

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"idtap/publisher/event"
	"idtap/reader/card"
	"idtap/reader/identity"
	"idtap/reader/identity/division"
)

// amend applies changes to a registration by the rules of a card and works out
// again what follows from them. It returns the registration as it stands then, and
// the changes completed: a household address that lies elsewhere moves the division,
// an end date ends long-term and the reverse. Warnings join the findings; what the
// rules call an error, unless it was so before, is a FieldError beside them.
func (i *Intake) amend(before event.Registration, changes []event.FieldChange) (event.Registration, []event.FieldChange, error) {
	a := amendment{before: before, after: clone(before), changes: slices.Clone(changes)}
	for _, c := range changes {
		fields[c.Field].set(&a.after, c.New)
	}
	a.term()
	a.divisionOfAddress()
	was, is := i.check(before), i.check(a.after)
	err := a.refuse(was.Findings, is.Findings)
	a.derive(is, i.o.Desk.RefKey)
	a.findings(was.Findings, is.Findings)
	for n, c := range a.changes {
		a.changes[n].New = fields[c.Field].get(&a.after) // in the form of a card: dots, codes
	}
	return a.after, a.changes, err
}

// check applies the rules of a card on the day of the tap.
func (i *Intake) check(r event.Registration) identity.Checked {
	f := identity.Fields{
		Kind: card.Kind(r.Document.Kind), Number: r.Document.Number, OldNumber: r.Document.OldNumber, Authority: r.Document.IssuingAuthority,
		ValidFrom: r.Document.ValidFrom, ValidTo: r.Document.ValidTo.Date, LongTerm: r.Document.LongTerm,
		PassNumber: r.Document.PassNumber, IssueCount: r.Document.IssueCount, Renewals: r.Document.Renewals,
		Name: r.Person.Name, NameEn: r.Person.NameEn, Nationality: r.Person.Nationality, Birth: r.Person.BirthDate,
		CardAddress: r.Residence.CardAddress,
	}
	if r.Person.Sex != nil {
		f.Sex = r.Person.Sex.Code
	}
	if r.Person.Ethnic != nil {
		f.Ethnic = r.Person.Ethnic.Code
	}
	if r.Hukou != nil {
		f.HukouAddress, f.Division, f.Successors = r.Hukou.Address, r.Hukou.Division, r.Hukou.Successors
	}
	o := identity.Options{Now: r.Timing.FoundAt.Time, DeskDivision: r.Residence.DeskDivision, Groups: i.o.Groups}
	if r.Timing.Clock == "untrusted" {
		o.ClockFloor = o.Now.Add(time.Second)
	}
	return identity.CheckFields(f, o)
}

// amendment is a correction on its way.
type amendment struct {
	before, after event.Registration
	changes       []event.FieldChange
}

func (a *amendment) changed(names ...string) bool {
	return slices.ContainsFunc(a.changes, func(c event.FieldChange) bool { return slices.Contains(names, c.Field) })
}

// follows adds a change that another one brings along.
func (a *amendment) follows(name string) {
	f := fields[name]
	if old, now := f.get(&a.before), f.get(&a.after); old != now && !a.changed(name) {
		a.changes = append(a.changes, event.FieldChange{Field: name, Old: old, New: now})
	}
}

// term names both members that say how long the card runs: an empty valid_to alone
// would not tell null from absent.
func (a *amendment) term() {
	if a.changed("document.valid_to", "document.long_term") {
		a.follows("document.valid_to")
		a.follows("document.long_term")
	}
}

// divisionOfAddress moves the division with a corrected address. A division that
// a clerk decided stays unless the new address names another county.
func (a *amendment) divisionOfAddress() {
	h := a.after.Hukou
	if h == nil || !a.changed("hukou.address") || a.changed("hukou.division") {
		return
	}
	old, now := division.Resolve(a.before.Hukou.Address), division.Resolve(h.Address)
	decided := old.Code != h.Division || !slices.Equal(old.Successors, h.Successors)
	if decided && (!now.County || now.Code == old.Code) {
		return
	}
	h.Division, h.Successors = now.Code, now.Successors
	a.follows("hukou.division")
}

// refuse returns the first error that a change makes or leaves in its own field.
func (a *amendment) refuse(was, is []identity.Finding) error {
	if h := a.after.Hukou; a.changed("hukou.division") && h != nil && h.Division != "" {
		if u, known := division.Lookup(h.Division); !known || !u.Current {
			return &FieldError{Field: "hukou.division", Problem: "no division of today has this code"}
		}
	}
	for _, f := range is {
		own := a.changed(f.Field)
		if f.Severity != identity.Error || !own && has(was, f.Code, f.Field) {
			continue
		}
		field := f.Field
		if !own {
			field = a.changes[0].Field
		}
		return &FieldError{Field: field, Problem: f.Code}
	}
	return nil
}

// derive works out again what follows from the changed fields, and nothing else:
// what the desk's policy said on the day of the tap stands.
func (a *amendment) derive(c identity.Checked, refKey []byte) {
	r := &a.after
	if a.changed("document.number") {
		r.Person.Ref = event.PersonRef(refKey, r.Document.Kind, r.Document.Number)
	}
	if a.changed("document.number", "person.nationality") && c.Kind == card.ForeignPR2023 {
		r.Document.OldNumber = c.OldNumber
	}
	if a.changed("document.valid_from", "document.valid_to") {
		r.Document.Status = string(c.Validity)
	}
	if a.changed("person.name") {
		r.Person.Name, r.Person.NameRaw = c.Name, "" // the raw one is of the chip's name
	}
	if a.changed("person.sex") {
		r.Person.Sex = code(c.Sex)
	}
	if a.changed("person.ethnic") {
		r.Person.Ethnic = code(c.Ethnic)
	}
	if a.changed("person.birth_date") {
		r.Person.Age, r.Person.Under14 = nil, c.Under14
		if c.Age >= 0 {
			r.Person.Age = &c.Age
		}
	}
	if a.changed("person.birth_date", "person.sex") {
		r.Residence.Groups = c.Groups
	}
	if a.changed("hukou.division", "hukou.address") {
		r.Hukou.Path, r.Hukou.Confidence = c.Path, string(c.Confidence)
		r.Residence.Relation = string(c.Relation)
	}
}

// findings brings the findings up to date: what the rules no longer find goes, what
// they find now joins, what only the chip could show goes with the value it was
// about.
func (a *amendment) findings(was, is []identity.Finding) {
	kept := make([]event.Finding, 0, len(a.before.Quality.Findings))
	for _, f := range a.before.Quality.Findings {
		now := has(is, f.Code, f.Field)
		if now || !has(was, f.Code, f.Field) && !a.about(f.Field) {
			kept = append(kept, f)
		}
	}
	for _, f := range findings(is) {
		if !has(was, f.Code, f.Field) {
			kept = append(kept, f)
		}
	}
	q := &a.after.Quality
	q.Findings, q.Status = kept, event.Clean
	for _, f := range kept {
		switch {
		case f.Severity == string(identity.Error):
			q.Status = event.Unverified
		case f.Severity == string(identity.Warn) && q.Status == event.Clean:
			q.Status = event.Flagged
		}
	}
}

// about reports whether a finding on a field is about a value that changed.
func (a *amendment) about(field string) bool {
	if field == "hukou.printed_address" || field == "hukou.appended_addresses" {
		field = "hukou.address"
	}
	return field != "" && a.changed(field)
}

func has(list []identity.Finding, code, field string) bool {
	return slices.ContainsFunc(list, func(f identity.Finding) bool { return f.Code == code && f.Field == field })
}

// clone copies what a change may write into.
func clone(r event.Registration) event.Registration {
	if r.Hukou != nil {
		h := *r.Hukou
		r.Hukou = &h
	}
	return r
}

// correct checks changes against the record and fills in their old values.
func (r recorded) correct(changes []event.FieldChange) ([]event.FieldChange, error) {
	if len(changes) == 0 || len(changes) > len(fields) {
		return nil, fmt.Errorf("%w: name at least one field", ErrField)
	}
	seen := map[string]bool{}
	checked := make([]event.FieldChange, 0, len(changes))
	for _, c := range changes {
		f, ok := fields[c.Field]
		switch {
		case !ok, !f.belongs(r.data):
			return nil, &FieldError{Field: c.Field, Problem: "the record has no such field"}
		case seen[c.Field]:
			return nil, &FieldError{Field: c.Field, Problem: "it is named twice"}
		case !f.valid(c.New):
			return nil, &FieldError{Field: c.Field, Problem: "the new value is not in its form"}
		}
		seen[c.Field] = true
		old := f.get(&r.data)
		if old == c.New {
			return nil, &FieldError{Field: c.Field, Problem: "the record has this value already"}
		}
		checked = append(checked, event.FieldChange{Field: c.Field, Old: old, New: c.New})
	}
	if seen["document.valid_to"] && seen["document.long_term"] {
		return nil, &FieldError{Field: "document.valid_to", Problem: "a long-term card has no last day"}
	}
	return checked, nil
}

// longTerm is the correctable form of document.long_term.
var longTerm = field{
	get: func(r *event.Registration) string { return strconv.FormatBool(r.Document.LongTerm) },
	set: func(r *event.Registration, v string) {
		if r.Document.LongTerm = v == "true"; r.Document.LongTerm {
			r.Document.ValidTo = event.ValidTo{Null: true}
		}
	},
	// An end that is a date ends it.
	valid: func(s string) bool { return s == "true" },
}
