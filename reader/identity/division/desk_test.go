package division_test

import (
	"strings"
	"testing"

	"idtap/reader/identity/division"
)

func names(units []division.Unit) string {
	var out []string
	for _, u := range units {
		out = append(out, u.Code)
	}
	return strings.Join(out, " ")
}

func TestFitsDesk(t *testing.T) {
	for _, tt := range []struct {
		code  string
		fit   division.Fit
		units string // the first of them
	}{
		{"410105", division.Fits, ""},
		{"110105", division.Fits, ""},
		{"500233", division.Fits, ""},
		{"419001", division.Fits, ""},
		{"441900", division.Fits, ""},
		{"442000", division.Fits, ""},
		{"460400", division.Fits, ""},
		{"620200", division.Fits, ""},
		{"620201", division.Fits, ""},
		{"419999", division.NoUnit, "419001"},
		{"410199", division.NoUnit, "410102"},
		{"110199", division.NoUnit, "110109"},
		{"999999", division.NoUnit, ""},
		{"810101", division.NoUnit, ""},
		{"410101", division.NoUnit, "410102"}, // 市辖区 is a heading
		{"", division.NoUnit, ""},
		{"4101", division.NoUnit, ""},
		{"410000", division.TooWide, "410102"},
		{"410100", division.TooWide, "410102"},
		{"110000", division.TooWide, "110101"},
		{"110103", division.Gone, "110101"},
		{"330104", division.Gone, "330102 330114"},
		{"330621", division.Gone, "330602 330603"},
		{"130171", division.ZoneFit, "130102"},
	} {
		fit, units := division.FitsDesk(tt.code)
		if got := names(units); fit != tt.fit || !strings.HasPrefix(got, tt.units) {
			t.Errorf("FitsDesk(%q) = %d, %s; want %d, %s", tt.code, fit, got, tt.fit, tt.units)
		}
		if tt.fit == division.NoUnit && len(units) == 0 {
			t.Errorf("FitsDesk(%q) offers nothing", tt.code)
		}
	}
}

// Every row of the table is judged by its flags and its place in the code, and
// whatever is offered instead fits.
func TestFitsDeskForEveryRow(t *testing.T) {
	below := map[string]int{} // current counties of a prefecture
	for _, r := range rows(t) {
		if strings.Contains(r[3], "c") && !strings.Contains(r[3], "z") && !strings.HasSuffix(r[0], "00") {
			below[r[0][:4]]++
		}
	}
	count := map[division.Fit]int{}
	for _, r := range rows(t) {
		code, name, flags := r[0], r[1], r[3]
		want := division.Fits
		switch {
		case code[:2] > "65", strings.HasPrefix(name, "市辖区"), name == "县", name == "市", strings.Contains(name, "直辖"), strings.HasPrefix(name, "省辖"), strings.HasPrefix(name, "市区"):
			want = division.NoUnit
		case strings.Contains(flags, "z"):
			want = division.ZoneFit
		case !strings.Contains(flags, "c"):
			want = division.Gone
		case strings.HasSuffix(code, "0000"), strings.HasSuffix(code, "00") && below[code[:4]] > 0 && code != "620200":
			want = division.TooWide
		}
		got, units := division.FitsDesk(code)
		if got != want {
			t.Errorf("FitsDesk(%s %s) = %d, want %d", code, name, got, want)
		}
		count[got]++
		for _, u := range units {
			if f, _ := division.FitsDesk(u.Code); f != division.Fits {
				t.Errorf("FitsDesk(%s) offers %s, which does not fit", code, u.Code)
			}
		}
	}
	if count[division.Fits] < 2840 || count[division.Gone] < 3000 {
		t.Errorf("counts %v", count)
	}
}
