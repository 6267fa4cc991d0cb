package card_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"idtap/driver"
	"idtap/driver/simcard"
	"idtap/reader/card"
)

func str(t card.Text) string { return string(utf16.Decode(t.Trim())) }

// fields reads a document back into what it was encoded from.
func fields(d card.Document) simcard.Card {
	f := simcard.Card{
		Kind: string(d.Kind), Name: str(d.Name), NameEn: str(d.NameEn), Sex: str(d.Sex), Ethnic: str(d.Ethnic),
		Birth: str(d.Birth), Address: str(d.Address), Number: str(d.Number), Authority: str(d.Authority),
		ValidFrom: str(d.ValidFrom), ValidTo: str(d.ValidTo), PassNumber: str(d.PassNumber), IssueCount: str(d.IssueCount),
		Nationality: str(d.Nationality), Version: str(d.Version), AuthorityCode: str(d.AuthorityCode),
		Renewals: str(d.Renewals), OldLink: str(d.OldLink),
	}
	for _, a := range d.Appended {
		f.Appended = append(f.Appended, str(a))
	}
	return f
}

func TestParseReadsAllFourLayouts(t *testing.T) {
	for kind, want := range map[card.Kind]simcard.Card{
		card.Resident:      simcard.SampleResident(),
		card.HMTPermit:     simcard.SampleHMTPermit(),
		card.ForeignPR2017: simcard.SampleForeignPR2017(),
		card.ForeignPR2023: simcard.SampleForeignPR2023(),
	} {
		d := card.Parse(want.Raw())
		if d.Kind != kind {
			t.Errorf("kind is %s, want %s", d.Kind, kind)
		}
		if got := fields(d); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: a field differs", kind)
		}
	}
}

// Whatever is encoded comes back, for every layout, field by field: random text
// of every length up to the field's, rare characters included.
func TestRoundTripOfAllLayouts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	text := func(max int) string {
		var b strings.Builder
		for n, left := r.IntN(max+1), max; left > 0 && n > 0; n-- {
			c := rune(0x4E00 + r.IntN(0x5000))
			switch r.IntN(8) {
			case 0:
				c = rune('0' + r.IntN(10))
			case 1:
				if left < 2 {
					continue
				}
				c = rune(0x20000 + r.IntN(0xA000))
				left--
			case 2:
				c = rune(0xE000 + r.IntN(0x1900))
			}
			left--
			b.WriteRune(c)
		}
		return b.String()
	}
	for range 5000 {
		f := simcard.Card{Kind: simcard.Samples()[r.IntN(4)].Kind, Name: text(15), Sex: text(1), Birth: text(8),
			Number: text(15), ValidFrom: text(8), ValidTo: text(8)}
		switch f.Kind {
		case simcard.Resident, simcard.HMTPermit:
			f.Address, f.Authority, f.Number = text(35), text(15), text(18)
			if f.Kind == simcard.HMTPermit {
				f.PassNumber, f.IssueCount = text(9), text(2)
			} else {
				f.Ethnic = text(2)
			}
		case simcard.ForeignPR2017:
			f.NameEn, f.Nationality, f.Version, f.AuthorityCode = text(60), text(3), text(2), text(4)
		case simcard.ForeignPR2023:
			f.NameEn, f.Number, f.Nationality, f.Renewals, f.OldLink = text(46), text(18), text(3), text(2), text(3)
		}
		for range r.IntN(5) {
			f.Appended = append(f.Appended, text(35))
		}
		if got := fields(card.Parse(f.Raw())); !reflect.DeepEqual(got, f) {
			t.Fatalf("%s: a field differs", f.Kind)
		}
	}
}

// TestParseReadsTheSimulatorsCards: every generated card is read as one of the
// four kinds.
func TestParseReadsTheSimulatorsCards(t *testing.T) {
	kinds := map[card.Kind]int{}
	for _, c := range simcard.Generate(7, 200) {
		d := card.Parse(c.Raw())
		kinds[d.Kind]++
		if d.Kind == card.Unknown || str(d.Number) == "" || str(d.Birth) == "" || str(d.Name)+str(d.NameEn) == "" {
			t.Fatalf("%v is not read", c)
		}
	}
	if len(kinds) != 4 {
		t.Errorf("kinds met: %v, want all four", kinds)
	}
}

func TestTrap06_FlagDecidesTheLayoutFirst(t *testing.T) {
	// A 2023 card read as a resident's would show its renewal count as an ethnic
	// group; a permit has none either.
	y := card.Parse(simcard.SampleForeignPR2023().Raw())
	if y.Kind != card.ForeignPR2023 || y.Ethnic != nil || str(y.Renewals) != "01" || y.Address != nil {
		t.Error("the 2023 card is read by another layout")
	}
	if len(y.NameEn) != 46 || str(y.NameEn) != simcard.SampleForeignPR2023().NameEn {
		t.Error("the English name is not joined from 35 and 11 units")
	}
	if j := card.Parse(simcard.SampleHMTPermit().Raw()); j.Ethnic != nil {
		t.Error("a permit has an ethnic group")
	}
	i := card.Parse(simcard.SampleForeignPR2017().Raw())
	if len(i.Number) != 15 || str(i.Sex) != "2" || str(i.Birth) != "19901231" || i.Authority != nil {
		t.Error("the 2017 card is read by another layout")
	}
}

