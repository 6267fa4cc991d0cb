package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"idtap/reader/card"
	"idtap/reader/identity/division"
)

// Fields that findings name: paths in the event's data.
const (
	fieldKind        = "document.kind"
	fieldNumber      = "document.number"
	fieldAuthority   = "document.issuing_authority"
	fieldValidFrom   = "document.valid_from"
	fieldValidTo     = "document.valid_to"
	fieldPassNumber  = "document.pass_number"
	fieldIssueCount  = "document.issue_count"
	fieldRenewals    = "document.renewals"
	fieldName        = "person.name"
	fieldNameEn      = "person.name_en"
	fieldNationality = "person.nationality"
	fieldSex         = "person.sex"
	fieldEthnic      = "person.ethnic"
	fieldBirth       = "person.birth_date"
	fieldHukou       = "hukou.address"
	fieldPrinted     = "hukou.printed_address"
	fieldAppended    = "hukou.appended_addresses"
	fieldCardAddress = "residence.card_address"
	fieldClock       = "timing.clock"
)

// checker fills a Checked.
type checker struct {
	Checked
	today          Date
	clockPlausible bool
	decided        *division.Resolution // of the household address, where a clerk decided it
}

func newChecker(kind card.Kind, o Options) *checker {
	c := &checker{Checked: Checked{Kind: kind, Age: -1, Validity: UnknownValidity, Confidence: None, Relation: UnknownRelation, Findings: []Finding{}}}
	c.today = DateOf(o.Now)
	c.clockPlausible = !o.Now.IsZero() && !o.Now.Before(o.ClockFloor)
	return c
}

// Check normalises and validates a document. It never fails and never panics:
// whatever the chip carries becomes fields plus findings.
func Check(doc card.Document, o Options) Checked {
	c := newChecker(doc.Kind, o)
	if doc.Blank() {
		c.add(CodeCardBlank, "", "")
		return c.Checked
	}
	return c.check(doc, o)
}

func (c *checker) check(doc card.Document, o Options) Checked {
	if doc.Kind == card.Unknown {
		c.add(CodeKindUnknown, fieldKind, fmt.Sprintf("mark U+%04X", doc.Mark))
		return c.Checked
	}
	if !c.clockPlausible {
		c.add(CodeClockUntrusted, fieldClock, "")
	}
	number := c.number(doc)
	c.birth(doc, number)
	c.sex(doc, number)
	c.names(doc)
	c.validity(doc)
	c.age(number)
	switch doc.Kind {
	case card.Resident:
		c.ethnic(doc)
		c.Authority = c.text(doc.Authority, fieldAuthority)
		c.hukou(doc)
	case card.HMTPermit:
		c.Authority = c.text(doc.Authority, fieldAuthority)
		c.CardAddress = c.address(doc.Address, fieldCardAddress)
		c.PassNumber = c.text(doc.PassNumber, fieldPassNumber)
		c.passForm()
		c.IssueCount = c.text(doc.IssueCount, fieldIssueCount)
	default:
		c.nationality(doc, number)
		c.Renewals = c.text(doc.Renewals, fieldRenewals)
		c.OldNumber = oldNumber(doc, number, c.Nationality)
	}
	c.Relation = c.relateAny(o.DeskDivision)
	c.missing()
	c.groups(o.Groups)
	return c.Checked
}

// missing flags the fields that every card of the kind has and this one leaves
// blank. Fields whose absence has a finding of its own (name, number, birth date,
// sex, ethnic group, nationality, dates) are not among them.
func (c *checker) missing() {
	must := map[string]string{}
	switch c.Kind {
	case card.Resident:
		must = map[string]string{fieldPrinted: c.PrintedAddress, fieldAuthority: c.Authority}
	case card.HMTPermit:
		must = map[string]string{fieldCardAddress: c.CardAddress, fieldAuthority: c.Authority,
			fieldPassNumber: c.PassNumber, fieldIssueCount: c.IssueCount}
	case card.ForeignPR2017:
		must = map[string]string{fieldNameEn: c.NameEn}
	case card.ForeignPR2023:
		must = map[string]string{fieldNameEn: c.NameEn, fieldRenewals: c.Renewals}
	}
	if isNoName(c.Name) {
		delete(must, fieldNameEn) // name_empty tells
	}
	for _, field := range slices.Sorted(maps.Keys(must)) {
		if must[field] == "" {
			c.add(CodeFieldMissing, field, "")
		}
	}
}

