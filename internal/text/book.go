package text

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

//go:embed texts.json
var textsFile []byte

var texts = MustLoad("text", textsFile)

// Who can do something about what a code means.
type Who string

// The people, by their tools and rights.
const (
	Clerk         Who = "clerk"         // at the desk, without tools or rights
	Technician    Who = "technician"    // of the desk, may install and configure
	Administrator Who = "administrator" // of the servers or the network
)

// In names them.
func (w Who) In(lang Lang) string { return texts.Say("who." + string(w)).In(lang) }

// Entry is what people are told about one code.
type Entry struct {
	Title Text // one line
	Why   Text // how it comes about
	Do    Text // one action
	Then  Text // what a technician does where the action was not enough; may be empty
	Who   Who  // who acts
	Look
}

// Look is how the page shows a state. Tone and icon are classes of its style
// sheet, the sound is one of its own.
type Look struct {
	Tone  string `json:"tone,omitempty"`
	Icon  string `json:"icon,omitempty"`
	Sound string `json:"sound,omitempty"`
}

// stored is an entry as the file has it: either the two languages alone or the
// parts.
type stored struct {
	Text
	Title *part `json:"title"`
	Why   *part `json:"why"`
	Do    *part `json:"do"`
	Then  *part `json:"then"`
	Who   Who   `json:"who"`
	Look
}

// part is a text, or the key of a message of the same file that says it: what is
// told about several codes is written once.
type part struct {
	Text
	key string
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *part) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &p.key)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(&p.Text)
}

// Book is one owner's texts.
type Book struct {
	keys    []string // in the order of the file
	entries map[string]Entry
	shared  map[string]bool // messages that entries refer to
}

// MustLoad is Load for a file that is part of the program: it panics.
func MustLoad(owner string, file []byte) Book {
	b, err := Load(owner, file)
	if err != nil {
		panic(err)
	}
	return b
}

// Load reads an owner's file. It fails on a key that stands twice, on an unknown
// part, on a language that is missing, and on verbs that differ between the
// languages, and names the key.
func Load(owner string, file []byte) (Book, error) {
	b := Book{entries: map[string]Entry{}, shared: map[string]bool{}}
	found := map[string]stored{}
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return b, fmt.Errorf("texts of %s: want one object", owner)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return b, fmt.Errorf("texts of %s: %w", owner, err)
		}
		key := t.(string)
		var s stored
		if err := d.Decode(&s); err != nil {
			return b, fmt.Errorf("texts of %s: %q: %w", owner, key, err)
		}
		if _, twice := found[key]; twice {
			return b, fmt.Errorf("texts of %s: %q is there twice", owner, key)
		}
		found[key] = s
		b.keys = append(b.keys, key)
	}
	if _, err := d.Token(); err != nil {
		return b, fmt.Errorf("texts of %s: %w", owner, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return b, fmt.Errorf("texts of %s: something follows the object", owner)
	}
	for key, s := range found {
		e, err := s.entry(func(key string) Text { b.shared[key] = true; return found[key].Text })
		if err != nil {
			return b, fmt.Errorf("texts of %s: %q: %w", owner, key, err)
		}
		b.entries[key] = e
	}
	return b, nil
}

// entry makes the entry of a key; of is the text of another one.
func (s stored) entry(of func(string) Text) (Entry, error) {
	e := Entry{Who: s.Who, Look: s.Look}
	if s.Title == nil {
		if s.Why != nil || s.Do != nil || s.Then != nil || s.Who != "" || s.Look != (Look{}) {
			return e, errors.New("has no title")
		}
		e.Title = s.Text
		return e, sound("text", s.Text)
	}
	if !s.Text.IsZero() {
		return e, errors.New("has a title and a plain text")
	}
	if s.Why == nil || s.Do == nil || !slices.Contains([]Who{Clerk, Technician, Administrator}, s.Who) {
		return e, errors.New("want title, why, do and who (clerk, technician or administrator)")
	}
	var problems []error
	for _, p := range []struct {
		name string
		from *part
		to   *Text
	}{{"title", s.Title, &e.Title}, {"why", s.Why, &e.Why}, {"do", s.Do, &e.Do}, {"then", s.Then, &e.Then}} {
		if p.from == nil {
			continue
		}
		if *p.to = p.from.Text; p.from.key != "" {
			*p.to = of(p.from.key)
		}
		problems = append(problems, sound(p.name, *p.to))
	}
	return e, errors.Join(problems...)
}

// verbs are those of package fmt without the index of the argument.
var (
	verbs = regexp.MustCompile(`%[-+#0]*[0-9.]*(\[[0-9]+\])?[a-zA-Z%]`)
	index = regexp.MustCompile(`\[[0-9]+\]`)
)

// sound checks one text.
func sound(part string, t Text) error {
	if t.Zh == "" || t.En == "" {
		return fmt.Errorf("%s: a language is missing", part)
	}
	if zh, en := verbsOf(t.Zh), verbsOf(t.En); !slices.Equal(zh, en) {
		return fmt.Errorf("%s: the verbs differ, zh %q, en %q", part, zh, en)
	}
	return nil
}

func verbsOf(s string) []string {
	found := verbs.FindAllString(s, -1)
	for i := range found {
		found[i] = index.ReplaceAllString(found[i], "")
	}
	slices.Sort(found)
	return found
}

// Keys returns the keys in the order of the file.
func (b Book) Keys() []string { return slices.Clone(b.keys) }

// Shared reports whether entries refer to the message.
func (b Book) Shared(key string) bool { return b.shared[key] }

// Has reports whether there is a text for the key.
func (b Book) Has(key string) bool {
	_, ok := b.entries[key]
	return ok
}

// Entry returns what is told about a code. A key without a text, which
// TestBooks keeps out, stands for itself.
func (b Book) Entry(code string) Entry {
	if e, ok := b.entries[code]; ok {
		return e
	}
	return Entry{Title: Plain(code), Why: Plain(code), Do: Plain(code), Who: Technician}
}

// Say returns a message with its verbs filled in, or the title of a code.
func (b Book) Say(key string, args ...any) Text { return b.Entry(key).Title.With(args...) }

// Errorf returns an error with the message of the key. Its Error is the English
// text; [Of] returns it in any language. Errors among the arguments are wrapped.
func (b Book) Errorf(key string, args ...any) error {
	e := &textError{said: b.Say(key, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			e.wrapped = append(e.wrapped, err)
		}
	}
	return e
}
