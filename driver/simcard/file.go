package simcard

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a cards file.
const (
	maxCardsFile = 4 << 20
	maxCards     = 20_000
)

// seedCards is how many cards "seed:N" stands for.
const seedCards = 2000

// Error is a mistake in a cards file. It quotes keys, never values.
type Error struct {
	Line int    // 1-based
	Key  string // "" if the mistake is not in one key
	Err  error
}

func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d, %s: %v", e.Line, e.Key, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Load gives the cards of a source: "seed:N" is [Generate], anything else a
// file for [Read].
func Load(source string) ([]Card, error) {
	if n, ok := strings.CutPrefix(source, "seed:"); ok {
		seed, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cards %q: want seed:N with a whole number N", source)
		}
		return Generate(seed, seedCards), nil
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cards, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return cards, nil
}

// Read reads a YAML or JSON list of cards; docs/simulator.md documents the
// keys. A mistake is a [Error].
func Read(r io.Reader) ([]Card, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCardsFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxCardsFile:
		return nil, fmt.Errorf("more than %d bytes", maxCardsFile)
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			return nil, &Error{Line: syntax.Token.Position.Line, Err: errors.New("no valid YAML")}
		}
		return nil, &Error{Line: 1, Err: errors.New("no valid YAML")}
	}
	if len(file.Docs) != 1 {
		return nil, &Error{Line: 1, Err: fmt.Errorf("%d documents; want one list of cards", len(file.Docs))}
	}
	list, ok := file.Docs[0].Body.(*ast.SequenceNode)
	if !ok {
		return nil, &Error{Line: lineOf(file.Docs[0].Body), Err: errors.New("want a list of cards, each beginning with \"- kind:\"")}
	}
	if len(list.Values) == 0 || len(list.Values) > maxCards {
		return nil, &Error{Line: lineOf(list), Err: fmt.Errorf("%d cards; want 1 to %d", len(list.Values), maxCards)}
	}
	cards := make([]Card, 0, len(list.Values))
	for _, node := range list.Values {
		c, err := readCard(node)
		if err != nil {
			return nil, err
		}
		cards = append(cards, c)
	}
	return cards, nil
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// cardKey is a key of the file: the kinds that have it (none: all) and what it
// sets.
type cardKey struct {
	name  string
	kinds []string
	set   func(*Card, string) error
}

func text(at func(*Card) *string) func(*Card, string) error {
	return func(c *Card, s string) error { *at(c) = s; return nil }
}

