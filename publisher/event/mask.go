package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaskNumber keeps the first three and the last four characters, so that the
// birth date is hidden: 440***********1512. Of a number too short for that it
// keeps nothing. No standard fixes a pattern; this one is in common use.
func MaskNumber(number string) string {
	r := []rune(Printable(number))
	if len(r) < 12 {
		return strings.Repeat("*", len(r))
	}
	return string(r[:3]) + strings.Repeat("*", len(r)-7) + string(r[len(r)-4:])
}

// MaskName keeps the first character of a name; middle dots and spaces stay, so
// that the number of parts still shows: 张**, 阿***·*****.
func MaskName(name string) string {
	var b strings.Builder
	for i, c := range Printable(name) {
		if i == 0 || c == '·' || c == ' ' {
			b.WriteRune(c)
		} else {
			b.WriteByte('*')
		}
	}
	return b.String()
}

// Label returns the masked name by which a person stands in a list: the Chinese
// one, or the English one of a foreign card without it.
func (p Person) Label() string {
	if p.Name != "" {
		return MaskName(p.Name)
	}
	return MaskName(p.NameEn)
}

// Printable replaces what could steer a terminal: the card decides what stands
// in these texts.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		// The tables of the language lag behind the standard; planes 2 and 3 hold
		// Chinese characters only.
		if unicode.IsPrint(r) || 0x20000 <= r && r <= 0x3FFFD && r&0xFFFE != 0xFFFE {
			return r
		}
		return utf8.RuneError
	}, s)
}
