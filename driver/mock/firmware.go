package mock

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"idtap/driver/sam"
)

// Timing says how long a module is busy with a command before its answer begins
// and how fast its line is. The zero Timing answers at once.
type Timing struct {
	Find    time.Duration // a card is there
	Miss    time.Duration // a find without a card
	Select  time.Duration
	Read    time.Duration // 30 01, 30 10
	Address time.Duration // 30 03, 30 05
	Other   time.Duration // reset, self-test, id
	Baud    int           // 8N1 pace both ways; 0: bytes take no time
}

// DeskTiming is a module of ordinary speed at 115200. No measured durations are
// public: these are ours, chosen so that a whole read takes about half a second.
var DeskTiming = Timing{
	Find: 25 * time.Millisecond, Miss: 60 * time.Millisecond, Select: 30 * time.Millisecond,
	Read: 250 * time.Millisecond, Address: 30 * time.Millisecond, Other: 5 * time.Millisecond, Baud: 115200,
}

func (t Timing) of(c sam.Code) time.Duration {
	switch c {
	case sam.CmdFind:
		return t.Find
	case sam.CmdSelect:
		return t.Select
	case sam.CmdReadText, readAll:
		return t.Read
	case sam.CmdReadAddress, sam.CmdReadManagement:
		return t.Address
	default:
		return t.Other
	}
}

// lineTime is how long n bytes of 8N1 take.
func lineTime(n, baud int) time.Duration {
	if baud == 0 {
		return 0
	}
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}

// Quirks are what firmware in the field does differently. The zero Quirks are
// plain firmware: a card that was read is not found again until it is lifted, and
// a bare 30 01 reads it again.
type Quirks struct {
	Refinds        bool          // finds a resting card again and again [ROUTON, YINAN]
	ReadsOnce      bool          // refuses a second 30 01 without a new find
	FirstFindFails bool          // answers the first find after placing with 80 [SDTC, DELPHI]
	FirstReadFails bool          // answers the first read after placing with 41
	ChipNumbers    bool          // fills IIN and SN, which are zero in every published answer
	CardWords      bool          // relays the card's words in SW1 SW2 beside 31 41 47 81 [SOFTS]
	MergedSelect   bool          // reads after a find alone [DKHID]
	NoAddress      bool          // does not know 30 03
	NoManagement   bool          // does not know 30 05
	SelfTestFailed bool          // answers everything with 60
	Unauthorised   bool          // answers everything with 66
	PowerUp        time.Duration // deaf for that long after power-up and reset [ROUTON: 2.1 s]
}

// quirk is one name on the command line. set is nil for power-up, which takes a
// duration.
type quirk struct {
	name string
	set  func(*Quirks)
}

var quirkNames = []quirk{
	{"refinds", func(q *Quirks) { q.Refinds = true }},
	{"reads-once", func(q *Quirks) { q.ReadsOnce = true }},
	{"first-find-fails", func(q *Quirks) { q.FirstFindFails = true }},
	{"first-read-fails", func(q *Quirks) { q.FirstReadFails = true }},
	{"chip-numbers", func(q *Quirks) { q.ChipNumbers = true }},
	{"card-words", func(q *Quirks) { q.CardWords = true }},
	{"merged-select", func(q *Quirks) { q.MergedSelect = true }},
	{"no-address", func(q *Quirks) { q.NoAddress = true }},
	{"no-management", func(q *Quirks) { q.NoManagement = true }},
	{"self-test-failed", func(q *Quirks) { q.SelfTestFailed = true }},
	{"unauthorised", func(q *Quirks) { q.Unauthorised = true }},
	{"power-up", nil},
}

// QuirkNames lists what ParseQuirks knows.
func QuirkNames() []string {
	var names []string
	for _, q := range quirkNames {
		names = append(names, q.name)
	}
	return names
}

// ParseQuirks reads a comma-separated list of names; power-up takes a duration
// after "=". An error names the token and the valid ones.
func ParseQuirks(list string) (Quirks, error) {
	var q Quirks
	for token := range strings.SplitSeq(list, ",") {
		token = strings.TrimSpace(token)
		if token == "" && strings.TrimSpace(list) == "" {
			break
		}
		name, value, hasValue := strings.Cut(token, "=")
		i := slices.IndexFunc(quirkNames, func(k quirk) bool { return k.name == name })
		switch {
		case i < 0:
			return Quirks{}, fmt.Errorf("quirk %q is unknown; there are %s", token, strings.Join(QuirkNames(), ", "))
		case quirkNames[i].set != nil && hasValue:
			return Quirks{}, fmt.Errorf("quirk %q: %s takes no value", token, name)
		case quirkNames[i].set != nil:
			quirkNames[i].set(&q)
		default:
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 || d > time.Minute {
				return Quirks{}, fmt.Errorf("quirk %q: want a duration up to 1m, e.g. %s=2s", token, name)
			}
			q.PowerUp = d
		}
	}
	return q, nil
}
