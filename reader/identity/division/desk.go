package division

import (
	"cmp"
	"slices"
)

// Fit says whether a code can be the division that a desk stands in, which is a
// county-level unit of today.
type Fit int

// What a code is to a desk.
const (
	Fits    Fit = iota
	NoUnit      // no division bears or bore the code
	TooWide     // a province or a prefecture that has counties
	Gone        // retired
	ZoneFit     // a zone of the statistics lists: its people are registered in the county around it
)

// FitsDesk judges a desk's division and returns the units that may have been
// meant: of a code that is none the most similar, of one too wide the counties
// below, of a retired one its successors, of a zone the counties around it.
func FitsDesk(code string) (Fit, []Unit) {
	t := loaded()
	i, known := t.find(code)
	if !known || heading(t.units[i].Name) || !MainlandProvince(code[:2]) {
		return NoUnit, t.similar(code)
	}
	u := t.units[i]
	switch {
	case u.Zone:
		return ZoneFit, countiesOf(code)
	case !u.Current:
		var became []Unit
		for _, code := range u.Successors() {
			if s, ok := Lookup(code); ok && s.deskUnit() {
				became = append(became, s)
			} else {
				became = append(became, countiesOf(code)...)
			}
		}
		return Gone, became
	case code[4:] != "00", code[2:4] != "00" && t.cityWithoutDistricts(&u), code == "620200":
		return Fits, nil
	}
	return TooWide, countiesOf(code)
}

// countiesOf are the county-level units of today in the prefecture of a code, or
// in its province.
func countiesOf(code string) []Unit {
	if len(code) != 6 {
		return nil
	}
	within := code[:4]
	if code[2:4] == "00" {
		within = code[:2]
	}
	var out []Unit
	for _, u := range loaded().units {
		if u.Code[:len(within)] == within && u.deskUnit() {
			out = append(out, u)
		}
	}
	return out
}

// deskUnit reports a county-level unit of today.
func (u Unit) deskUnit() bool {
	return u.Current && !u.Zone && u.Code[4:] != "00" && !heading(u.Name) && MainlandProvince(u.Code[:2])
}

// mostSimilar is how many units are offered for a code that is none.
const mostSimilar = 3

// similar are the units of today whose codes differ from a code in the fewest
// places, those in its own prefecture first.
func (t *table) similar(code string) []Unit {
	type near struct {
		unit Unit
		away int
	}
	var found []near
	for _, u := range t.units {
		if !u.deskUnit() {
			continue
		}
		away := 0
		for i := range len(u.Code) {
			if i >= len(code) || u.Code[i] != code[i] {
				away += 6 - i // a wrong digit at the end is likelier than one at the front
			}
		}
		found = append(found, near{u, away})
	}
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.away, b.away) })
	var out []Unit
	for _, n := range found[:min(mostSimilar, len(found))] {
		out = append(out, n.unit)
	}
	return out
}
