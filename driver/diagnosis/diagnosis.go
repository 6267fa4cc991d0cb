// Package diagnosis is what a diagnosis is made of.
//
// A [Check] looks at one thing and writes what it saw on a [Sheet]: facts, and a
// [Finding] for each thing that is wrong. What can be wrong is data: an [Entry]
// with a stable code says what it is, why it comes up, what to do and who may do
// it, in both languages. Checks and entries stand beside what they check, in the
// drivers, the queue, the bus and the page; this package knows none of them.
//
// An entry also names the codes that explain it. A finding that another one
// explains is folded into that one, so that one cause shows once: a queue that
// grows old because the server is away is told as the server's absence.
//
// Nothing personal goes onto a sheet. What it says may be pasted anywhere.
package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"idtap/internal/text"
)

// Text is a sentence in both languages, see package text.
type Text = text.Text

// Group is where a check stands in the output.
type Group string

// The groups in the order in which they are printed.
const (
	System Group = "system"
	PCSC   Group = "pcsc"
	Serial Group = "serial"
	SAM    Group = "sam"
	Cards  Group = "cards"
	Queue  Group = "queue"
	Bus    Group = "bus"
	Page   Group = "page"
)

// Groups lists them in that order.
var Groups = []Group{System, PCSC, Serial, SAM, Cards, Queue, Bus, Page}

