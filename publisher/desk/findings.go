package desk

import "idtap/reader/identity"

// comparable reports whether a clerk can settle a finding by comparing the
// record with the printed card.
func comparable(code string) bool {
	e, ok := identity.LookupFinding(code)
	return ok && e.Action == identity.Compare
}

// findingWords are the catalogue's one-line titles by code, for the page.
func findingWords() map[string]words {
	w := map[string]words{}
	for _, e := range identity.Catalogue() {
		w[e.Code] = words(e.Title)
	}
	return w
}