// passForm checks the travel permit's number: H and 8 digits for Hong Kong, M
// for Macao, 8 digits for Taiwan, by the prefix of the permit's own number.
func (c *checker) passForm() {
	p := c.PassNumber
	if p == "" {
		return
	}
	letter, digits := "", p
	if p[0] < '0' || p[0] > '9' {
		letter, digits = p[:1], p[1:]
	}
	ok := len(digits) == 8 && allDigits(digits)
	switch {
	case strings.HasPrefix(c.Number, "81"):
		ok = ok && letter == "H"
	case strings.HasPrefix(c.Number, "82"):
		ok = ok && letter == "M"
	case strings.HasPrefix(c.Number, "83"):
		ok = ok && letter == ""
	default:
		ok = ok && (letter == "" || letter == "H" || letter == "M")
	}
	if !ok {
		c.add(CodePassNumberForm, fieldPassNumber, "")
	}
}

// Suspect reports whether any finding is one that damage on the line could
// cause, so that the card is worth reading a second time.
func (c Checked) Suspect() bool {
	for _, f := range c.Findings {
		if e, ok := LookupFinding(f.Code); ok && e.Damage {
			return true
		}
	}
	return false
}

func (c *checker) add(code, field, detail string) {
	c.Findings = append(c.Findings, finding(code, field, detail))
}

// number checks the document's number against its own rule and the type mark.
func (c *checker) number(doc card.Document) Number {
	text, _ := decodeText(doc.Number, anyRune)
	text, changed := normalizeNumber(text)
	n := Number{Kind: UnknownNumber, Findings: c.Findings}
	if len(doc.Number) == 18 && utf8.RuneCountInString(text) != 18 {
		// Fifteen digits are the first generation's, which has no chip.
		n.add(CodeNumberLength, fieldNumber, lengthDetail(utf8.RuneCountInString(text)))
	} else {
		n.parse(text, changed, Date{}) // what depends on today is age's
	}
	c.Findings = n.Findings
	c.Number = n.Normalized
	if n.Kind != UnknownNumber && n.Kind != numberKinds[c.Kind] {
		c.add(CodeDocTypeMismatch, fieldNumber, "number reads as "+string(n.Kind))
	}
	return n
}

// numberKinds are the rules by which each kind of card is numbered.
var numberKinds = map[card.Kind]NumberKind{
	card.Resident:      Citizen,
	card.HMTPermit:     HMTNumber,
	card.ForeignPR2017: PR2017Number,
	card.ForeignPR2023: PR2023Number,
}

// birth reads the birth date field and compares it with the number.
func (c *checker) birth(doc card.Document, n Number) {
	birth, state := readDate(doc.Birth)
	switch state {
	case dateBlank, dateBad:
		c.add(CodeDateUnparsable, fieldBirth, "")
		return
	case dateNoDay:
		c.add(CodeBirthInvalid, fieldBirth, "")
		return
	}
	c.Birth = birth
	differs := birth != n.Birth
	if n.Kind == PR2017Number {
		differs = birth.Year%100 != n.Birth.Year%100 || birth.Month != n.Birth.Month || birth.Day != n.Birth.Day
	}
	if !n.Birth.IsZero() && differs {
		c.add(CodeBirthNumberMismatch, fieldBirth, "")
	}
}

// age derives what depends on the day of reading.
func (c *checker) age(n Number) {
	if c.past(c.Birth, fieldBirth) {
		c.Age = c.Birth.AgeOn(c.today)
		c.Under14 = c.Age < 14
		if c.Age > oldestAge {
			c.add(CodeAgeOver120, fieldBirth, "")
		}
	}
	if n.Kind != PR2017Number && n.Birth != c.Birth {
		c.past(n.Birth, fieldNumber)
	}
}

