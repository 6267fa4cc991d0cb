package division_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"

	"idtap/reader/identity/division"
)

// currentCounties are the county-level units of the table, cities without
// districts included.
func currentCounties(t testing.TB) []division.Unit {
	t.Helper()
	var out []division.Unit
	for _, p := range division.Children("") {
		for _, u := range division.Children(p.Code) {
			below := division.Children(u.Code)
			if len(below) == 0 {
				out = append(out, u)
			}
			out = append(out, below...)
		}
	}
	return out
}

var shortProvinces = map[string]string{"15": "内蒙古", "45": "广西", "54": "西藏", "64": "宁夏", "65": "新疆"}

// spellings are the ways in which cards write the divisions of an address.
var spellings = []struct {
	name  string
	write func(code string, path []string) string // "" where it does not apply
}{
	{"province prefecture county", func(_ string, p []string) string { return strings.Join(p, "") }},
	{"province county", func(_ string, p []string) string {
		if len(p) != 3 {
			return ""
		}
		return p[0] + p[2]
	}},
	{"prefecture county", func(_ string, p []string) string {
		if len(p) != 3 {
			return ""
		}
		return p[1] + p[2]
	}},
	{"region's short name prefecture county", func(code string, p []string) string {
		if s := shortProvinces[code[:2]]; s != "" {
			return s + strings.Join(p[1:], "")
		}
		return ""
	}},
	{"region's short name county", func(code string, p []string) string {
		if s := shortProvinces[code[:2]]; s != "" && len(p) == 3 {
			return s + p[2]
		}
		return ""
	}},
}

// followers are what comes after the county on cards, made up.
var followers = []string{"", "城关镇东街1号", "新华路街道北京路2号", "和平乡上海村3组", "中山镇市场巷4号", "民主街5号", "农场六队"}

// TestEveryCurrentCountyResolves writes every current unit in the usual ways.
// A spelling that several current units of the province share is ambiguous and
// must answer nothing.
func TestEveryCurrentCountyResolves(t *testing.T) {
	units := currentCounties(t)
	type shared struct{ province, name string }
	bearers := map[shared]int{}
	for _, u := range units {
		bearers[shared{u.Code[:2], u.Name}]++
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "units\town\tnone\tpartial\twrong\tambiguous\town %\t  spelling")
	for _, s := range spellings {
		var n, good, none, partial, wrong, ambiguous int
		for _, u := range units {
			path := division.Path(u.Code)
			written := s.write(u.Code, path)
			if written == "" {
				continue
			}
			skipsPrefecture := len(path) == 3 && !strings.Contains(written, path[1])
			for _, f := range followers {
				r := division.Resolve(written + f)
				if skipsPrefecture && bearers[shared{u.Code[:2], u.Name}] > 1 {
					ambiguous++
					if r.Code != "" {
						t.Errorf("ambiguous %s resolves to %s", written+f, r.Code)
					}
					continue
				}
				n++
				switch {
				case r.Code == u.Code:
					good++
				case r.Code == "":
					none++
				case !r.County && strings.HasPrefix(u.Code, strings.TrimRight(r.Code, "0")):
					partial++
				default:
					wrong++
					t.Errorf("%s (%s) resolves to %s", written+f, u.Code, r.Code)
				}
				if r.Code != u.Code && f == "" {
					t.Logf("%s (%s): %+v", written, u.Code, r)
				}
			}
		}
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%.2f\t  %s\n", n, good, none, partial, wrong, ambiguous, 100*float64(good)/float64(n), s.name)
		if float64(good) < 0.995*float64(n) {
			t.Errorf("%s: %d of %d resolve to their own code, want 99.5 %%", s.name, good, n)
		}
	}
	table.Flush()
	if len(units) < 2850 {
		t.Errorf("only %d current units", len(units))
	}
}
