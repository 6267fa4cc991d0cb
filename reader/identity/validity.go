package identity

import "idtap/reader/card"

// firstIssue is the day from which a kind of card has been issued.
var firstIssue = map[card.Kind]Date{
	card.Resident:      {2004, 1, 1},
	card.HMTPermit:     {2018, 9, 1},
	card.ForeignPR2017: {2017, 6, 16},
	card.ForeignPR2023: {2023, 12, 1},
}

// applicationMonths is how long before the issue the application may lie: the
// age then decides the term.
const applicationMonths = 6

// validity reads the two dates and judges them.
func (c *checker) validity(doc card.Document) {
	from, fromState := readDate(doc.ValidFrom)
	to, toState := readDate(doc.ValidTo)
	if isLongTerm(doc.ValidTo) {
		c.LongTerm = true
		toState = dateOK
	}
	c.dateFinding(fromState, fieldValidFrom)
	c.dateFinding(toState, fieldValidTo)
	c.ValidFrom, c.ValidTo = from, to

	readable := fromState <= dateBlank && toState <= dateBlank
	if !from.IsZero() && !to.IsZero() && to.Before(from) {
		c.add(CodeValidityReversed, fieldValidTo, "")
		readable = false
	}
	if first := firstIssue[c.Kind]; !from.IsZero() && from.Before(first) {
		c.add(CodeValidFromTooEarly, fieldValidFrom, "")
	}
	if readable && !from.IsZero() && toState == dateOK && !c.usualTerm() {
		c.add(CodeValidityTermUnusual, fieldValidTo, "")
	}
	c.Validity = c.validityOn(readable && toState == dateOK)
}

// validityOn compares the dates with today; both end days count as valid.
func (c *checker) validityOn(readable bool) Validity {
	switch {
	case !readable || !c.clockPlausible:
		return UnknownValidity
	case !c.ValidFrom.IsZero() && c.today.Before(c.ValidFrom):
		c.add(CodeValidFromFuture, fieldValidFrom, "")
		return NotYetValid
	case !c.LongTerm && c.ValidTo.Before(c.today):
		c.add(CodeCardExpired, fieldValidTo, "")
		return Expired
	}
	return Valid
}

// usualTerm checks the term against the holder's age at application, which is
// some day in the six months before the issue. Residents: law on resident ID
// cards art. 5 and GA/T 2000.16; permits: five years; foreign cards: five under
// 18, else ten.
func (c *checker) usualTerm() bool {
	if c.Kind == card.HMTPermit {
		return c.isTerm(5)
	}
	if c.Birth.IsZero() {
		return c.isTerm(longTerm) || c.isTerm(5) || c.isTerm(10) || c.isTerm(20)
	}
	term := residentTerm
	if c.Kind != card.Resident {
		term = foreignTerm
	}
	return c.isTerm(term(c.Birth.AgeOn(c.ValidFrom))) ||
		c.isTerm(term(c.Birth.AgeOn(c.ValidFrom.add(0, -applicationMonths))))
}

const longTerm = 0

func residentTerm(age int) int {
	switch {
	case age < 16:
		return 5
	case age < 26:
		return 10
	case age < 46:
		return 20
	}
	return longTerm
}

func foreignTerm(age int) int {
	if age < 18 {
		return 5
	}
	return 10
}

// isTerm reports whether the card runs for so many years: it ends on the same
// day and month as it begins, 29 February on 1 March where there is none.
func (c *checker) isTerm(years int) bool {
	if years == longTerm || c.LongTerm {
		return years == longTerm && c.LongTerm
	}
	return c.ValidTo == c.ValidFrom.add(years, 0)
}

func isLongTerm(t card.Text) bool {
	t = t.Trim()
	return len(t) == 2 && t[0] == '长' && t[1] == '期'
}

// dateState says what became of a date field.
type dateState int

const (
	dateOK    dateState = iota
	dateBlank           // nothing but padding
	dateBad             // something else than eight digits
	dateNoDay           // eight digits that are no day of the calendar
)

func readDate(t card.Text) (Date, dateState) {
	t = t.Trim()
	if len(t) == 0 {
		return Date{}, dateBlank
	}
	if len(t) != 8 {
		return Date{}, dateBad
	}
	var buf [8]byte
	for i, u := range t {
		if u < '0' || u > '9' {
			return Date{}, dateBad
		}
		buf[i] = byte(u)
	}
	d, ok := parseDate(string(buf[:]))
	if !ok {
		return Date{}, dateNoDay
	}
	return d, dateOK
}

func (c *checker) dateFinding(s dateState, field string) {
	switch s {
	case dateBlank:
		c.add(CodeValidityMissing, field, "")
	case dateBad, dateNoDay:
		c.add(CodeDateUnparsable, field, "")
	}
}