// past reports whether a birth date certainly is. One in the future is an error
// only while the clock is plausible; one after the card's own start date is
// impossible whatever the clock says.
func (c *checker) past(birth Date, field string) bool {
	from := c.ValidFrom
	switch {
	case birth.IsZero():
	case !from.IsZero() && from.Before(birth):
		c.add(CodeBirthFuture, field, "after the card's start date")
	case !c.clockPlausible:
	case !c.today.Before(birth):
		return true
	case !from.IsZero() && c.today.Before(from):
		c.add(CodeClockUntrusted, fieldClock, "")
		c.clockPlausible = false
	default:
		c.add(CodeBirthFuture, field, "")
	}
	return false
}

func (c *checker) sex(doc card.Document, n Number) {
	code, ok := sexOf(doc.Sex)
	c.Sex = code
	switch {
	case !ok:
		c.add(CodeSexUnknown, fieldSex, "")
	case n.Sex != "" && n.Sex != code.Code:
		c.add(CodeSexNumberMismatch, fieldSex, "")
		if n.Kind == PR2017Number {
			// Sources disagree whether position 14 tells the sex or is a plain sequence
			// [THPR, AFZ]: until one settles it, nobody compares a card for it.
			c.Findings[len(c.Findings)-1].Severity = Info
		}
	}
}

func (c *checker) ethnic(doc card.Document) {
	code, known, remapped := ethnicOf(doc.Ethnic)
	c.Ethnic = code
	switch {
	case !known:
		c.add(CodeEthnicUnknown, fieldEthnic, "")
	case remapped:
		c.add(CodeEthnicRemapped, fieldEthnic, code.Raw)
	}
}

// names reads the Chinese name and, on foreign cards, the English one.
func (c *checker) names(doc card.Document) {
	name, seen := decodeText(doc.Name, usualInName)
	name, dots, stray := unifyDots(name)
	if dots {
		seen |= hasDot
	}
	if stray {
		seen |= hasUnusual
	}
	c.Name = name
	c.textFindings(seen, fieldName)
	if seen != 0 {
		c.NameRaw = rawUnits(doc.Name)
	}
	if len(doc.Name.Trim()) == len(doc.Name) {
		c.add(CodeNameTruncated, fieldName, "")
	}
	if doc.NameEn != nil {
		en, seen := decodeText(doc.NameEn, usualInEnglish)
		c.NameEn = collapseSpaces(en)
		c.textFindings(seen&^(hasInnerSpace|hasDot), fieldNameEn)
		if len(doc.NameEn.Trim()) == len(doc.NameEn) {
			c.add(CodeNameTruncated, fieldNameEn, "")
		}
	}
	if isNoName(c.Name) && isNoName(c.NameEn) {
		c.add(CodeNameEmpty, fieldName, "")
	}
}

// text reads any other text field.
func (c *checker) text(t card.Text, field string) string {
	s, seen := decodeText(t, usualInText)
	c.textFindings(seen&^hasInnerSpace, field)
	return s
}

func (c *checker) address(t card.Text, field string) string {
	s := c.text(t, field)
	if len(t) > 0 && len(t.Trim()) == len(t) {
		c.add(CodeAddressTruncated, field, "")
	}
	return s
}

func (c *checker) textFindings(seen traits, field string) {
	if seen == 0 {
		return
	}
	private := CodeTextPrivateUse
	if field == fieldName || field == fieldNameEn {
		private = CodeNamePrivateUse
	}
	for _, t := range [...]struct {
		trait traits
		code  string
	}{
		{hasUndecodable, CodeTextUndecodable},
		{hasSurrogate, CodeUnpairedSurrogate},
		{hasPrivate, private},
		{hasMapped, CodePrivateUseMapped},
		{hasUnusual, CodeCharacterUnusual},
		{hasInnerSpace, CodeNameInnerSpace},
		{hasDot, CodeDotUnified},
	} {
		if seen&t.trait != 0 {
			c.add(t.code, field, "")
		}
	}
}

// groups puts the holder into the configured bands of age and sex.
func (c *checker) groups(bands []Group) {
	if c.Age < 0 {
		return
	}
	for _, g := range bands {
		if c.Age >= g.MinAge && (!g.HasMax || c.Age <= g.MaxAge) && (g.Sex == "" || g.Sex == sexNames[c.Sex.Code]) {
			c.Groups = append(c.Groups, g.Name)
		}
	}
}

var sexNames = map[string]string{"1": "male", "2": "female"}

func anyRune(rune) bool { return true }

func lengthDetail(n int) string { return fmt.Sprintf("%d characters", n) }
