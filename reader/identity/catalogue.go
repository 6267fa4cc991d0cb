package identity

import (
	"sync"

	"idtap/internal/text"
)

// Text is a sentence in both languages, see package text.
type Text = text.Text

// ClerkAction is what the clerk can do about a finding at the desk.
type ClerkAction string

const (
	NoAction ClerkAction = ""        // nothing: the finding informs
	Compare  ClerkAction = "compare" // compare with the printed card and confirm
)

// Entry of the catalogue: what a finding means and who does what about it.
type Entry struct {
	Code       string
	Severity   Severity
	Field      string // where it usually stands; a finding may name another
	Title      Text   // one line for the desk
	Cause      Text   // why it comes up
	Action     ClerkAction
	Clerk      Text // what the clerk does
	Technician Text // what the technician does
	Damage     bool // damage on the line could cause it: worth a second read
}

// rule is what the program does with a finding; its texts are in texts.json.
type rule struct {
	code     string
	severity Severity
	field    string
	action   ClerkAction
	damage   bool
}

func (r rule) entry() Entry {
	e := texts.Entry(r.code)
	return Entry{Code: r.code, Severity: r.severity, Field: r.field, Title: e.Title, Cause: e.Why,
		Action: r.action, Clerk: e.Do, Technician: e.Then, Damage: r.damage}
}

// Catalogue lists every finding that idtap can make, errors first.
func Catalogue() []Entry {
	list := make([]Entry, len(catalogue))
	for i, r := range catalogue {
		list[i] = r.entry()
	}
	return list
}

var catalogueIndex = sync.OnceValue(func() map[string]int {
	index := make(map[string]int, len(catalogue))
	for i, r := range catalogue {
		index[r.code] = i
	}
	return index
})

// LookupFinding returns the catalogue's entry of a code.
func LookupFinding(code string) (Entry, bool) {
	i, ok := catalogueIndex()[code]
	if !ok {
		return Entry{}, false
	}
	return catalogue[i].entry(), true
}

// finding makes one with the catalogue's severity.
func finding(code, field, detail string) Finding {
	return Finding{Code: code, Severity: catalogue[catalogueIndex()[code]].severity, Field: field, Detail: detail}
}
