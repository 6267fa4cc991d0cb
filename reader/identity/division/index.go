package division

import (
	"strings"
	"unicode/utf8"
)

type level uint8

const (
	province level = iota
	prefecture
	county
)

// entry is one way to write one unit.
type entry struct {
	name  string
	unit  int32
	level level
	short bool // a stem such as 甘肃 or 白银: means the place only if a full name follows
	stale bool // retired before cards of the second generation carried addresses
}

// index holds entries by first character, with the range of each.
type index struct {
	entries []entry
	first   map[rune][2]int32
}

// secondGeneration is the year from which addresses stand on chips: names that
// were retired before it yield to current ones.
const secondGeneration = 2003

// buildIndex indexes the units by their names and others, the old names as the
// table's last column has them.
func (t *table) buildIndex(others []string) index {
	// An old name that another unit of the province bears today is no name to
	// find its old bearer by.
	type key struct{ province, name string }
	borne := make(map[key]bool, len(t.units)/2)
	for i := range t.units {
		if u := &t.units[i]; u.Current && !u.Zone {
			borne[key{u.Code[:2], u.Name}] = true
		}
	}
	entries := make([]entry, 0, 2*len(t.units))
	for i := range t.units {
		u := &t.units[i]
		l := levelOf(u)
		// The undated list gives some codes another unit's name: a county from it
		// is found only if its name leads to a current one.
		if u.Zone || heading(u.Name) || l == county && u.Uncertain && u.successors == "" {
			continue
		}
		stale := !u.Current && u.Last < secondGeneration
		add := func(name string, short bool) {
			entries = append(entries, entry{name: name, unit: int32(i), level: l, short: short, stale: stale})
		}
		spellings(u.Name, l, add)
		for _, s := range customary[u.Code] {
			add(s, false)
			if l == prefecture {
				add(strings.TrimSuffix(s, lastRune(s)), true)
			}
		}
		if u.Uncertain {
			continue // its other names may be other units'
		}
		for rest := others[i]; rest != ""; {
			var other string
			other, rest, _ = strings.Cut(rest, "|")
			name, _, _ := strings.Cut(other, " ")
			if !heading(name) && !borne[key{u.Code[:2], name}] {
				spellings(name, l, add)
			}
		}
	}
	return newIndex(entries)
}

// spellings are a name in full, its stem, and without nationalities.
func spellings(name string, l level, add func(name string, short bool)) {
	add(name, false)
	if s := stem(name); s != "" && l != county {
		add(s, true)
	}
	if s := autonomous(name); s != "" {
		add(s+lastRune(name), false)
		if l == prefecture {
			add(s, true)
		}
	}
}

// newIndex puts entries together by their first character.
func newIndex(entries []entry) index {
	x := index{entries: make([]entry, len(entries)), first: make(map[rune][2]int32, 1024)}
	for i := range entries {
		r := firstRune(entries[i].name)
		span := x.first[r]
		span[1]++
		x.first[r] = span
	}
	next := int32(0)
	for r, span := range x.first {
		x.first[r] = [2]int32{next, next}
		next += span[1]
	}
	for i := range entries {
		r := firstRune(entries[i].name)
		span := x.first[r]
		x.entries[span[1]] = entries[i]
		span[1]++
		x.first[r] = span
	}
	return x
}

// at are the entries that could stand at the beginning of a text.
func (x *index) at(text string) []entry {
	span := x.first[firstRune(text)]
	return x.entries[span[0]:span[1]]
}

func levelOf(u *Unit) level {
	switch {
	case u.Code[2:] == "0000":
		return province
	case u.Code[4:] == "00":
		return prefecture
	}
	return county
}

// stem is a province's or prefecture's name without its class: 甘肃, 白银.
func stem(name string) string {
	for _, class := range [...]string{"维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "特别行政区", "地区", "省", "市", "盟"} {
		if s, ok := strings.CutSuffix(name, class); ok && utf8.RuneCountInString(s) >= 2 {
			return s
		}
	}
	return ""
}

// autonomous is an autonomous county's, banner's or prefecture's name without
// the nationalities: 玉屏 of 玉屏侗族自治县. Where nothing is left it is "".
func autonomous(name string) string {
	s, ok := strings.CutSuffix(name, "自治"+lastRune(name))
	if !ok {
		return ""
	}
	s = strings.TrimSuffix(s, "各族")
strip:
	for {
		for _, n := range nationalities {
			if t, ok := strings.CutSuffix(s, n+"族"); ok {
				s = t
				continue strip
			}
			if t, ok := strings.CutSuffix(s, n); ok && utf8.RuneCountInString(n) > 1 {
				s = t
				continue strip
			}
		}
		break
	}
	if utf8.RuneCountInString(s) < 2 {
		return ""
	}
	return s
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func lastRune(s string) string {
	_, size := utf8.DecodeLastRuneInString(s)
	return s[len(s)-size:]
}

// nationalities that names of autonomous divisions contain.
var nationalities = [...]string{
	"蒙古", "回", "藏", "维吾尔", "苗", "彝", "壮", "布依", "朝鲜", "满", "侗", "瑶", "白", "土家", "哈尼", "哈萨克",
	"傣", "黎", "傈僳", "佤", "畲", "拉祜", "水", "东乡", "纳西", "景颇", "柯尔克孜", "土", "达斡尔", "仫佬", "羌",
	"布朗", "撒拉", "毛南", "仡佬", "锡伯", "普米", "塔吉克", "怒", "鄂温克", "保安", "裕固", "独龙", "鄂伦春",
}
