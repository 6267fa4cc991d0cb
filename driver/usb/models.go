package usb

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// table is one line per USB id that is known: how the reader carries frames
// ("none": recognised, explained and never opened), the class filter its
// interface must fit, who makes it, the sources that say so, and how many people
// have reported it working.
//
//go:embed models.csv
var table []byte

const columns = "id,form,class,maker_zh,maker_en,sources,seen,note_zh,note_en"

// ID is a USB vendor and product number.
type ID struct{ Vendor, Product uint16 }

// String prints the id as udev does: lower case, four digits each.
func (id ID) String() string { return fmt.Sprintf("%04x:%04x", id.Vendor, id.Product) }

var idText = regexp.MustCompile(`^[0-9a-f]{4}:[0-9a-f]{4}$`)

func parseID(s string) (ID, error) {
	s = strings.ToLower(s)
	if !idText.MatchString(s) {
		return ID{}, fmt.Errorf("%q: want vendor and product as four hex digits each, e.g. 0400:c35a", s)
	}
	vendor, _ := strconv.ParseUint(s[:4], 16, 16)
	product, _ := strconv.ParseUint(s[5:], 16, 16)
	return ID{uint16(vendor), uint16(product)}, nil
}

// Forms as the table has them. Whether a bulk reader has two or four pipes, its
// descriptors say.
const (
	formBulk   = "bulk"
	formBare   = "hid-bare"
	formMiaxis = "hid-miaxis"
	formNone   = "none"
)

// Model is a line of the table.
type Model struct {
	ID      ID
	Form    string // bulk, hid-bare, hid-miaxis; none: never opened
	Class   string // class[/subclass/protocol] of its interface in hex; empty: any
	Maker   Words
	Sources []string // keys of docs/sources.md
	Seen    int      // people who reported it working
	Note    Words
}

// Words is a phrase in both languages.
type Words struct{ Zh, En string }

// Driven reports whether this program can use the reader.
func (m Model) Driven() bool { return m.Form != formNone }

// Models lists the table.
func Models() []Model { return slices.Clone(models()) }

var models = sync.OnceValue(func() []Model {
	list, err := readModels(table)
	if err != nil {
		panic(err) // embedded; a test reads it
	}
	return list
})

func modelOf(id ID) (Model, bool) {
	i := slices.IndexFunc(models(), func(m Model) bool { return m.ID == id })
	if i < 0 {
		return Model{}, false
	}
	return models()[i], true
}

var classText = regexp.MustCompile(`^([0-9a-f]{2}(/[0-9a-f]{2}/[0-9a-f]{2})?)?$`)

func readModels(table []byte) ([]Model, error) {
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != columns {
		return nil, fmt.Errorf("models: want the columns %s", columns)
	}
	list := make([]Model, 0, len(rows)-1)
	for i, r := range rows[1:] {
		m, err := readModel(r)
		if err == nil && slices.ContainsFunc(list, func(o Model) bool { return o.ID == m.ID }) {
			err = fmt.Errorf("%s is there twice", m.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("models: line %d: %w", i+2, err)
		}
		list = append(list, m)
	}
	return list, nil
}

func readModel(r []string) (Model, error) {
	m := Model{Form: r[1], Class: r[2], Maker: Words{r[3], r[4]}, Note: Words{r[7], r[8]}}
	var err error
	if m.ID, err = parseID(r[0]); err != nil {
		return m, err
	}
	if !slices.Contains([]string{formBulk, formBare, formMiaxis, formNone}, m.Form) {
		return m, fmt.Errorf("form %q is unknown", m.Form)
	}
	if !classText.MatchString(m.Class) || m.Driven() && m.Class == "" {
		return m, fmt.Errorf("class %q: want two hex digits, or three pairs with slashes", m.Class)
	}
	if m.Seen, err = strconv.Atoi(r[6]); err != nil || m.Seen < 0 {
		return m, fmt.Errorf("seen %q: want a count", r[6])
	}
	for _, s := range strings.Split(r[5], ",") {
		m.Sources = append(m.Sources, strings.TrimSpace(s))
	}
	if slices.Contains(m.Sources, "") || slices.Contains([]string{m.Maker.Zh, m.Maker.En, m.Note.Zh, m.Note.En}, "") {
		return m, fmt.Errorf("incomplete")
	}
	return m, nil
}
