package identity_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"idtap/driver/simcard"
	"idtap/reader/card"
	"idtap/reader/identity"
)

func TestDotsAreUnifiedBetweenHanOnly(t *testing.T) {
	for _, dot := range "•・･‧∙⋅\u0387．.。․●" {
		c := resident(func(f *simcard.Card) { f.Name = "阿依" + string(dot) + "木江" })
		if c.Name != "阿依·木江" {
			t.Errorf("U+%04X is not unified", dot)
		}
		if c.NameRaw == "" || codes(c.Findings) != "dot_unified" {
			t.Errorf("U+%04X: raw %q, findings %s", dot, c.NameRaw, codes(c.Findings))
		}
	}
	for in, want := range map[string]string{
		"阿依·木江": "阿依·木江", "阿.B": "阿.B", ".阿": ".阿", "阿.": "阿.", "A.B": "A.B", "阿•木•江": "阿·木·江", "\ue000•江": "\ue000·江",
		"阿..江": "阿..江",
	} {
		if c := resident(func(f *simcard.Card) { f.Name = in }); c.Name != want {
			t.Errorf("%q becomes %q, want %q", in, c.Name, want)
		}
	}
}

// The table of the facts, as printed there.
func TestPrivateUseTable(t *testing.T) {
	table := map[rune]string{
		0xE78D: "FE10 FE12 FE11 FE13 FE14 FE15 FE16 FE17 FE18 FE19", 0xE81E: "9FB4", 0xE826: "9FB5", 0xE82B: "9FB6 9FB7",
		0xE832: "9FB8", 0xE843: "9FB9", 0xE854: "9FBA", 0xE864: "9FBB", 0xE816: "20087 20089 200CC", 0xE831: "215D7",
		0xE83B: "2298F", 0xE855: "241FE", 0xE7C7: "1E3F 01F9", 0xE76C: "20AC",
		0xE7E7: "303E 2FF0 2FF1 2FF2 2FF3 2FF4 2FF5 2FF6 2FF7 2FF8 2FF9 2FFA 2FFB",
		0xE815: "2E81", 0xE819: "2E84 3473 3447 2E88 2E8B", 0xE81F: "359E 361A 360E 2E8C 2E97 396E 3918",
		0xE827: "39CF 39DF 3A73 39D0", 0xE82D: "3B4E 3C6E 3CE0 2EA7", 0xE833: "2EAA 4056 415F 2EAE 4337 2EB3 2EB6 2EB7",
		0xE83C: "43B1 43AC 2EBB 43DD 44D6 4661 464C", 0xE844: "4723 4729 477C 478D 2ECA 4947",
		0xE84A: "497A 497D 4982 4983 4985 4986 499F 499B 49B7 49B6", 0xE856: "4CA3 4C9F 4CA0 4CA1 4C77 4CA2 4D13",
		0xE85D: "4D14 4D15 4D16 4D17 4D18 4D19 4DAE",
	}
	means := map[rune]string{}
	for first, list := range table {
		for i, hex := range strings.Fields(list) {
			means[first+rune(i)] = hex
		}
	}
	if len(means) != 106 {
		t.Fatalf("%d code points in the table, want 106", len(means))
	}
	for r := rune(0xE000); r <= 0xF8FF; r++ {
		got := identity.Decode(card.Text(utf16.Encode([]rune{r})))
		want := string(r)
		if hex, ok := means[r]; ok {
			want = string(runeOf(t, hex))
		}
		if got != want {
			t.Errorf("U+%04X becomes %+q, want %+q", r, got, want)
		}
	}
}

func runeOf(t *testing.T, hex string) rune {
	t.Helper()
	var r rune
	for _, c := range hex {
		r = r<<4 + rune(strings.IndexRune("0123456789ABCDEF", c))
	}
	return r
}

// Nothing is composed or folded: these are in people's names, and NFC rewrites
// the first nine.
func TestNamesAreNotNormalised(t *testing.T) {
	for _, r := range "\uf92c\uf979\uf995\uf9e7\uf9f1\ufa0c\ufa0d\ufa18\ufa20\ufa0e\ufa0f\ufa11\u2e81䶮𠮷\U00020087" {
		c := resident(func(f *simcard.Card) { f.Name = "样" + string(r) })
		if c.Name != "样"+string(r) {
			t.Errorf("U+%04X was rewritten", r)
		}
		if len(c.Findings) != 0 {
			t.Errorf("U+%04X: %s", r, codes(c.Findings))
		}
	}
}

func TestLoneSurrogatesAreFlagged(t *testing.T) {
	for name, units := range map[string][]uint16{
		"high alone": {'样', 0xD842}, "low alone": {0xDFB7, '样'}, "reversed": {0xDFB7, 0xD842}, "high before text": {0xD842, '样'},
	} {
		raw := simcard.SampleResident().Raw()
		for i := range 15 {
			u := uint16(' ')
			if i < len(units) {
				u = units[i]
			}
			raw.Text[2*i], raw.Text[2*i+1] = byte(u), byte(u>>8)
		}
		c := identity.Check(card.Parse(raw), options)
		wantFindings(t, c, "unpaired_surrogate@person.name")
		if !strings.Contains(c.Name, "\uFFFD") || !strings.Contains(c.NameRaw, "D842") && !strings.Contains(c.NameRaw, "DFB7") {
			t.Errorf("%s: raw units are lost", name)
		}
	}
	if c := resident(func(f *simcard.Card) { f.Name = "𠮷" }); c.Name != "𠮷" || c.NameRaw != "" {
		t.Error("a proper pair is not kept")
	}
}

func TestMatchKey(t *testing.T) {
	for in, want := range map[string]string{
		"阿依·木江": "阿依木江", "阿依•木江": "阿依木江", "样　本": "样本", "smith, John": "SMITH,JOHN", "ＡＢ": "AB", "": "",
	} {
		if got := identity.MatchKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
