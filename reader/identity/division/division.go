// Package division knows the administrative divisions of GB/T 2260 down to the
// county level: every code since 1980, its names, the years it was seen, whether
// it is current and what it became. It resolves the address on a card to one.
//
// The table is generated (see generate) and checked in as divisions.tsv; its
// inputs are pinned in sources.lock. A row has the code, the newest name, the
// years of the dated lists that have it, flags (c current, z a zone of the
// statistics lists, u known from the undated list only), the successors of a
// retired unit joined by |, and older names with their years. Codes are never reused by the ministry, but
// the statistics lists have done so, hence several names per code. The table
// informs: no document is refused because of it.
package division

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Unit is one code.
type Unit struct {
	Code        string // six digits; xx0000 a province, xxxx00 a prefecture
	Name        string // newest known
	Current     bool
	Zone        bool   // a row of the statistics lists that is no division
	Uncertain   bool   // known from an undated list only, the name may be another unit's
	First, Last int    // years of dated lists (2002 on); 0 if it stands in none
	successors  string // of a retired unit, joined by |; "" where the sources do not tell
}

// Successors returns the codes of today that a retired unit became: one where it
// was renamed or merged whole, several where it was divided, none where the
// sources do not tell.
func (u Unit) Successors() []string {
	if u.Current || u.successors == "" {
		return nil
	}
	return strings.Split(u.successors, "|")
}

//go:embed divisions.tsv
var source string

// table is the loaded source: units by code, names by first character.
type table struct {
	units       []Unit
	codes       []uint32        // of units, to search in
	prefectures map[string]bool // four digits that any row begins with
	index       index
}

// loaded is built on first use; what that costs is measured by
// BenchmarkDivisionTable.
var loaded = sync.OnceValue(func() *table { return load(source) })

func load(source string) *table {
	t := &table{units: make([]Unit, 0, strings.Count(source, "\n")), prefectures: make(map[string]bool, 512)}
	others := make([]string, 0, cap(t.units))
	_, rows, _ := strings.Cut(source, "\n")
	for row := range strings.Lines(rows) {
		var f [6]string
		rest := strings.TrimSuffix(row, "\n")
		for i := range f {
			f[i], rest, _ = strings.Cut(rest, "\t")
		}
		u := Unit{Code: f[0], Name: f[1], successors: f[4]}
		u.First, u.Last = years(f[2])
		u.Current = strings.Contains(f[3], "c")
		u.Zone = strings.Contains(f[3], "z")
		u.Uncertain = strings.Contains(f[3], "u")
		t.units = append(t.units, u)
		t.codes = append(t.codes, number(u.Code))
		others = append(others, f[5])
		t.prefectures[u.Code[:4]] = true
	}
	t.index = t.buildIndex(others)
	return t
}

func years(s string) (first, last int) {
	if len(s) != 9 {
		return 0, 0
	}
	for i := range 4 {
		first = first*10 + int(s[i]-'0')
		last = last*10 + int(s[i+5]-'0')
	}
	return first, last
}

// number is a code as a number; anything that is no code is 0.
func number(code string) uint32 {
	if len(code) != 6 {
		return 0
	}
	var n uint32
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return 0
		}
		n = 10*n + uint32(code[i]-'0')
	}
	return n
}

func (t *table) find(code string) (int, bool) { return t.findNumber(number(code)) }

func (t *table) findNumber(n uint32) (int, bool) { return slices.BinarySearch(t.codes, n) }

// Lookup gives the unit of a six-digit code, retired ones included.
func Lookup(code string) (Unit, bool) {
	t := loaded()
	i, ok := t.find(code)
	if !ok {
		return Unit{}, false
	}
	return t.units[i], true
}

// Summary reports codes that stand on genuine cards without being in every
// list: whole prefectures (00), summary codes for districts and towns (01, 02,
// 11, 20) and local codes (19), in a known prefecture.
func Summary(code string) bool {
	if len(code) != 6 || !loaded().prefectures[code[:4]] {
		return false
	}
	switch code[4:] {
	case "00", "01", "02", "11", "19", "20":
		return true
	}
	return false
}

// Current returns what a code is today: itself, or its successor where there is
// exactly one. A unit that was divided, or whose successor is not known, stays as it is.
func Current(code string) string {
	t := loaded()
	i, ok := t.find(code)
	if !ok {
		return code
	}
	return t.current(i)
}

func (t *table) current(i int) string {
	u := &t.units[i]
	if !u.Current && len(u.successors) == 6 {
		return u.successors
	}
	// A city without districts has one county-level unit under two codes only in
	// the statistics lists: 620200 and 620201.
	if u.Code == "620200" {
		return "620201"
	}
	return u.Code
}

