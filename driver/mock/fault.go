package mock

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"idtap/driver/sam"
)

// Faults is what a line does to a module's answers. The zero Faults do nothing.
// Make them with [ParseFaults].
type Faults struct {
	seed  uint64
	split int
	rules []rule
}

// rule is one fault with how often it strikes.
type rule struct {
	kind  faultKind
	share float64       // of the answers; or
	every int           // each Nth answer
	delay time.Duration // of faultDelay
	only  sam.Code      // strikes answers to this command only; 0: to all
}

type faultKind string

const (
	faultFlip       faultKind = "flip"        // one bit inverted
	faultPair       faultKind = "pair"        // two bits of one column inverted: the XOR still fits
	faultBurst      faultKind = "burst"       // 2 to 32 bytes in a row overwritten
	faultDrop       faultKind = "drop"        // one byte lost
	faultDouble     faultKind = "double"      // one byte twice
	faultCut        faultKind = "cut"         // the rest of the answer never comes
	faultStall      faultKind = "stall"       // no answer
	faultJunk       faultKind = "junk"        // 1 to 16 random bytes before the answer
	faultFalseStart faultKind = "false-start" // a preamble and a length before the answer, and nothing behind them
	faultForeign    faultKind = "foreign"     // another protocol's message before the answer
	faultDelay      faultKind = "delay"       // the answer comes late
	faultLift       faultKind = "lift"        // the card leaves while its text is read
	faultUnplug     faultKind = "unplug"      // the reader leaves in the middle of the answer
)

// faultKinds are the rules, in the order in which they are applied.
var faultKinds = []faultKind{faultStall, faultPair, faultFlip, faultBurst, faultDrop, faultDouble, faultCut,
	faultJunk, faultFalseStart, faultForeign, faultDelay, faultLift, faultUnplug}

// faultCommands are the names behind the colon.
var faultCommands = []struct {
	name string
	code sam.Code
}{
	{"find", sam.CmdFind}, {"select", sam.CmdSelect}, {"read", sam.CmdReadText}, {"address", sam.CmdReadAddress},
	{"management", sam.CmdReadManagement}, {"id", sam.CmdSAMID}, {"self-test", sam.CmdSelfTest},
}

// FaultNames lists the names that ParseFaults knows.
func FaultNames() []string {
	names := []string{"seed", "split"}
	for _, k := range faultKinds {
		names = append(names, string(k))
	}
	return names
}

// ParseFaults reads a comma-separated list of faults:
//
//	NAME=RATE[:COMMAND]   RATE a share with a point (0.02) or a whole number N: each Nth answer
//	delay=DURATION[:COMMAND]
//	split=N               answers arrive in pieces of N bytes
//	seed=N                of the random choices; 1 if not given
//
// The same rule may stand several times. An error names the token, what is wrong
// with it and what would be right.
func ParseFaults(spec string) (Faults, error) {
	f := Faults{seed: 1}
	if strings.TrimSpace(spec) == "" {
		return f, nil
	}
	for token := range strings.SplitSeq(spec, ",") {
		if err := f.parse(strings.TrimSpace(token)); err != nil {
			return Faults{}, fmt.Errorf("fault %q: %w", token, err)
		}
	}
	return f, nil
}

func (f *Faults) parse(token string) error {
	name, value, ok := strings.Cut(token, "=")
	if !slices.Contains(FaultNames(), name) {
		return fmt.Errorf("unknown name; there are %s", strings.Join(FaultNames(), ", "))
	}
	if !ok || value == "" {
		return fmt.Errorf("want %s=VALUE", name)
	}
	switch name {
	case "seed":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		f.seed = n
		return nil
	case "split":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 4096 {
			return fmt.Errorf("want a number of bytes, 1 to 4096")
		}
		f.split = n
		return nil
	}
	r := rule{kind: faultKind(name)}
	value, command, limited := strings.Cut(value, ":")
	if limited {
		i := slices.IndexFunc(faultCommands, func(c struct {
			name string
			code sam.Code
		}) bool {
			return c.name == command
		})
		if i < 0 {
			var names []string
			for _, c := range faultCommands {
				names = append(names, c.name)
			}
			return fmt.Errorf("unknown command %q; there are %s", command, strings.Join(names, ", "))
		}
		r.only = faultCommands[i].code
	} else if r.kind == faultLift {
		r.only = sam.CmdReadText
	}
	if err := r.rate(value); err != nil {
		return err
	}
	f.rules = append(f.rules, r)
	return nil
}

// rate reads how often, or for delay how long.
func (r *rule) rate(value string) error {
	if r.kind == faultDelay {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 || d > time.Minute {
			return fmt.Errorf("want a duration up to 1m, e.g. 50ms")
		}
		r.delay, r.every = d, 1
		return nil
	}
	if strings.Contains(value, ".") {
		share, err := strconv.ParseFloat(value, 64)
		if err != nil || !(share > 0 && share <= 1) {
			return fmt.Errorf("want a share above 0 and up to 1.0, e.g. 0.02")
		}
		r.share = share
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return fmt.Errorf("want a share such as 0.02, or a whole number N for each Nth answer")
	}
	r.every = n
	return nil
}

