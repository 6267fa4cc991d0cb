package identity

import (
	"golang.org/x/text/language"

	"idtap/reader/card"
)

// nationality reads the card's field and compares it with the one in the
// number, which is that of the first issue and may be another.
func (c *checker) nationality(doc card.Document, n Number) {
	var buf [3]byte
	t := doc.Nationality.Trim()
	ok := len(t) == 3
	for i := 0; ok && i < 3; i++ {
		ok = 'A' <= t[i] && t[i] <= 'Z'
		buf[i] = byte(t[i])
	}
	if !ok {
		c.add(CodeNationalityUnknown, fieldNationality, "")
		return
	}
	c.Nationality = string(buf[:])
	if n.Nationality != "" && !sameNation(c.Nationality, n.Nationality) {
		c.add(CodePRNationalityMismatch, fieldNationality, "")
	}
}

// sameNation compares alpha-3 letters with what a number has: the same letters
// (2017) or the numeric code of ISO 3166 (2023). Letters that ISO does not know
// agree with anything.
func sameNation(alpha3, inNumber string) bool {
	if !allDigits(inNumber) {
		return alpha3 == inNumber
	}
	region, err := language.ParseRegion(alpha3)
	if err != nil || region.M49() == 0 {
		return true
	}
	return region.M49() == digits(inNumber)
}

// oldNumber rebuilds the 15-character number that a 2023 card replaced:
// nationality, the new number's province, two link characters, the birth date
// as YYMMDD, the third link character, and the 7-3-1 check [THPR]. It is ""
// where the link is blank, and where the holder's nationality has changed since,
// because the letters of the first issue are then unknown.
func oldNumber(doc card.Document, n Number, nationality string) string {
	link := doc.OldLink.Trim()
	if n.Kind != PR2023Number || len(link) != 3 || nationality == "" || !sameNation(nationality, n.Nationality) {
		return ""
	}
	var b [15]byte
	copy(b[:], nationality)
	copy(b[3:], n.Normalized[1:3])
	copy(b[7:], n.Normalized[8:14])
	for i, at := range [...]int{5, 6, 13} {
		if link[i] < '0' || link[i] > '9' {
			return ""
		}
		b[at] = byte(link[i])
	}
	b[14] = Check731(string(b[:14]))
	return string(b[:])
}