// Children are the current units right below a province or prefecture, zones
// and the lists' own headings left out. Counties directly under a province count
// as its own.
func Children(parent string) []Unit {
	t := loaded()
	var out []Unit
	for _, u := range t.units {
		if u.Current && !u.Zone && !heading(u.Name) && u.Code != parent && t.parent(u.Code) == parent {
			out = append(out, u)
		}
	}
	return out
}

// Find gives the current unit at a path of full names, province first, the
// prefecture left out where there is none: 甘肃省 白银市 会宁县.
func Find(path ...string) (Unit, bool) {
	parent := ""
	var at Unit
	for _, name := range path {
		children := Children(parent)
		i := slices.IndexFunc(children, func(u Unit) bool { return u.Name == name })
		if i < 0 {
			return Unit{}, false
		}
		at = children[i]
		parent = at.Code
	}
	return at, len(path) > 0
}

// Path gives the names that lead to a code, province first, without the lists'
// headings (市辖区, 县, 省直辖县级行政区划).
func Path(code string) []string {
	t := loaded()
	if i, ok := t.find(code); ok {
		return t.path(i)
	}
	return nil
}

func (t *table) path(i int) []string {
	path := make([]string, 0, 3)
	code := t.codes[i]
	for _, above := range [...]uint32{code / 10000 * 10000, code / 100 * 100, code} {
		if j, ok := t.findNumber(above); ok {
			name := t.units[j].Name
			if !heading(name) && (len(path) == 0 || path[len(path)-1] != name) {
				path = append(path, name)
			}
		}
	}
	return path
}

// parent is the code above, headings skipped; "" above a province.
func (t *table) parent(code string) string {
	if code[2:] == "0000" {
		return ""
	}
	if code[4:] != "00" {
		if i, ok := t.find(code[:4] + "00"); ok && !heading(t.units[i].Name) {
			return t.units[i].Code
		}
	}
	return code[:2] + "0000"
}

// heading reports names of lines in the lists that name no place.
func heading(name string) bool {
	switch name {
	case "市辖区", "县", "市", "市区", "直辖县级", "省直辖县级行政区划", "省直辖县级行政单位", "省直辖行政单位",
		"自治区直辖县级行政区划", "自治区直辖县级行政单位", "自治区直辖行政单位", "省辖县", "省直辖县":
		return true
	}
	return false
}

// IsDistrict reports whether a county-level code is a district of a city: by
// the digit ranges of GB/T 2260, 01-20 or 51-80 under a prefecture-level city
// or a municipality. Under a prefecture or league 01-20 are cities, and in the
// range 90 there are no districts.
func IsDistrict(code string) bool {
	if len(code) != 6 {
		return false
	}
	unit := code[4:]
	if !("01" <= unit && unit <= "20" || "51" <= unit && unit <= "80") {
		return false
	}
	prefecture := code[2:4]
	if Municipality(code) {
		return prefecture == "01"
	}
	return "01" <= prefecture && prefecture <= "20" || "51" <= prefecture && prefecture <= "70"
}

// IsCounty reports whether a code is a county-level unit: its own or that of a
// city without districts.
func IsCounty(code string) bool {
	if len(code) != 6 {
		return false
	}
	if code[4:] != "00" {
		return true
	}
	t := loaded()
	i, ok := t.find(code)
	return ok && code[2:4] != "00" && t.cityWithoutDistricts(&t.units[i])
}

// KnownPrefecture reports whether a code says which prefecture of today it lies
// in; municipalities and counties directly under a province count.
func KnownPrefecture(code string) bool {
	if len(code) != 6 || code[2:4] == "00" {
		return false
	}
	t := loaded()
	i, ok := t.findNumber(number(code) / 100 * 100)
	return ok && t.units[i].Current || Municipality(code)
}

// SamePrefecture reports whether two codes lie in one prefecture. A municipality
// is one; counties directly under a province share none.
func SamePrefecture(a, b string) bool {
	if Municipality(a) {
		return a[:2] == b[:2]
	}
	return a[:4] == b[:4] && a[2:4] != "90"
}

// Municipality reports whether a code lies in Beijing, Tianjin, Shanghai or
// Chongqing, which have no prefectures.
func Municipality(code string) bool {
	switch code[:2] {
	case "11", "12", "31", "50":
		return true
	}
	return false
}

// MainlandProvince reports whether two digits are a province, autonomous region
// or municipality of the mainland.
func MainlandProvince(two string) bool {
	switch two {
	case "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37",
		"41", "42", "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65":
		return true
	}
	return false
}