// Has reports whether a fault of that name can strike.
func (f Faults) Has(name string) bool {
	return slices.ContainsFunc(f.rules, func(r rule) bool { return string(r.kind) == name })
}

// injector applies Faults to the answers of one module. Its owner locks.
type injector struct {
	Faults
	rnd   *rand.Rand
	seen  []int // answers each rule has seen
	count map[string]int
}

func newInjector(f Faults) *injector {
	return &injector{Faults: f, rnd: rand.New(rand.NewPCG(f.seed, 0xFA017)), seen: make([]int, len(f.rules)), count: map[string]int{}}
}

func (in *injector) injected() map[string]int {
	out := make(map[string]int, len(in.count))
	for k, n := range in.count {
		out[k] = n
	}
	return out
}

// strikes asks the rules of one kind whether this answer is theirs.
func (in *injector) strikes(kind faultKind, code sam.Code) bool {
	return in.ask(kind, code) != nil
}

func (in *injector) ask(kind faultKind, code sam.Code) *rule {
	var hit *rule
	for i := range in.rules {
		r := &in.rules[i]
		if r.kind != kind || r.only != 0 && r.only != code {
			continue
		}
		in.seen[i]++
		if r.every > 0 && in.seen[i]%r.every == 0 || r.share > 0 && in.rnd.Float64() < r.share {
			hit = r
		}
	}
	if hit != nil {
		in.count[string(kind)]++
	}
	return hit
}

// damage turns an answer into what arrives: pieces, or none at all.
func (in *injector) damage(code sam.Code, frame []byte) []piece {
	if in.strikes(faultStall, code) {
		return nil
	}
	for _, kind := range []faultKind{faultPair, faultFlip, faultBurst, faultDrop, faultDouble, faultCut} {
		if in.strikes(kind, code) {
			frame = in.spoil(kind, frame)
		}
	}
	for _, kind := range []faultKind{faultJunk, faultFalseStart, faultForeign} {
		if in.strikes(kind, code) {
			frame = append(in.noise(kind), frame...)
		}
	}
	p := piece{bytes: frame}
	if r := in.ask(faultDelay, code); r != nil {
		p.after = r.delay
	}
	if in.strikes(faultUnplug, code) {
		p.gone = true
		p.bytes = frame[:in.rnd.IntN(len(frame))]
	}
	return in.pieces(p)
}

// spoil changes a frame of at least 11 bytes.
func (in *injector) spoil(kind faultKind, frame []byte) []byte {
	at := in.rnd.IntN(len(frame))
	switch kind {
	case faultFlip:
		frame[at] ^= 1 << in.rnd.IntN(8)
	case faultPair:
		first := 7 // a bare status: its own bytes and the XOR
		if len(frame) > 12 {
			first = 10 // data
		}
		a := first + in.rnd.IntN(len(frame)-1-first)
		b := a + 1 + in.rnd.IntN(len(frame)-1-a)
		bit := byte(1) << in.rnd.IntN(8)
		frame[a] ^= bit
		frame[b] ^= bit
	case faultBurst:
		for i, end := at, min(len(frame), at+2+in.rnd.IntN(31)); i < end; i++ {
			frame[i] = byte(in.rnd.Uint32())
		}
	case faultDrop:
		frame = slices.Delete(frame, at, at+1)
	case faultDouble:
		frame = slices.Insert(frame, at, frame[at])
	case faultCut:
		frame = frame[:at]
	}
	return frame
}

// foreignMessages share a reader's line with the module: a board's STX..ETX block,
// a CCID-like message, text, and a vendor's time-out frame that declares five
// bytes and carries three [LIBID2, MINS, CAP3, CW].
var foreignMessages = [][]byte{
	{0x02, 0x00, 0x04, 0x30, 0x31, 0x32, 0x33, 0x03},
	{0x80, 0x02, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x90, 0x00},
	[]byte("READY\r\n"),
	{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x05, 0x05, 0x05, 0x05},
}

func (in *injector) noise(kind faultKind) []byte {
	switch kind {
	case faultFalseStart:
		return []byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, byte(in.rnd.IntN(16)), byte(4 + in.rnd.IntN(252))}
	case faultForeign:
		return slices.Clone(foreignMessages[in.rnd.IntN(len(foreignMessages))])
	default:
		junk := make([]byte, 1+in.rnd.IntN(16))
		for i := range junk {
			junk[i] = byte(in.rnd.Uint32())
		}
		return junk
	}
}

func (in *injector) pieces(p piece) []piece {
	var out []piece
	for in.split > 0 && len(p.bytes) > in.split {
		out = append(out, piece{after: p.after, bytes: p.bytes[:in.split]})
		p.after, p.bytes = 0, p.bytes[in.split:]
	}
	return append(out, p)
}
