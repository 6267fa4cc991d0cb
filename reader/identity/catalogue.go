package identity

import "sync"

// Text is a sentence in both languages of the product.
type Text struct {
	Zh string `json:"zh"`
	En string `json:"en"`
}

// In picks a language: zh, else English.
func (t Text) In(lang string) string {
	if lang == "zh" {
		return t.Zh
	}
	return t.En
}

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

// Catalogue lists every finding that idtap can make, errors first.
func Catalogue() []Entry { return append([]Entry(nil), catalogue...) }

var catalogueIndex = sync.OnceValue(func() map[string]int {
	index := make(map[string]int, len(catalogue))
	for i, e := range catalogue {
		index[e.Code] = i
	}
	return index
})

// LookupFinding gives the catalogue's entry of a code.
func LookupFinding(code string) (Entry, bool) {
	i, ok := catalogueIndex()[code]
	if !ok {
		return Entry{}, false
	}
	return catalogue[i], true
}

// finding makes one with the catalogue's severity.
func finding(code, field, detail string) Finding {
	return Finding{Code: code, Severity: catalogue[catalogueIndex()[code]].Severity, Field: field, Detail: detail}
}
