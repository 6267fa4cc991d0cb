package simcard

import (
	"encoding/binary"
	"slices"
)

// BlankAddress replaces a record of 70 bytes by one of the same shape that names
// no place.
func BlankAddress(record []byte) { put(record, shapes(unitsOf(record))) }

// BlankPhoto keeps the head that every photo has and clears the rest.
func BlankPhoto(photo []byte) { clear(photo[min(len(photo), len(wltPrefix)):]) }

func unitsOf(p []byte) []uint16 {
	u := make([]uint16, len(p)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(p[2*i:])
	}
	return u
}

// BlankText replaces a text block of 256 bytes but for its type mark and 长期.
// Numbers, dates and the like become those of the published specimens where
// their shape allows it, other text one fixed character per kind of character.
func BlankText(block []byte) {
	mark := binary.LittleEndian.Uint16(block[atMark.at:])
	before := unitsOf(block)
	put(block, shapes(before))
	for kind, m := range marks {
		if m != mark {
			continue
		}
		for _, p := range specimen(kind).layout() {
			was := before[p.at.at/2:][:p.at.units]
			model := make([]byte, 2*p.at.units)
			put(model, p.text)
			switch {
			case p.at == atTo && slices.Equal(was[:2], units("长期")):
				put(block[p.at.at:][:4], was[:2])
			case slices.Equal(numeric(shapes(was)), numeric(shapes(unitsOf(model)))):
				copy(block[p.at.at:], model)
			}
		}
	}
	binary.LittleEndian.PutUint16(block[atMark.at:], mark)
}

// specimen is the demonstration's first card of a kind, with an end date: 长期 is
// kept where it stands.
func specimen(kind string) Card {
	cards := specimens()
	c := cards[slices.IndexFunc(cards, func(c Card) bool { return c.Kind == kind })]
	c.ValidTo = years(c.ValidFrom, 20)
	return c
}

// numeric takes the check character X for the digit it stands in for.
func numeric(shape []uint16) []uint16 {
	if n := len(shape); n > 0 && shape[n-1] == 'A' {
		shape[n-1] = '0'
	}
	return shape
}

// shapes replaces every code unit by one that stands for its kind: digit, letter,
// Han, surrogate, private use. Padding and separators stay.
func shapes(text []uint16) []uint16 {
	out := make([]uint16, len(text))
	for i, u := range text {
		out[i] = shape(u)
	}
	return out
}

func shape(u uint16) uint16 {
	switch {
	case slices.Contains([]uint16{0, ' ', '-', ',', '.', 0x00B7, 0x2022, 0x30FB, 0x3000}, u):
		return u
	case u >= '0' && u <= '9':
		return '0'
	case u >= 'A' && u <= 'Z':
		return 'A'
	case u >= 'a' && u <= 'z':
		return 'a'
	case u >= 0xFF10 && u <= 0xFF19:
		return 0xFF10
	case u >= 0xD800 && u <= 0xDBFF:
		return 0xD840
	case u >= 0xDC00 && u <= 0xDFFF:
		return 0xDC00
	case u >= 0xE000 && u <= 0xF8FF:
		return 0xE5E5
	case u >= 0x3400 && u <= 0x4DBF:
		return 0x3400
	case u >= 0x4E00 && u <= 0x9FFF:
		return 0x67D0 // 某
	default:
		return '?'
	}
}
