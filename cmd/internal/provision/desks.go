package provision

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Desk is one line of the table of desks.
type Desk struct {
	Line     int
	ID       string
	Name     string
	Division string
	Unit     string
	Operator string
	Driver   string // of the one reader; empty: readers are found
	Port     string
	Creds    string // path of the desk's .creds, relative to the table
	System   string // linux or windows
}

type column struct {
	name string
	of   func(*Desk) *string
}

// columns are the table's, with the field that each fills.
var columns = []column{
	{"id", func(d *Desk) *string { return &d.ID }},
	{"name", func(d *Desk) *string { return &d.Name }},
	{"division", func(d *Desk) *string { return &d.Division }},
	{"unit", func(d *Desk) *string { return &d.Unit }},
	{"operator", func(d *Desk) *string { return &d.Operator }},
	{"driver", func(d *Desk) *string { return &d.Driver }},
	{"port", func(d *Desk) *string { return &d.Port }},
	{"creds", func(d *Desk) *string { return &d.Creds }},
	{"system", func(d *Desk) *string { return &d.System }},
}

var deskID = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// maxTable bounds the table: some hundred bytes for each of ten thousand desks.
const maxTable = 4 << 20

// ReadDesks reads the table of desks: CSV in UTF-8 with a line of column names.
// isCounty reports whether a division is a county-level one of today. The error
// joins everything that is wrong.
func ReadDesks(r io.Reader, isCounty func(string) bool) ([]Desk, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTable+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxTable {
		return nil, texts.Errorf("too_large", "CSV", maxTable)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // Excel begins files so
	if !utf8.Valid(b) {
		return nil, texts.Errorf("not_utf8", foreignLine(b))
	}
	rows := csv.NewReader(bytes.NewReader(b))
	rows.TrimLeadingSpace = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, texts.Errorf("no_desks")
	}
	if err != nil {
		return nil, texts.Errorf("not_csv", err)
	}
	fields, err := fieldsOf(header)
	if err != nil {
		return nil, err
	}
	var desks []Desk
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, texts.Errorf("not_csv", err)
		}
		d := Desk{}
		d.Line, _ = rows.FieldPos(0)
		for i, value := range row {
			*fields[i](&d) = strings.TrimSpace(value)
		}
		desks = append(desks, d)
	}
	if len(desks) == 0 {
		return nil, texts.Errorf("no_desks")
	}
	return desks, checkDesks(desks, isCounty)
}

func foreignLine(b []byte) int {
	n := 1
	for line := range bytes.Lines(b) {
		if !utf8.Valid(line) {
			break
		}
		n++
	}
	return n
}

func fieldsOf(header []string) ([]func(*Desk) *string, error) {
	var fields []func(*Desk) *string
	var problems []error
	seen := map[string]bool{}
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		switch {
		case i < 0:
			problems = append(problems, texts.Errorf("unknown_column", name, columnNames()))
			continue
		case seen[name]:
			problems = append(problems, texts.Errorf("double_column", name))
		}
		seen[name] = true
		fields = append(fields, columns[i].of)
	}
	for _, needed := range []string{"id", "division"} {
		if !seen[needed] {
			problems = append(problems, texts.Errorf("missing_column", needed))
		}
	}
	return fields, errors.Join(problems...)
}

func columnNames() string {
	var list []string
	for _, c := range columns {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

func checkDesks(desks []Desk, isCounty func(string) bool) error {
	var problems []error
	lines := map[string]int{}
	for i := range desks {
		d := &desks[i]
		if d.System == "" {
			d.System = "linux"
		}
		switch first := lines[d.ID]; {
		case d.ID == "":
			problems = append(problems, texts.Errorf("missing_value", d.Line, "id"))
		case !deskID.MatchString(d.ID):
			problems = append(problems, texts.Errorf("bad_id", d.Line, d.ID))
		case first > 0:
			problems = append(problems, texts.Errorf("double_id", d.Line, d.ID, first))
		default:
			lines[d.ID] = d.Line
		}
		switch {
		case d.Division == "":
			problems = append(problems, texts.Errorf("missing_value", d.Line, "division"))
		case !isCounty(d.Division):
			problems = append(problems, texts.Errorf("unknown_division", d.Line, d.Division))
		}
		if d.System != "linux" && d.System != "windows" {
			problems = append(problems, texts.Errorf("bad_system", d.Line, d.System))
		}
	}
	return errors.Join(problems...)
}
