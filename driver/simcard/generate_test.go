package simcard_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"idtap/driver/simcard"
	"idtap/reader/card"
)

func TestGenerate(t *testing.T) {
	cards := simcard.Generate(42, 3000)
	if again := simcard.Generate(42, 500); !reflect.DeepEqual(again, cards[:500]) {
		t.Error("a shorter list of the same seed is not the beginning of the longer one")
	}
	if other := simcard.Generate(43, 1); reflect.DeepEqual(other[0], cards[0]) {
		t.Error("two seeds give the same card")
	}
	kinds, numbers := map[string]int{}, map[string]bool{}
	var appended, units, long int
	for _, c := range cards {
		kinds[c.Kind]++
		numbers[c.Number] = true
		appended += min(1, len(c.Appended))
		units += min(1, len(c.NameUnits))
		if len(c.NameEn) > 35 {
			long++
		}
	}
	if len(numbers) != len(cards) {
		t.Errorf("%d numbers on %d cards", len(numbers), len(cards))
	}
	for _, k := range []string{simcard.Resident, simcard.HMTPermit, simcard.ForeignPR2017, simcard.ForeignPR2023} {
		if kinds[k] < 100 {
			t.Errorf("%d cards of kind %s", kinds[k], k)
		}
	}
	if appended < 100 || units < 50 || long < 20 {
		t.Errorf("%d with appended addresses, %d with rare characters, %d with long English names: too few", appended, units, long)
	}
}

// TestGeneratedNumbers checks the check characters by the weights of GB 11643,
// the other form of the rule that the generator uses.
func TestGeneratedNumbers(t *testing.T) {
	weights := []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	for i, c := range append(simcard.Generate(5, 2000), simcard.Demo()[:9]...) {
		if len(c.Number) != 18 {
			continue
		}
		sum := 0
		for k, w := range weights {
			sum += int(c.Number[k]-'0') * w
		}
		if c.Number[17] != "10X98765432"[sum%11] {
			t.Fatalf("card %d: wrong check character", i)
		}
		if c.Number[6:14] != c.Birth {
			t.Fatalf("card %d: birth date not in the number", i)
		}
		if odd := (c.Number[16]-'0')%2 == 1; odd != (c.Sex == "1") {
			t.Fatalf("card %d: parity against the sex", i)
		}
	}
}

// TestCardsFit checks that nothing was cut: every field of every generated card
// comes back out of the decoder of package card whole.
func TestCardsFit(t *testing.T) {
	for i, c := range append(simcard.Generate(6, 2000), simcard.Demo()[:9]...) {
		if c.Refuse != 0 {
			continue
		}
		got := fields(card.Parse(c.Raw()))
		for name, want := range map[string]string{"kind": c.Kind, "name_en": c.NameEn, "sex": c.Sex, "ethnic": c.Ethnic, "birth_date": c.Birth,
			"address": c.Address, "number": c.Number, "issuing_authority": c.Authority, "valid_from": c.ValidFrom, "valid_to": c.ValidTo,
			"pass_number": c.PassNumber, "issue_count": c.IssueCount, "nationality": c.Nationality, "version": c.Version,
			"authority_code": c.AuthorityCode, "renewals": c.Renewals, "old_link": c.OldLink} {
			if got[name] != want {
				t.Fatalf("card %d: %s came out different", i, name)
			}
		}
		if c.NameUnits == nil && got["name"] != c.Name {
			t.Fatalf("card %d: name came out different", i)
		}
		for k, a := range c.Appended {
			if got[fmt.Sprintf("appended_%d", k+1)] != a {
				t.Fatalf("card %d: appended address %d came out different", i, k+1)
			}
		}
	}
}

// fields returns a document's fields by their names in a cards file.
func fields(d card.Document) map[string]string {
	out := map[string]string{"kind": string(d.Kind)}
	for name, text := range map[string]card.Text{
		"name": d.Name, "name_en": d.NameEn, "sex": d.Sex, "ethnic": d.Ethnic, "birth_date": d.Birth, "address": d.Address,
		"number": d.Number, "issuing_authority": d.Authority, "valid_from": d.ValidFrom, "valid_to": d.ValidTo,
		"pass_number": d.PassNumber, "issue_count": d.IssueCount, "nationality": d.Nationality, "version": d.Version,
		"authority_code": d.AuthorityCode, "renewals": d.Renewals, "old_link": d.OldLink,
	} {
		out[name] = strings.TrimRight(string(utf16.Decode(text)), " ")
	}
	for i, a := range d.Appended {
		out[fmt.Sprintf("appended_%d", i+1)] = strings.TrimRight(string(utf16.Decode(a)), " ")
	}
	return out
}

func TestCardPrintsMasked(t *testing.T) {
	c := simcard.Demo()[0]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, c); got != "simcard.Card(resident, masked)" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if b, _ := c.MarshalJSON(); string(b) != `"masked"` {
		t.Errorf("marshals as %s", b)
	}
}
