package identity

import "idtap/reader/card"

// Decode is a field's text as Check reads it.
func Decode(t card.Text) string {
	s, _ := decodeText(t, anyRune)
	return s
}
