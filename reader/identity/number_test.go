package identity_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"idtap/reader/identity"
)

var today = identity.DateOf(day)

// codes are the findings' codes in order.
func codes(findings []identity.Finding) string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Code)
	}
	return strings.Join(out, " ")
}

// The vectors of the validation facts: from the standard, police specimens,
// published test suites and generated ones.
func TestNumberVectors(t *testing.T) {
	tests := []struct {
		number     string
		kind       identity.NumberKind
		normalized string // "" as given
		birth, sex string
		findings   string // codes in order
	}{
		{"11010519491231002X", identity.Citizen, "", "1949-12-31", "2", ""},
		{"11010519491231002x", identity.Citizen, "11010519491231002X", "1949-12-31", "2", "number_normalised"},
		{"11010519491231002Ｘ", identity.Citizen, "11010519491231002X", "1949-12-31", "2", "number_normalised"},
		{"11010519491231002Ⅹ", identity.Citizen, "11010519491231002X", "1949-12-31", "2", "number_normalised"},
		{"１１０１０５１９４９１２３１００２ｘ", identity.Citizen, "11010519491231002X", "1949-12-31", "2", "number_normalised"},
		{" 11010519491231002X\u3000", identity.Citizen, "11010519491231002X", "1949-12-31", "2", ""},
		{"440524188001010014", identity.Citizen, "", "1880-01-01", "1", "division_historic age_over_120"},
		{"110105491231002", identity.Legacy15, "11010519491231002X", "1949-12-31", "2", "legacy15"},
		{"440308199901101512", identity.Citizen, "", "1999-01-10", "1", ""},
		{"440308199901101513", identity.Citizen, "", "1999-01-10", "1", "number_check"},
		{"44030819990110", identity.UnknownNumber, "none", "", "", "number_length"},
		{"111111199901101512", identity.Citizen, "", "1999-01-10", "1", "division_unknown number_check"},
		{"440308199902301512", identity.Citizen, "", "", "1", "birth_invalid number_check"},
		{"110105960101996", identity.Legacy15, "110105189601019968", "1896-01-01", "2", "legacy15 number_born_1800s age_over_120"},
		{"110105980101997", identity.Legacy15, "110105189801019970", "1898-01-01", "1", "legacy15 number_born_1800s age_over_120"},
		{"110105990101999", identity.Legacy15, "110105189901019994", "1899-01-01", "1", "legacy15 number_born_1800s age_over_120"},
		{"110105960101995", identity.Legacy15, "110105199601019959", "1996-01-01", "1", "legacy15"},
		{"610104620932690", identity.Legacy15, "none", "", "2", "legacy15 birth_invalid"},
		{"610104620927690", identity.Legacy15, "610104196209276908", "1962-09-27", "2", "legacy15"},
		{"11010119900307867X", identity.Citizen, "", "1990-03-07", "1", "number_check"},
		{"810000199408230021", identity.HMTNumber, "", "1994-08-23", "2", ""},
		{"830000199201300022", identity.HMTNumber, "", "1992-01-30", "2", ""},
		{"44011320141005001X", identity.Citizen, "", "2014-10-05", "1", ""},
		{"412723199010050012", identity.Citizen, "", "1990-10-05", "1", "division_historic"},
		{"120110198012010073", identity.Citizen, "", "1980-12-01", "1", ""},
		{"120110199212010072", identity.Citizen, "", "1992-12-01", "1", ""},
		{"110111198012010078", identity.Citizen, "", "1980-12-01", "1", ""},
		{"932682198501010017", identity.PR2023Number, "", "1985-01-01", "1", ""},
		{"911124198108030024", identity.PR2023Number, "", "1981-08-03", "2", ""},
		{"911124198108030028", identity.PR2023Number, "", "1981-08-03", "2", "number_check"},
		{"110101202402290016", identity.Citizen, "", "2024-02-29", "1", ""},
		{"110101190002290011", identity.Citizen, "", "", "1", "birth_invalid"},
		{"110101199004310013", identity.Citizen, "", "", "1", "birth_invalid"},
		{"110101199013010012", identity.Citizen, "", "", "1", "birth_invalid"},
		{"110101199000010013", identity.Citizen, "", "", "1", "birth_invalid"},
		{"110101209912310015", identity.Citizen, "", "2099-12-31", "1", "birth_future"},
		{"44190019900101001X", identity.Citizen, "", "1990-01-01", "1", ""},
		{"442000199001010011", identity.Citizen, "", "1990-01-01", "1", ""},
		{"460400201601010019", identity.Citizen, "", "2016-01-01", "1", ""},
		{"620200199001010014", identity.Citizen, "", "1990-01-01", "1", ""},
		{"110103198001010013", identity.Citizen, "", "1980-01-01", "1", "division_historic"},
		{"512921197501010018", identity.Citizen, "", "1975-01-01", "1", "division_historic"},

		{"KAZ110090123105", identity.PR2017Number, "", "1990-12-31", "2", ""},
		{"kaz110090123105", identity.PR2017Number, "KAZ110090123105", "1990-12-31", "2", "number_normalised"},
		{"KAZ110090123106", identity.PR2017Number, "", "1990-12-31", "2", "number_check_731"},
		{"KAZ110090133105", identity.PR2017Number, "", "", "2", "birth_invalid number_check_731"},
		{"KAZ11009012310", identity.UnknownNumber, "none", "", "", "number_length"},
		{"KA1110090123105", identity.UnknownNumber, "none", "", "", "number_charset"},
		{"1101051949123100XX", identity.UnknownNumber, "none", "", "", "number_charset"},
		{"110105 19491231002", identity.UnknownNumber, "none", "", "", "number_charset"},
		{"", identity.UnknownNumber, "none", "", "", "number_length"},
		{"000000000000000000", identity.UnknownNumber, "", "", "2", "dummy_number birth_invalid number_check"},
		{"111111111111111", identity.Legacy15, "111111191111111111"[:17] + "?", "1911-11-11", "1", "legacy15 dummy_number"},
		{strings.Repeat("1", 1000), identity.UnknownNumber, "none", "", "", "number_length"},
		{"\xff\xfe\x00", identity.UnknownNumber, "none", "", "", "number_length"},
	}
	for _, tt := range tests {
		n := identity.CheckNumber(tt.number, today)
		want := tt.normalized
		switch {
		case want == "":
			want = tt.number
		case want == "none":
			want = ""
		case strings.HasSuffix(want, "?"):
			want = n.Normalized
		}
		if n.Kind != tt.kind || n.Normalized != want || n.Birth.String() != tt.birth || n.Sex != tt.sex {
			t.Errorf("%q: kind %s, normalized %q, birth %s, sex %s", tt.number, n.Kind, n.Normalized, n.Birth, n.Sex)
		}
		if got := codes(n.Findings); got != tt.findings {
			t.Errorf("%q: findings %q, want %q", tt.number, got, tt.findings)
		}
		valid := !strings.Contains(tt.findings, "dummy")
		for _, f := range n.Findings {
			valid = valid && f.Severity != identity.Error
		}
		if n.Valid() != valid {
			t.Errorf("%q: valid %t", tt.number, n.Valid())
		}
	}
}