func TestTrap07_UnknownFlagIsNotAResident(t *testing.T) {
	for _, mark := range []string{"j", "K", "0", "\x00", "\u3000", "Ｊ", "\uffff", "长"} {
		f := simcard.SampleResident()
		raw := f.Raw()
		u := utf16.Encode([]rune(mark))[0]
		raw.Text[248], raw.Text[249] = byte(u), byte(u>>8)
		d := card.Parse(raw)
		if d.Kind != card.Unknown || d.Mark != u {
			t.Errorf("mark %q gives %s", mark, d.Kind)
		}
		if got := fields(d); !reflect.DeepEqual(got, simcard.Card{Kind: string(card.Unknown)}) {
			t.Errorf("mark %q: a field is read", mark)
		}
	}
}

func TestTrap08_TrimsSpacesAndZerosAtTheEndsOnly(t *testing.T) {
	for in, want := range map[string]string{
		"甲 乙   ": "甲 乙", "甲乙\x00\x00": "甲乙", " \x00甲乙 \x00 ": "甲乙", "甲\u3000": "甲", "": "", "   ": "", "A B C": "A B C",
	} {
		if got := str(card.Text(utf16.Encode([]rune(in)))); got != want {
			t.Errorf("%q is trimmed to %q, want %q", in, got, want)
		}
	}
	// Names on I and Y cards contain spaces: the number is found by offset.
	f := simcard.SampleForeignPR2017()
	f.NameEn = "A B C 110105194912310020 D"
	if got := str(card.Parse(f.Raw()).Number); got != f.Number {
		t.Error("the number was looked for behind a space")
	}
}

func TestTrap24_AppendedAddressesUpToFour(t *testing.T) {
	f := simcard.SampleResident()
	f.Appended = []string{"甲地1号", "", "乙地2号", "丙地3号"}
	if got := fields(card.Parse(f.Raw())); !reflect.DeepEqual(got.Appended, f.Appended) {
		t.Error("appended addresses differ")
	}
}

func TestBlank(t *testing.T) {
	var zeros, spaces driver.RawCard
	for i := 0; i < 256; i += 2 {
		spaces.Text[i] = ' '
	}
	if !card.Parse(zeros).Blank() || !card.Parse(spaces).Blank() {
		t.Error("padding is not blank")
	}
	if card.Parse(simcard.SampleResident().Raw()).Blank() {
		t.Error("a card is blank")
	}
	spaces.Text[17] = 0x20
	if card.Parse(spaces).Blank() {
		t.Error("U+2020 is padding")
	}
}

func TestDocumentKeepsRawTextAndCopies(t *testing.T) {
	raw := simcard.SampleResident().Raw()
	d := card.Parse(raw)
	if d.Raw() != raw.Text {
		t.Error("the raw text differs")
	}
	raw.Text[0] ^= 0xFF
	if d.Raw() == raw.Text || d.Name[0] != uint16('样') {
		t.Error("the document shares the raw card's memory")
	}
	d.Name = append(d.Name, 'x')
	if d.Sex[0] != '2' {
		t.Error("one field runs into the next")
	}
}

func TestNothingPrintsACard(t *testing.T) {
	f := simcard.SampleResident()
	d := card.Parse(f.Raw())
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, d, &d, d.Name)
	}
	b, err := json.Marshal(map[string]any{"document": d, "name": d.Name})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, secret := range []string{f.Name, f.Number, f.Address, "6837", "26679"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printed: %s", out.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range simcard.Samples() {
		raw := c.Raw()
		f.Add(raw.Text[:], []byte{})
		f.Add(raw.Text[:], raw.Text[52:122])
	}
	f.Add(make([]byte, 256), make([]byte, 280))
	f.Fuzz(func(t *testing.T, text, addresses []byte) {
		var raw driver.RawCard
		copy(raw.Text[:], text)
		for len(addresses) >= 70 && len(raw.Addresses) < 4 {
			raw.Addresses = append(raw.Addresses, [70]byte(addresses))
			addresses = addresses[70:]
		}
		d := card.Parse(raw)
		if len(d.Appended) != len(raw.Addresses) {
			t.Fatal("an address was lost")
		}
		// Every unit of a field stands in the block at an even offset.
		units := make([]uint16, 128)
		for i := range units {
			units[i] = uint16(raw.Text[2*i]) | uint16(raw.Text[2*i+1])<<8
		}
		for name, sum := range map[string][2]int{"name": {len(d.Name), 15}, "address": {len(d.Address), 35}, "number": {len(d.Number), 18}} {
			if sum[0] > sum[1] {
				t.Fatalf("%s has %d units", name, sum[0])
			}
		}
		if d.Kind == card.Unknown && (d.Name != nil || d.Number != nil) {
			t.Fatal("an unknown mark gave fields")
		}
		if d.Kind == card.Resident && !reflect.DeepEqual([]uint16(d.Number), units[61:79]) {
			t.Fatal("the number is not where it stands")
		}
	})
}
