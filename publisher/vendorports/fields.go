package vendorports

import (
	"strings"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"idtap/publisher/event"
)

// person is a record in the words that vendors' services share.
type person struct {
	kind, number, name, nameEn  string
	sex, sexCode                string // 男 or 女, 1 or 2
	nation, nationCode, country string
	alpha3                      string
	born, from, to              string // YYYYMMDD, 长期
	address, authority          string
	pass, issues, oldNumber     string
	photo                       string // base64, "" without a decoder
}

// fields takes a record apart. The address is the printed one, which is what a
// page's user compares with the card in hand; vendors' services show it as far as
// known [vendor-ports section 11].
func fields(r *event.Registration, photo string) person {
	p := person{kind: r.Document.Kind, number: r.Document.Number, name: r.Person.Name, nameEn: r.Person.NameEn,
		born: compact(r.Person.BirthDate), from: compact(r.Document.ValidFrom), to: compact(r.Document.ValidTo.Date),
		authority: r.Document.IssuingAuthority, pass: r.Document.PassNumber, issues: r.Document.IssueCount,
		oldNumber: r.Document.OldNumber, address: r.Residence.CardAddress, photo: photo}
	if r.Document.LongTerm {
		p.to = "长期"
	}
	if p.issues == "" {
		p.issues = r.Document.Renewals
	}
	if c := r.Person.Sex; c != nil && (c.Label == "男" || c.Label == "女") {
		p.sex, p.sexCode = c.Label, c.Code
	}
	if c := r.Person.Ethnic; c != nil {
		p.nation, p.nationCode = c.Label, c.Code
	}
	if r.Person.Nationality != "" {
		p.country, p.alpha3 = countryName(r.Person.Nationality), r.Person.Nationality
	}
	if r.Hukou != nil {
		p.address = r.Hukou.PrintedAddress
		if p.address == "" {
			p.address = r.Hukou.Address
		}
	}
	p.clean()
	return p
}

// clean takes out what could steer a terminal or a page's regular expression: a
// card decides what stands in these texts.
func (p *person) clean() {
	for _, s := range []*string{&p.number, &p.name, &p.nameEn, &p.address, &p.authority, &p.pass, &p.issues} {
		*s = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				return -1
			}
			return r
		}, *s)
	}
}

func compact(iso string) string { return strings.ReplaceAll(iso, "-", "") }

// countryName returns the Chinese name of an alpha-3 code, "" where there is none.
func countryName(alpha3 string) string {
	region, err := language.ParseRegion(alpha3)
	if err != nil {
		return ""
	}
	return display.Regions(language.SimplifiedChinese).Name(region)
}

// text quotes a string as JSON without escaping what pages look for: raw UTF-8,
// no \u003c.
func text(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
