package desk

import (
	"strings"

	"idtap/publisher/event"
)

// masked is a registration as it may be shown to anybody at the desk: the
// document's number by its ends, the name by its first character, the address
// by its division, and neither birth date nor anything derived from it (the
// part to hide first), nor a reference that joins records.
func masked(r event.Registration) event.Registration {
	m := event.Registration{
		Source: r.Source, Test: r.Test,
		Document: event.Document{Kind: r.Document.Kind, Number: event.MaskNumber(r.Document.Number),
			LongTerm: r.Document.LongTerm, Status: r.Document.Status},
		Person: event.Person{Name: event.MaskName(r.Person.Name), NameEn: event.MaskName(r.Person.NameEn),
			Sex: r.Person.Sex, Under14: r.Person.Under14},
		Residence: event.Residence{DeskDivision: r.Residence.DeskDivision, Direction: r.Residence.Direction,
			Relation: r.Residence.Relation},
		Desk:    r.Desk,
		Basis:   r.Basis,
		Quality: r.Quality,
		Timing:  r.Timing,
	}
	if r.Hukou != nil {
		m.Hukou = &event.Hukou{Division: r.Hukou.Division, Path: r.Hukou.Path, Confidence: r.Hukou.Confidence,
			Address: strings.Join(r.Hukou.Path, "")}
	}
	return m
}