// InOrder sorts groups as they are printed. A group of a driver's own that is
// not listed here comes before the modules, in order of its name.
func InOrder(list []Group) []Group {
	rank := func(g Group) int {
		if i := slices.Index(Groups, g); i >= 0 {
			return 2 * i
		}
		return 2*slices.Index(Groups, SAM) - 1
	}
	return slices.SortedFunc(slices.Values(list), func(a, b Group) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

// Level says how bad something is. The order is that of [Level.worse].
type Level string

const (
	OK         Level = "ok"
	NotChecked Level = "not_checked" // said with a reason; nothing is known
	Warning    Level = "warning"     // works, or will stop working
	Critical   Level = "critical"    // does not work
	Unknown    Level = "unknown"     // could not be found out in time
)

var rank = map[Level]int{OK: 0, NotChecked: 1, Unknown: 2, Warning: 3, Critical: 4}

// worse is the worse of two levels.
func (l Level) worse(other Level) Level {
	if rank[other] > rank[l] {
		return other
	}
	return l
}

// ExitCode is the level for monitoring systems: 0 ok, 1 warning, 2 critical, 3
// unknown.
func (l Level) ExitCode() int {
	switch l {
	case Warning:
		return 1
	case Critical:
		return 2
	case Unknown:
		return 3
	}
	return 0
}

// Who can mend something.
type Who = text.Who

// The people, see package text.
const (
	Clerk         = text.Clerk
	Technician    = text.Technician
	Administrator = text.Administrator
)

// Entry of the catalogue: one thing that can be wrong.
type Entry struct {
	Code  string `json:"code"` // stable, lower case with underscores
	Level Level  `json:"level"`
	What  Text   `json:"what"` // one line
	Why   Text   `json:"why"`  // how it comes about
	Do    Text   `json:"do"`   // one action
	Who   Who    `json:"who"`  // who may do it
	// Because names the codes that explain this one: beside one of them about
	// the same subject, or about none, it is not told by itself.
	Because []string `json:"-"`
}

// Finding is something wrong.
type Finding struct {
	Entry
	Subject  string    `json:"subject,omitempty"`   // the reader, port, file or process that it is about
	Detail   string    `json:"detail,omitempty"`    // facts, e.g. "ModemManager (pid 812)"
	DetailZh string    `json:"detail_zh,omitempty"` // the same in Chinese where it differs
	Also     []Finding `json:"also,omitempty"`      // what follows from it
}

// DetailIn returns the facts in a language.
func (f Finding) DetailIn(lang text.Lang) string {
	if lang == text.Zh && f.DetailZh != "" {
		return f.DetailZh
	}
	return f.Detail
}

// Fact is something seen that is neither good nor bad.
type Fact struct {
	What    Text   `json:"what"`
	Value   string `json:"value"`
	ValueZh string `json:"value_zh,omitempty"` // the same in Chinese where it differs
}

// ValueIn returns the value in a language.
func (f Fact) ValueIn(lang text.Lang) string {
	if lang == text.Zh && f.ValueZh != "" {
		return f.ValueZh
	}
	return f.Value
}

// Result is what one check found.
type Result struct {
	Check    string    `json:"check"`
	Group    Group     `json:"group"`
	Level    Level     `json:"level"`
	Reason   *Text     `json:"reason,omitempty"` // of not checked and unknown
	Facts    []Fact    `json:"facts,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
	Took     Millis    `json:"took_ms"`
}

// Millis prints as whole milliseconds.
type Millis time.Duration

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", time.Duration(m).Milliseconds()), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(b []byte) error {
	var n int64
	_, err := fmt.Sscan(string(b), &n)
	*m = Millis(time.Duration(n) * time.Millisecond)
	return err
}

// Report is a whole diagnosis.
type Report struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	Via     string    `json:"via"` // "daemon" where a running one was asked, else "direct"
	Level   Level     `json:"level"`
	Took    Millis    `json:"took_ms"`
	Results []Result  `json:"results"`
}

// Findings lists what is wrong, folded findings left out, worst first.
func (r Report) Findings() []Finding {
	var list []Finding
	for _, level := range []Level{Critical, Warning} {
		for _, result := range r.Results {
			for _, f := range result.Findings {
				if f.Level == level {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// Add puts another diagnosis behind this one.
func (r *Report) Add(o Report) {
	r.Results = append(r.Results, o.Results...)
	r.Took += o.Took
	r.Level = r.Level.worse(o.Level)
}

// Sheet is what a check writes on. It belongs to the check's goroutine.
type Sheet struct {
	facts    []Fact
	findings []Finding
	skipped  *Text
	parts    map[Group]*Sheet
}

// In is the part of the sheet that stands in another group: a check of a reader
// looks at its port and at the module on it.
func (s *Sheet) In(g Group) *Sheet {
	if s.parts == nil {
		s.parts = map[Group]*Sheet{}
	}
	if s.parts[g] == nil {
		s.parts[g] = &Sheet{}
	}
	return s.parts[g]
}

func (s *Sheet) empty() bool { return len(s.facts) == 0 && len(s.findings) == 0 && s.skipped == nil }

// Fact notes something seen. The format is the same in both languages, what has
// words comes as a Text among the arguments.
func (s *Sheet) Fact(what Text, format string, args ...any) {
	value := text.Plain(format).With(args...)
	s.facts = append(s.facts, Fact{What: what, Value: value.En, ValueZh: unlessSame(value)})
}

// Find notes something wrong with a subject. Details are texts, errors, or
// strings that are the same in both languages; empty ones are left out.
func (s *Sheet) Find(e Entry, subject string, details ...any) {
	s.findings = append(s.findings, NewFinding(e, subject, details...))
}

// unlessSame is the Chinese of a text, "" where the English says the same.
func unlessSame(t Text) string {
	if t.Zh == t.En {
		return ""
	}
	return t.Zh
}

// Add notes findings made elsewhere.
func (s *Sheet) Add(f ...Finding) { s.findings = append(s.findings, f...) }

// NotChecked says why the check looked at nothing.
func (s *Sheet) NotChecked(why Text) { s.skipped = &why }

// Clean reports whether nothing wrong was noted.
func (s *Sheet) Clean() bool { return len(s.findings) == 0 }

// NewFinding returns a finding; see [Sheet.Find] for the details.
func NewFinding(e Entry, subject string, details ...any) Finding {
	var parts []Text
	for _, d := range details {
		switch d := d.(type) {
		case Text:
			parts = append(parts, d)
		case error:
			parts = append(parts, Text{Zh: text.Of(d, text.Zh), En: d.Error()})
		default:
			parts = append(parts, text.Plain(fmt.Sprint(d)))
		}
	}
	detail := text.Join(parts...)
	return Finding{Entry: e, Subject: subject, Detail: detail.En, DetailZh: unlessSame(detail)}
}

// NewEntry returns the entry of a code of its owner's book. because are the
// codes that explain it.
func NewEntry(b text.Book, code string, level Level, because ...string) Entry {
	e := b.Entry(code)
	return Entry{Code: code, Level: level, What: e.Title, Why: e.Why, Do: e.Do, Who: e.Who, Because: because}
}

// Say makes a Text.
func Say(zh, en string) Text { return Text{Zh: zh, En: en} }

// Found reports whether a code was noted.
func (s *Sheet) Found(code string) bool {
	return slices.ContainsFunc(s.findings, func(f Finding) bool { return f.Code == code })
}

// Clear takes back what was noted.
func (s *Sheet) Clear() { *s = Sheet{} }