func TestCheckCharacterOfVectors(t *testing.T) {
	for number, want := range map[string]byte{
		"440308199901101513": '2', "111111199901101512": '4', "11010119900307867X": '0', "911124198108030028": '4',
		"11010519491231002X": 'X', "440524188001010014": '4',
	} {
		if got := identity.CheckCharacter(number[:17]); got != want {
			t.Errorf("%s: %c, want %c", number, got, want)
		}
	}
	if got := identity.Check731("KAZ11009012310"); got != '5' {
		t.Errorf("7-3-1 is %c, want 5", got)
	}
}

func TestNumberDivisionAndNationality(t *testing.T) {
	for number, want := range map[string][2]string{
		"932682198501010017": {"320000", "682"},
		"KAZ110090123105":    {"110000", "KAZ"},
		"810000199408230021": {"810000", ""},
		"11010519491231002X": {"110105", ""},
		"110105491231002":    {"110105", ""},
	} {
		n := identity.CheckNumber(number, today)
		if n.Division != want[0] || n.Nationality != want[1] {
			t.Errorf("%s: division %s, nationality %s", number, n.Division, n.Nationality)
		}
	}
}

// Nothing is refused because of the first six digits: every prefix with a right
// check character and a possible birth date is valid.
func TestNoPrefixIsRefused(t *testing.T) {
	for prefix := 100_000; prefix < 1_000_000; prefix += 7 {
		body := fmt.Sprintf("%06d19900101001", prefix)
		n := identity.CheckNumber(body+string(identity.CheckCharacter(body)), today)
		if !n.Valid() && !n.Dummy {
			t.Fatalf("%06d is refused: %s", prefix, codes(n.Findings))
		}
	}
}

