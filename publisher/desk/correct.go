package desk

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"idtap/publisher/event"
)

// field is a field of a record that a clerk may correct from the printed card.
type field struct {
	value func(event.Registration) string
	valid func(string) bool
}

// correctable are those fields by their path in the event's data.
var correctable = map[string]field{
	"person.name":    {func(r event.Registration) string { return r.Person.Name }, text},
	"person.name_en": {func(r event.Registration) string { return r.Person.NameEn }, text},
	"person.sex.code": {func(r event.Registration) string { return codeOf(r.Person.Sex) },
		regexp.MustCompile(`^[0129]$`).MatchString},
	"person.ethnic.code": {func(r event.Registration) string { return codeOf(r.Person.Ethnic) },
		regexp.MustCompile(`^\d\d$`).MatchString},
	"person.birth_date": {func(r event.Registration) string { return r.Person.BirthDate }, date},
	"document.number": {func(r event.Registration) string { return r.Document.Number },
		regexp.MustCompile(`^[0-9A-Z]{15,18}$`).MatchString},
	"document.issuing_authority": {func(r event.Registration) string { return r.Document.IssuingAuthority }, text},
	"document.valid_from":        {func(r event.Registration) string { return r.Document.ValidFrom }, date},
	"document.valid_to":          {func(r event.Registration) string { return r.Document.ValidTo.Date }, date},
	"hukou.address":              {hukou(func(h event.Hukou) string { return h.Address }), text},
	"hukou.division":             {hukou(func(h event.Hukou) string { return h.Division }), regexp.MustCompile(`^\d{6}$`).MatchString},
	"residence.card_address":     {func(r event.Registration) string { return r.Residence.CardAddress }, text},
}

// correct makes a change of a field: the old value is the record's, never the
// request's. It reports false for an unknown field or a new value that cannot
// stand there.
func correct(r event.Registration, path, value string) (event.FieldChange, bool) {
	f, ok := correctable[path]
	if !ok || !f.valid(value) || strings.HasPrefix(path, "hukou.") && r.Hukou == nil {
		return event.FieldChange{}, false
	}
	return event.FieldChange{Field: path, Old: f.value(r), New: value}, true
}

func text(s string) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= maxValue && printable(s)
}

func date(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func codeOf(c *event.Code) string {
	if c == nil {
		return ""
	}
	return c.Code
}

func hukou(of func(event.Hukou) string) func(event.Registration) string {
	return func(r event.Registration) string {
		if r.Hukou == nil {
			return ""
		}
		return of(*r.Hukou)
	}
}
