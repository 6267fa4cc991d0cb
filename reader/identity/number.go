package identity

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"idtap/reader/identity/division"
)

// NumberKind says by which rule a document number was made.
type NumberKind string

const (
	Citizen       NumberKind = "citizen"         // GB 11643-1999
	Legacy15      NumberKind = "legacy15"        // GB 11643-1989: typed or imported, never on a chip
	HMTNumber     NumberKind = "hmt_permit"      // 810000, 820000, 830000
	PR2017Number  NumberKind = "foreign_pr_2017" // three letters, twelve digits
	PR2023Number  NumberKind = "foreign_pr_2023" // 9, province, nationality, then as citizen
	UnknownNumber NumberKind = "unknown"
)

// Number is the verdict on a document number by itself. It is personal data
// and prints masked.
type Number struct {
	Kind        NumberKind
	Normalized  string // 18 characters, 15 for 2017 cards; the upgraded form of Legacy15; "" if there is no structure
	Birth       Date   // zero if impossible or absent
	Sex         string // GB/T 2261.1 by parity: 1 or 2, "" unknown
	Division    string // six digits as the number has them; province or prefecture on foreign cards
	Nationality string // three digits (2023) or letters (2017), at first issue
	Dummy       bool   // a place holder of some system, nobody's number
	Findings    []Finding
}

// Valid reports whether the number can be somebody's: no finding is an error
// and it is no place holder.
func (n Number) Valid() bool {
	for _, f := range n.Findings {
		if f.Severity == Error {
			return false
		}
	}
	return !n.Dummy
}

// numberInputLimit bounds what is normalised: the longest number is 18
// characters of at most 4 bytes, with room for padding.
const numberInputLimit = 128

// CheckNumber judges a number typed or imported, on the calendar day today. A
// zero today leaves out what depends on it.
func CheckNumber(s string, today Date) Number {
	n := Number{Kind: UnknownNumber}
	if len(s) > numberInputLimit {
		n.add(CodeNumberLength, fieldNumber, "longer than any number")
		return n
	}
	text, changed := normalizeNumber(s)
	n.parse(text, changed, today)
	return n
}

// normalizeNumber trims padding and folds what people and systems write for
// the digits and the X (x, full-width forms, the Roman numeral ten): NFKC and
// upper case, on numbers only. Invisible marks go, which copying from a web page
// or a chat brings along: direction marks, zero-width spaces and joiners, soft
// hyphens. changed says whether more than padding went.
func normalizeNumber(s string) (text string, changed bool) {
	trimmed := strings.Trim(s, numberPadding)
	ascii := true
	for i := 0; i < len(trimmed); i++ {
		c := trimmed[i]
		if c >= utf8.RuneSelf {
			ascii = false
			break
		}
		changed = changed || 'a' <= c && c <= 'z'
	}
	if ascii && !changed {
		return trimmed, false
	}
	folded := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToUpper(norm.NFKC.String(trimmed)))
	return strings.Trim(folded, numberPadding), folded != trimmed
}

// numberPadding may stand around a number and means nothing.
const numberPadding = " \x00\t\r\n\u3000\u00a0\ufeff"

// parse judges a normalised number.
func (n *Number) parse(s string, changed bool, today Date) {
	switch length := utf8.RuneCountInString(s); {
	case length == 18 && len(s) == 18 && allDigits(s[:17]) && (isDigit(s[17]) || s[17] == 'X'):
		n.Normalized = s
		n.parse18(today)
	case length == 15 && allDigits(s):
		n.parse15(s, today)
	case length == 15 && len(s) == 15 && allLetters(s[:3]) && allDigits(s[3:]):
		n.Normalized = s
		n.parse2017(today)
	case length == 15 || length == 18:
		n.add(CodeNumberCharset, fieldNumber, "")
	default:
		n.add(CodeNumberLength, fieldNumber, lengthDetail(length))
	}
	if changed && n.Normalized != "" {
		n.add(CodeNumberNormalised, fieldNumber, "")
	}
}

// parse18 dispatches on the prefix; on a chip the type mark decides and a
// disagreement is a finding.
func (n *Number) parse18(today Date) {
	s := n.Normalized
	n.dummy(s)
	switch {
	case s[0] == '9':
		n.Kind = PR2023Number
		n.Division = s[1:3] + "0000"
		n.Nationality = s[3:6]
		if !division.MainlandProvince(s[1:3]) {
			n.add(CodeNumberPrefixUnknown, fieldNumber, "positions 2-3")
		}
	case strings.HasPrefix(s, "810000"), strings.HasPrefix(s, "820000"), strings.HasPrefix(s, "830000"):
		n.Kind = HMTNumber
		n.Division = s[:6]
	case division.MainlandProvince(s[:2]):
		n.Kind = Citizen
		n.Division = s[:6]
		n.checkDivision()
	case !n.Dummy:
		n.add(CodeNumberPrefixUnknown, fieldNumber, "positions 1-6")
	}
	n.birthAt(s[6:14], today)
	n.Sex = sexByParity(s[16])
	if CheckCharacter(s[:17]) != s[17] {
		n.add(CodeNumberCheck, fieldNumber, "position 18")
	}
}

