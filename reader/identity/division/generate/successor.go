package main

import (
	"slices"
	"strings"
)

// linkSuccessors finds what a retired code became, where names tell it beyond
// doubt; merged and divided units need a row in the patch.
//
//   - A county, banner or city whose name is now borne by exactly one unit of
//     its province has been renumbered, usually because its prefecture became a
//     city.
//   - A county that became a city or district, and a city that became a
//     district, keep their stem: 通州市 -> 通州区. A city never became a county:
//     where both share a stem they existed side by side.
//   - Districts share names across cities, so theirs count within the prefecture.
//
// Two codes that stood in one dated edition are two units, whatever their names.
func (t table) linkSuccessors() {
	current := map[string][]string{} // level and province -> codes
	for code, r := range t {
		if r.current && !r.zone {
			key := level(code) + code[:2]
			current[key] = append(current[key], code)
		}
	}
	for code, r := range t {
		if r.current || r.zone || level(code) == "province" {
			continue
		}
		provinces := []string{code[:2]}
		switch code[:2] { // Hainan left Guangdong in 1988, Chongqing Sichuan in 1997
		case "44":
			provinces = append(provinces, "46")
		case "51":
			provinces = append(provinces, "50")
		}
		for _, n := range r.names {
			if s := t.bearer(n, code, provinces, current); s != "" {
				r.successors = []string{s}
				break
			}
			if r.uncertain {
				// A code of the undated list may carry another unit's name beside its own,
				// so what that name became says nothing about this unit.
				break
			}
		}
	}
}

// bearer is the one current unit that carries a retired unit's name on.
func (t table) bearer(n name, code string, provinces []string, current map[string][]string) string {
	var same, stem []string
	for _, p := range provinces {
		for _, c := range current[level(code)+p] {
			cand := t[c].names[0]
			switch {
			case n.last != 0 && cand.first < n.last: // side by side
			case isDistrict(n.text) && c[:4] != code[:4]:
			case n.text == cand.text:
				same = append(same, c)
			case becomes(n.text, cand.text):
				stem = append(stem, c)
			}
		}
	}
	if len(same) > 0 {
		return only(same)
	}
	return only(stem)
}

func only(codes []string) string {
	slices.Sort(codes)
	if codes = slices.Compact(codes); len(codes) == 1 {
		return codes[0]
	}
	return ""
}

func level(code string) string {
	switch {
	case code[2:] == "0000":
		return "province"
	case code[4:] == "00":
		return "prefecture"
	}
	return "county"
}

func isDistrict(name string) bool {
	return strings.HasSuffix(name, "区") && !strings.HasSuffix(name, "地区")
}

// becomes reports whether a unit of the old name can have become the new one:
// same stem of two characters or more, and a step that divisions take.
func becomes(old, new string) bool {
	steps := map[string]string{"地区": "市", "盟": "市", "县": "市区", "市": "区", "旗": "区市"}
	for suffix, to := range steps {
		stem, ok := strings.CutSuffix(old, suffix)
		if !ok {
			continue
		}
		if new == old+"区" { // 沙县 -> 沙县区
			return true
		}
		if len([]rune(stem)) < 2 {
			return false
		}
		for _, s := range to {
			if new == stem+string(s) {
				return true
			}
		}
		return false
	}
	return false
}
