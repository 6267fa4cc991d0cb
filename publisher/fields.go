package publisher

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"idtap/publisher/event"
	"idtap/reader/card"
)

// field is one field of a registration that a clerk may correct.
type field struct {
	get   func(*event.Registration) string
	set   func(*event.Registration, string)
	valid func(string) bool
	of    []card.Kind // the only kinds of card that have it; none: all
}

func (f field) belongs(r event.Registration) bool {
	return len(f.of) == 0 || slices.Contains(f.of, card.Kind(r.Document.Kind))
}

func (f field) on(kinds ...card.Kind) field {
	f.of = kinds
	return f
}

var (
	isDate     = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`).MatchString
	isNumber   = regexp.MustCompile(`^([0-9]{17}[0-9X]|[A-Z]{3}[0-9]{12})$`).MatchString
	isDivision = regexp.MustCompile(`^([1-9][0-9]{5})?$`).MatchString
	isSex      = regexp.MustCompile(`^[0129]$`).MatchString
	isEthnic   = regexp.MustCompile(`^[0-9]{2}$`).MatchString
	isCountry  = regexp.MustCompile(`^[A-Z]{3}$`).MatchString
)

// fields are what a correction may name, by path in the recorded event's data.
var fields = map[string]field{
	"document.number":            text(func(r *event.Registration) *string { return &r.Document.Number }, isNumber),
	"document.issuing_authority": text(func(r *event.Registration) *string { return &r.Document.IssuingAuthority }, isText(60)),
	"document.valid_from":        text(func(r *event.Registration) *string { return &r.Document.ValidFrom }, isDate),
	"document.valid_to": {
		get: func(r *event.Registration) string { return r.Document.ValidTo.Date },
		set: func(r *event.Registration, v string) {
			r.Document.ValidTo, r.Document.LongTerm = event.ValidTo{Date: v}, false
		},
		valid: isDate,
	},
	"document.long_term": longTerm, // a field of its own: an end that is a date ends it
	"person.name":        text(func(r *event.Registration) *string { return &r.Person.Name }, isText(50)),
	"person.name_en":     text(func(r *event.Registration) *string { return &r.Person.NameEn }, isText(120)).on(card.ForeignPR2017, card.ForeignPR2023),
	"person.nationality": text(func(r *event.Registration) *string { return &r.Person.Nationality }, isCountry).on(card.ForeignPR2017, card.ForeignPR2023),
	"person.birth_date":  text(func(r *event.Registration) *string { return &r.Person.BirthDate }, isDate),
	"person.sex":         coded(func(r *event.Registration) **event.Code { return &r.Person.Sex }, isSex),
	"person.ethnic":      coded(func(r *event.Registration) **event.Code { return &r.Person.Ethnic }, isEthnic),
	"hukou.address":      text(func(r *event.Registration) *string { return &hukou(r).Address }, isText(100)).on(card.Resident),
	"hukou.division": {
		get: func(r *event.Registration) string { return hukou(r).Division },
		set: func(r *event.Registration, v string) {
			hukou(r).Division, hukou(r).Successors = v, nil // no longer a guess among several
		},
		valid: isDivision,
		of:    []card.Kind{card.Resident},
	},
	"residence.card_address": text(func(r *event.Registration) *string { return &r.Residence.CardAddress }, isText(100)).on(card.HMTPermit),
}

func text(at func(*event.Registration) *string, valid func(string) bool) field {
	return field{
		get:   func(r *event.Registration) string { return *at(r) },
		set:   func(r *event.Registration, v string) { *at(r) = v },
		valid: valid,
	}
}

func coded(at func(*event.Registration) **event.Code, valid func(string) bool) field {
	return field{
		get: func(r *event.Registration) string {
			if c := *at(r); c != nil {
				return c.Code
			}
			return ""
		},
		set:   func(r *event.Registration, v string) { *at(r) = &event.Code{Code: v} },
		valid: valid,
	}
}

func hukou(r *event.Registration) *event.Hukou {
	if r.Hukou == nil {
		return &event.Hukou{}
	}
	return r.Hukou
}

// isText accepts 1 to max characters, spaces inside only, nothing unprintable.
func isText(max int) func(string) bool {
	return func(s string) bool {
		return utf8.ValidString(s) && s == strings.TrimSpace(s) && s != "" && utf8.RuneCountInString(s) <= max &&
			!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
	}
}

// FieldError tells which field of a correction is refused and why. It holds no
// value.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return ErrField.Error() + ": " + e.Field + ": " + e.Problem }

// Unwrap makes a FieldError an ErrField.
func (e *FieldError) Unwrap() error { return ErrField }