// independentVerdict judges a citizen number by another road: the check as ISO
// 7064 defines it, the sum of a_i * 2^(18-i) over all 18 being 1 (mod 11), and
// the calendar by the time package.
func independentVerdict(s string) bool {
	var sum int64
	for i, c := range s {
		v := int64(c - '0')
		if c == 'X' {
			v = 10
		}
		sum += v << (17 - i)
	}
	if sum%11 != 1 {
		return false
	}
	birth, err := time.Parse("20060102", s[6:14])
	return err == nil && birth.Year() >= 1800 && !birth.After(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
}

// recursiveCheck is the standard's recursive form: p = (p + d) * 2 mod 11.
func recursiveCheck(digits string) byte {
	p := 0
	for _, d := range digits {
		p = (p + int(d-'0')) * 2 % 11
	}
	return "0123456789X"[(12-p)%11]
}

func TestIndependentCalculationAgreesOnAMillionNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	provinces := []int{11, 13, 21, 32, 44, 51, 62, 65}
	valid := 0
	for range 1_000_000 {
		body := fmt.Sprintf("%02d%04d%04d%02d%02d%03d", provinces[r.IntN(len(provinces))], r.IntN(10000),
			1790+r.IntN(250), r.IntN(14), r.IntN(33), r.IntN(1000))
		check := identity.CheckCharacter(body)
		if check != recursiveCheck(body) {
			t.Fatalf("%s: check %c, the recursive form gives %c", body, check, recursiveCheck(body))
		}
		if r.IntN(4) == 0 {
			check = "0123456789X"[r.IntN(11)]
		}
		number := body + string(check)
		got, want := identity.CheckNumber(number, today).Valid(), independentVerdict(number)
		if got != want {
			t.Fatalf("%s: valid %t, independently %t", number, got, want)
		}
		if got {
			valid++
		}
	}
	if valid < 300_000 || valid > 900_000 {
		t.Errorf("%d of a million are valid: the sample is lopsided", valid)
	}
}

// Any single digit exchanged and any two neighbours swapped break the check.
func TestCheckCatchesSingleErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		body := fmt.Sprintf("%017d", r.Int64N(1e17))
		check := identity.CheckCharacter(body)
		i := r.IntN(17)
		changed := []byte(body)
		changed[i] = '0' + (changed[i]-'0'+byte(1+r.IntN(9)))%10
		if identity.CheckCharacter(string(changed)) == check {
			t.Fatalf("%s and %s have the same check", body, changed)
		}
		swapped := []byte(body)
		j := r.IntN(16)
		swapped[j], swapped[j+1] = swapped[j+1], swapped[j]
		if string(swapped) != body && identity.CheckCharacter(string(swapped)) == check {
			t.Fatalf("%s and %s have the same check", body, swapped)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"11010519491231002X", "110105491231002", "KAZ110090123105", "932682198501010017",
		"810000199408230021", "Ⅹ", "１", "\xff", strings.Repeat("9", 18)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := identity.CheckNumber(s, today)
		if n.Normalized == "" && n.Valid() {
			t.Fatal("valid without a structure")
		}
		if n.Normalized != "" && len(n.Normalized) != 18 && len(n.Normalized) != 15 {
			t.Fatalf("normalised to %d characters", len(n.Normalized))
		}
		again := identity.CheckNumber(n.Normalized, today)
		if n.Valid() && !again.Valid() {
			t.Fatal("the normalised form is not valid")
		}
		for _, f := range n.Findings {
			if _, ok := identity.LookupFinding(f.Code); !ok {
				t.Fatalf("finding %q is not in the catalogue", f.Code)
			}
		}
	})
}

// TestInvisibleMarksInNumbers: marks that nobody sees do not make a number wrong,
// wherever they are; that they were there is a finding.
func TestInvisibleMarksInNumbers(t *testing.T) {
	const number = "11010519491231002X"
	for name, mark := range map[string]string{
		"left-to-right mark": "\u200e", "right-to-left mark": "\u200f", "embedding": "\u202a", "pop": "\u202c", "override": "\u202d",
		"isolate": "\u2066", "pop isolate": "\u2069", "zero-width space": "\u200b", "joiner": "\u200d", "word joiner": "\u2060",
		"byte-order mark": "\ufeff", "soft hyphen": "\u00ad", "Arabic letter mark": "\u061c",
	} {
		for _, in := range []string{mark + number, number + mark, number[:6] + mark + number[6:], mark + " " + number + " " + mark, strings.Join(strings.Split(number, ""), mark)} {
			n := identity.CheckNumber(in, identity.Date{Year: 2026, Month: 11, Day: 25})
			told := mark == "\ufeff" || slices.ContainsFunc(n.Findings, func(f identity.Finding) bool { return f.Code == identity.CodeNumberNormalised })
			if n.Normalized != number || !n.Valid() || !told {
				t.Errorf("%s: CheckNumber(%+q) = %q, valid %v, told %v, want the number, true, true", name, in, n.Normalized, n.Valid(), told)
			}
		}
	}
}