// parse15 upgrades a number of the first generation: the century goes in after
// position 6, the check character to the end. The century is 19, or 18 for the
// sequences 996 to 999, which GB 11643-1989 kept for people over one hundred.
func (n *Number) parse15(s string, today Date) {
	n.Kind = Legacy15
	n.add(CodeLegacy15, fieldNumber, "")
	n.dummy(s)
	n.Division = s[:6]
	switch {
	case division.MainlandProvince(s[:2]):
		n.checkDivision()
	case !n.Dummy:
		n.add(CodeNumberPrefixUnknown, fieldNumber, "positions 1-6")
	}
	century := "19"
	if s[12:] >= "996" {
		century = "18"
		n.add(CodeNumberCentury, fieldNumber, "positions 13-15")
	}
	body := s[:6] + century + s[6:]
	n.birthAt(body[6:14], today)
	n.Sex = sexByParity(s[14])
	if !n.Birth.IsZero() {
		n.Normalized = body + string(CheckCharacter(body))
	}
}

// parse2017 reads the structure of the 2017 permanent resident card. The 7-3-1
// check is known from one source only and so is information, never a refusal.
func (n *Number) parse2017(today Date) {
	s := n.Normalized
	n.Kind = PR2017Number
	n.Nationality = s[:3]
	n.Division = s[3:7] + "00"
	if !division.MainlandProvince(s[3:5]) {
		n.add(CodeNumberPrefixUnknown, fieldNumber, "positions 4-7")
	}
	// The century is not in the number: the edition ended in 2023, and who was
	// born before 1924 would have been past 93 at its first issue.
	century := "19"
	if s[7:9] <= "23" {
		century = "20"
	}
	n.birthAt(century+s[7:13], today)
	n.Sex = sexByParity(s[13])
	if Check731(s[:14]) != s[14] {
		n.add(CodeNumberCheck731, fieldNumber, "position 15")
	}
}

func (n *Number) birthAt(digits string, today Date) {
	d, ok := parseDate(digits)
	if !ok {
		n.add(CodeBirthInvalid, fieldNumber, "")
		return
	}
	n.Birth = d
	if today.IsZero() {
		return
	}
	if today.Before(d) {
		n.add(CodeBirthFuture, fieldNumber, "")
	} else if d.AgeOn(today) > oldestAge {
		n.add(CodeAgeOver120, fieldBirth, "")
	}
}

// oldestAge is where an age becomes remarkable. The standard's own example was
// born in 1880.
const oldestAge = 120

func (n *Number) checkDivision() {
	switch u, known := division.Lookup(n.Division); {
	case n.Dummy:
	case !known && !division.Summary(n.Division):
		n.add(CodeDivisionUnknown, fieldNumber, "positions 1-6")
	case known && !u.Current:
		n.add(CodeDivisionHistoric, fieldNumber, "positions 1-6")
	}
}

// dummy spots place holders of older systems: one digit repeated, or zeros for
// the division.
func (n *Number) dummy(s string) {
	if strings.HasPrefix(s, "000000") || strings.Count(s, s[:1]) == len(s) {
		n.Dummy = true
		n.add(CodeDummyNumber, fieldNumber, "")
	}
}

func (n *Number) add(code, field, detail string) {
	n.Findings = append(n.Findings, finding(code, field, detail))
}

// weights are 2^(18-i) mod 11 for positions 1 to 17 (GB 11643-1999, 4.3).
var weights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

// CheckCharacter is the ISO 7064 MOD 11-2 check character of 17 digits.
func CheckCharacter(digits string) byte {
	sum := 0
	for i, w := range weights {
		sum += int(digits[i]-'0') * w
	}
	return "10X98765432"[sum%11]
}

// Check731 is the check digit of the travel-document scheme: weights 7, 3, 1,
// letters A=10 to Z=35.
func Check731(s string) byte {
	sum := 0
	for i := 0; i < len(s); i++ {
		v := int(s[i] - '0')
		if s[i] >= 'A' {
			v = int(s[i]-'A') + 10
		}
		sum += v * [3]int{7, 3, 1}[i%3]
	}
	return byte('0' + sum%10)
}

func sexByParity(c byte) string {
	if (c-'0')%2 == 1 {
		return "1"
	}
	return "2"
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func allLetters(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return s != ""
}

// Format implements fmt.Formatter so that no verb prints a number.
func (n Number) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "identity.Number(%s, %d findings, masked)", n.Kind, len(n.Findings))
}

// MarshalJSON keeps a number out of structured logs.
func (Number) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }
