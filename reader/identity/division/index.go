package division

import (
	"slices"
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

// index holds entries by name, with the range of each first character.
type index struct {
	entries []entry
	first   map[rune][2]int32
}

// secondGeneration is the year from which addresses stand on chips: names that
// were retired before it yield to current ones.
const secondGeneration = 2003

func (t *table) buildIndex(others []string) index {
	// Names of current units, by province: an old name that another unit bears
	// today is no name to find its old bearer by.
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
		e := entry{unit: int32(i), level: levelOf(u), stale: !u.Current && u.Last < secondGeneration}
		// The undated list gives some codes another unit's name: a county from it
		// is found only if its name leads to a current one.
		if u.Zone || heading(u.Name) || e.level == county && u.Uncertain && u.Successor == "" {
			continue
		}
		add := func(name string, short bool) {
			if name != "" {
				e.name, e.short = name, short
				entries = append(entries, e)
			}
		}
		names := func(name string) {
			add(name, false)
			if e.level == province || e.level == prefecture {
				add(stem(name), true)
			}
			if s := autonomous(name); s != "" {
				add(s+lastRune(name), false)
				if e.level == prefecture {
					add(s, true)
				}
			}
		}
		names(u.Name)
		for rest := others[i]; rest != ""; {
			var other string
			other, rest, _ = strings.Cut(rest, "|")
			name, _, _ := strings.Cut(other, " ")
			if !heading(name) && !borne[key{u.Code[:2], name}] {
				names(name)
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	entries = slices.Clip(entries)
	x := index{entries: entries, first: make(map[rune][2]int32, 1024)}
	for i := range entries {
		r, _ := utf8.DecodeRuneInString(entries[i].name)
		span, ok := x.first[r]
		if !ok {
			span[0] = int32(i)
		}
		span[1] = int32(i + 1)
		x.first[r] = span
	}
	return x
}

// at are the entries that could stand at the beginning of a text.
func (x *index) at(text string) []entry {
	r, _ := utf8.DecodeRuneInString(text)
	span := x.first[r]
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
