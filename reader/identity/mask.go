package identity

import (
	"strings"
	"unicode/utf8"

	"idtap/reader/identity/division"
)

// MaskNumber keeps the first three and the last four characters, of short
// strings nothing: 440***********1512.
func MaskNumber(number string) string {
	n := utf8.RuneCountInString(number)
	if n < 12 {
		return strings.Repeat("*", n)
	}
	r := []rune(number)
	return string(r[:3]) + strings.Repeat("*", n-7) + string(r[n-4:])
}

// MaskName keeps the first character of a name; the rest becomes one * each.
func MaskName(name string) string {
	_, size := utf8.DecodeRuneInString(name)
	return name[:size] + strings.Repeat("*", utf8.RuneCountInString(name[size:]))
}

// MaskAddress keeps an address to the county level, as far as that is known.
func MaskAddress(address string) string {
	r := division.Resolve(address)
	if address == "" || len(r.Path) == 0 {
		return strings.Repeat("*", min(3, len(address)))
	}
	return strings.Join(r.Path, "") + "***"
}
