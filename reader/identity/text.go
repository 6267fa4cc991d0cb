package identity

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"idtap/reader/card"
)

// traits are what was noticed while a field was decoded.
type traits uint16

const (
	hasSurrogate   traits = 1 << iota // half of a surrogate pair alone
	hasUndecodable                    // non-characters and controls: no text carries them
	hasMapped                         // private-use code points with a known meaning
	hasPrivate                        // private-use code points without
	hasDot                            // a middle dot other than U+00B7
	hasInnerSpace
	hasUnusual // characters that the field does not normally hold
)

// textLimit is the longest field, the English name of 60 units, in UTF-8 bytes.
const textLimit = 60 * 4

// decodeText turns a field into text: padding trimmed at both ends, surrogate
// pairs joined, known private-use code points mapped, what cannot be text
// replaced by U+FFFD. Nothing is composed, folded or converted. usual tells the
// characters expected in the field.
func decodeText(t card.Text, usual func(rune) bool) (string, traits) {
	var seen traits
	var buf [textLimit]byte
	out := buf[:0]
	t = t.Trim()
	for i := 0; i < len(t); i++ {
		r := rune(t[i])
		switch {
		case utf16.IsSurrogate(r):
			pair := unicode.ReplacementChar
			if i+1 < len(t) {
				pair = utf16.DecodeRune(r, rune(t[i+1]))
			}
			if pair == unicode.ReplacementChar {
				seen |= hasSurrogate
				out = utf8.AppendRune(out, unicode.ReplacementChar)
				continue
			}
			i++
			r = pair
		case r == ' ' || r == 0x3000:
			seen |= hasInnerSpace
		}
		if 0x4E00 <= r && r <= 0x9FFF { // nearly all of it
			out = utf8.AppendRune(out, r)
			continue
		}
		if mapped, known := mapPrivateUse(r); known {
			seen |= hasMapped
			r = mapped // and judged like any other: some are punctuation
		}
		switch {
		case isPrivateUse(r):
			seen |= hasPrivate
		case isUndecodable(r):
			seen |= hasUndecodable
			r = unicode.ReplacementChar
		case !usual(r):
			seen |= hasUnusual
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), seen
}

// isUndecodable reports non-characters and controls. Go's UTF-16 decoders let
// them through.
func isUndecodable(r rune) bool {
	return r < 0x20 || 0x7F <= r && r < 0xA0 || r&0xFFFE == 0xFFFE || 0xFDD0 <= r && r <= 0xFDEF
}

// isHan reports a Chinese character. The blocks are Unicode 17.0's (September
// 2025); the language's own tables are older, and police data adds characters
// before either. Planes 2 and 3 are kept for ideographs whole (the Unicode
// Standard, section 2.8), so a block to come counts already.
func isHan(r rune) bool {
	switch {
	case 0x4E00 <= r && r <= 0x9FFF, 0x3400 <= r && r <= 0x4DBF, // unified, extension A
		r == 0x3005, r == 0x3007, 0x3021 <= r && r <= 0x3029, 0x3038 <= r && r <= 0x303B, // 々, 〇, numerals
		0x2E80 <= r && r <= 0x2FD5, 0xF900 <= r && r <= 0xFAD9, // radicals, compatibility
		0x20000 <= r && r <= 0x2FFFD, 0x30000 <= r && r <= 0x3FFFD: // extensions B to J and later
		return true
	}
	return false
}

// usualInName: Han, the dot of many minorities' names, and Latin for the
// naturalised.
func usualInName(r rune) bool {
	return isHan(r) || isNameDot(r) || r == '·' || r == ' ' || r == 0x3000 || r == '-' || r == '\'' ||
		r < 0x250 && unicode.IsLetter(r) || 0xFF21 <= r && r <= 0xFF5A
}

// usualInEnglish is for the English names of foreign cards.
func usualInEnglish(r rune) bool { return ' ' <= r && r < 0x7F || r < 0x250 && unicode.IsLetter(r) }

// usualInText is for addresses and authorities: Han, ASCII, full-width forms,
// CJK and general punctuation, numerals and letters in circles.
func usualInText(r rune) bool {
	switch {
	case r < 0x7F, isHan(r), r == '·', r == '×':
		return true
	}
	return 0x2010 <= r && r <= 0x2027 || 0x2100 <= r && r <= 0x22FF || 0x2460 <= r && r <= 0x24FF ||
		0x3000 <= r && r <= 0x303F || 0xFF01 <= r && r <= 0xFF5E || r == 0x30FB || r == 0xFF65
}

// isNameDot reports the characters typed for the middle dot of a name.
func isNameDot(r rune) bool {
	switch r {
	case 0x2022, 0x30FB, 0xFF65, 0x2027, 0x2219, 0x22C5, 0x0387, 0xFF0E, 0x002E, 0x3002, 0x2024, 0x25CF:
		return true
	}
	return false
}

// unifyDots makes a dot between two Han characters U+00B7, the separator that the
// rule of 2016 (no. 33) prescribes. Other dots (several in a row, at an end, or
// beside anything but Han) are stray and stay as they are, but for the full stop
// of an initial.
func unifyDots(s string) (name string, unified, stray bool) {
	if strings.IndexFunc(s, isAnyDot) < 0 {
		return s, false, false
	}
	runes := []rune(s)
	out := make([]rune, 0, len(runes))
	for i := 0; i < len(runes); {
		if !isAnyDot(runes[i]) {
			out = append(out, runes[i])
			i++
			continue
		}
		end := i
		for end < len(runes) && isAnyDot(runes[end]) {
			end++
		}
		switch {
		case end-i == 1 && i > 0 && end < len(runes) && isNameHan(runes[i-1]) && isNameHan(runes[end]):
			unified = unified || runes[i] != '·'
			out = append(out, '·')
		case end-i == 1 && runes[i] == '.' && i > 0 && runes[i-1] < 0x250 && unicode.IsLetter(runes[i-1]):
			out = append(out, '.')
		default:
			stray = true
			out = append(out, runes[i:end]...)
		}
		i = end
	}
	return string(out), unified, stray
}

func isAnyDot(r rune) bool { return r == '·' || isNameDot(r) }

// isNoName reports a name in which no character names anybody: dots, dashes,
// spaces and the like alone.
func isNoName(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return isNameHan(r) || unicode.IsLetter(r) || r == unicode.ReplacementChar
	}) < 0
}

// isNameHan counts an unmapped private-use code point as the Han character that
// it certainly is in a name.
func isNameHan(r rune) bool { return isHan(r) || isPrivateUse(r) }

// collapseSpaces makes one space of several: an English name's two parts are
// padded before they are joined.
func collapseSpaces(s string) string {
	if !strings.Contains(s, "  ") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// rawUnits prints code units in hex, padding trimmed.
func rawUnits(t card.Text) string {
	t = t.Trim()
	b := make([]byte, 0, 2*len(t))
	for _, u := range t {
		b = append(b, byte(u>>8), byte(u))
	}
	return strings.ToUpper(hex.EncodeToString(b))
}

// MatchKey is a name reduced for searching: NFKC, upper case, without dots and
// spaces. It is never published as the name: NFKC rewrites characters that are
// in people's names.
func MatchKey(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '·' || isNameDot(r) || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, norm.NFKC.String(name))
}
