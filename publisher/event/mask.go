package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaskNumber returns a document number with its birth date hidden: the first three
// and the last four characters stay, 440***********1512. A shorter number is masked
// whole. No standard fixes a pattern; this one is in common use.
func MaskNumber(number string) string {
	r := []rune(printable(number))
	if len(r) < 12 {
		return strings.Repeat("*", len(r))
	}
	return string(r[:3]) + strings.Repeat("*", len(r)-7) + string(r[len(r)-4:])
}

// MaskName returns a name with all but its first character hidden. Middle dots and
// spaces stay, so that the number of parts shows: 张**, 阿***·*****.
func MaskName(name string) string {
	var b strings.Builder
	for i, c := range printable(name) {
		if i == 0 || c == '·' || c == ' ' {
			b.WriteRune(c)
		} else {
			b.WriteByte('*')
		}
	}
	return b.String()
}

// Label returns the masked name that lists show a person by: the Chinese
// one, or the English one of a foreign card without it.
func (p Person) Label() string {
	if p.Name != "" {
		return MaskName(p.Name)
	}
	return MaskName(p.NameEn)
}

// printable returns s with everything replaced that could control a terminal:
// cards and messages decide the content of these texts.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		// The tables of the language lag behind the standard; planes 2 and 3 hold
		// Chinese characters only.
		if unicode.IsPrint(r) || 0x20000 <= r && r <= 0x3FFFD && r&0xFFFE != 0xFFFE {
			return r
		}
		return utf8.RuneError
	}, s)
}
