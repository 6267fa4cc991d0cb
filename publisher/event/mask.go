package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaskNumber keeps the first three and the last four characters of a document
// number: 110***********002X. A number too short for that keeps nothing. No
// standard fixes a pattern; this one is in common use.
func MaskNumber(number string) string {
	r := []rune(printable(number))
	if len(r) < 10 {
		return strings.Repeat("*", len(r))
	}
	return string(r[:3]) + strings.Repeat("*", len(r)-7) + string(r[len(r)-4:])
}

// MaskName keeps the first character of a name: 张**. Middle dots and spaces
// stay, so that the number of parts still shows: 阿***·*****.
func MaskName(name string) string {
	var b strings.Builder
	for i, c := range printable(name) {
		switch {
		case i == 0, c == '·', c == ' ':
			b.WriteRune(c)
		default:
			b.WriteByte('*')
		}
	}
	return b.String()
}

// printable replaces what could steer a terminal: a card, or whoever publishes,
// decides what stands in these texts.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