var isoDate = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2})$`)

// date writes YYYY-MM-DD without its hyphens and anything else as it stands, 长期
// and impossible dates included.
func date(at func(*Card) *string) func(*Card, string) error {
	return func(c *Card, s string) error { *at(c) = isoDate.ReplaceAllString(s, "$1$2$3"); return nil }
}

var cardKeys = []cardKey{
	{"kind", nil, func(c *Card, s string) error {
		if _, ok := marks[s]; !ok {
			return fmt.Errorf("unknown kind; there are %s, %s, %s, %s", Resident, HMTPermit, ForeignPR2017, ForeignPR2023)
		}
		c.Kind = s
		return nil
	}},
	{"name", nil, text(func(c *Card) *string { return &c.Name })},
	{"name_units", nil, func(c *Card, s string) (err error) { c.NameUnits, err = hexUnits(s); return err }},
	{"name_en", []string{ForeignPR2017, ForeignPR2023}, text(func(c *Card) *string { return &c.NameEn })},
	{"sex", nil, text(func(c *Card) *string { return &c.Sex })},
	{"ethnic", []string{Resident}, text(func(c *Card) *string { return &c.Ethnic })},
	{"nationality", []string{ForeignPR2017, ForeignPR2023}, text(func(c *Card) *string { return &c.Nationality })},
	{"birth_date", nil, date(func(c *Card) *string { return &c.Birth })},
	{"number", nil, text(func(c *Card) *string { return &c.Number })},
	{"address", []string{Resident, HMTPermit}, text(func(c *Card) *string { return &c.Address })},
	{"issuing_authority", []string{Resident, HMTPermit}, text(func(c *Card) *string { return &c.Authority })},
	{"valid_from", nil, date(func(c *Card) *string { return &c.ValidFrom })},
	{"valid_to", nil, date(func(c *Card) *string { return &c.ValidTo })},
	{"appended_addresses", nil, nil},
	{"pass_number", []string{HMTPermit}, text(func(c *Card) *string { return &c.PassNumber })},
	{"issue_count", []string{HMTPermit}, text(func(c *Card) *string { return &c.IssueCount })},
	{"version", []string{ForeignPR2017}, text(func(c *Card) *string { return &c.Version })},
	{"authority_code", []string{ForeignPR2017}, text(func(c *Card) *string { return &c.AuthorityCode })},
	{"renewals", []string{ForeignPR2023}, text(func(c *Card) *string { return &c.Renewals })},
	{"old_link", []string{ForeignPR2023}, text(func(c *Card) *string { return &c.OldLink })},
	{"mark", nil, func(c *Card, s string) error {
		u := units(s)
		if len(u) != 1 || u[0] == 0 {
			return errors.New("want one character")
		}
		c.Mark = u[0]
		return nil
	}},
	{"raw_text", nil, func(c *Card, s string) error {
		b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
		if err != nil || len(b) != 256 {
			return errors.New("want 512 hex digits")
		}
		c.RawText = (*[256]byte)(b)
		return nil
	}},
	{"fingerprint_bytes", nil, func(c *Card, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n != 0 && n != 512 && n != 1024 {
			return errors.New("want 0, 512 or 1024")
		}
		c.Fingerprint = n
		return nil
	}},
	{"refuse", nil, func(c *Card, s string) error {
		n, err := strconv.ParseUint(s, 16, 8)
		if err != nil || !slices.Contains([]byte{0x31, 0x32, 0x33, 0x40, 0x41, 0x47, 0x81}, byte(n)) {
			return errors.New("want one of the statuses 31, 32, 33, 40, 41, 47, 81")
		}
		c.Refuse = byte(n)
		return nil
	}},
}

func keyNames() string {
	var names []string
	for _, k := range cardKeys {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func hexUnits(s string) ([]uint16, error) {
	var out []uint16
	for f := range strings.FieldsSeq(s) {
		u, err := strconv.ParseUint(f, 16, 16)
		if err != nil || len(f) != 4 {
			return nil, errors.New("want code units of four hex digits each, e.g. 5F20 E863")
		}
		out = append(out, uint16(u))
	}
	if out == nil {
		return nil, errors.New("want at least one code unit")
	}
	return out, nil
}

func readCard(node ast.Node) (Card, error) {
	entries, ok := node.(ast.MapNode)
	if !ok {
		return Card{}, &Error{Line: lineOf(node), Err: errors.New("want a card: keys with values")}
	}
	var c Card
	lines := map[string]int{}
	for it := entries.MapRange(); it.Next(); {
		name, line := it.Key().GetToken().Value, lineOf(it.Key())
		i := slices.IndexFunc(cardKeys, func(k cardKey) bool { return k.name == name })
		if i < 0 {
			return Card{}, &Error{line, name, fmt.Errorf("unknown key; there are %s", keyNames())}
		}
		if _, twice := lines[name]; twice {
			return Card{}, &Error{line, name, errors.New("stands twice")}
		}
		lines[name] = line
		var err error
		if set := cardKeys[i].set; set != nil {
			var value string
			if value, err = scalar(it.Value()); err == nil {
				err = set(&c, value)
			}
		} else {
			c.Appended, err = scalars(it.Value())
		}
		if err != nil {
			return Card{}, &Error{line, name, err}
		}
	}
	if err := c.fits(lines, lineOf(node)); err != nil {
		return Card{}, err
	}
	return c, nil
}

// fits checks a card as a whole: a kind, keys that the kind has, room on the chip.
func (c Card) fits(lines map[string]int, first int) error {
	if c.RawText != nil {
		return nil
	}
	if c.Kind == "" {
		return &Error{first, "kind", errors.New("is missing")}
	}
	for _, k := range cardKeys {
		if line, there := lines[k.name]; there && k.kinds != nil && !slices.Contains(k.kinds, c.Kind) {
			return &Error{line, k.name, fmt.Errorf("a %s has no such field", c.Kind)}
		}
	}
	if key, err := c.check(); err != nil {
		line := lines[key]
		if line == 0 { // name given by name_units
			key, line = "name_units", lines["name_units"]
		}
		return &Error{line, key, err}
	}
	return nil
}

// scalar is a value as it stands in the file, so that 01 keeps its zero.
func scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	}
	return "", errors.New("want a text or a number")
}

func scalars(n ast.Node) ([]string, error) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, errors.New("want a list of texts")
	}
	var out []string
	for _, v := range list.Values {
		s, err := scalar(v)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
