package sam

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"idtap/driver"
)

// repairBound is within which a command whose answer came damaged is sent again
// at 115200, wherever the damage lies.
const repairBound = 350 * time.Millisecond

// exchanges are the client's calls with the one answer of each that is damaged.
var exchanges = []struct {
	code   Code
	answer []byte
	call   func(*Client) error
}{
	{CmdSelfTest, status(OK), func(c *Client) error { _, err := c.SelfTest(context.Background()); return err }},
	{CmdSAMID, Answer(0, 0, OK, []byte("\x05\x00\x01\x00\x5B\x03\x33\x01\x5A\xB3\x1E\x00\x00\x00\x00\x00")), func(c *Client) error {
		_, err := c.exchange(context.Background(), cmdSAMID)
		return err
	}},
	{CmdMaxRF, status(OK), func(c *Client) error { _, err := c.exchange(context.Background(), cmdMaxRF, 0x50); return err }},
	{CmdFind, foundFrame, func(c *Client) error { _, err := c.Find(context.Background()); return err }},
	{CmdSelect, selectedFrame, func(c *Client) error { _, err := c.exchange(context.Background(), cmdSelect); return err }},
	{CmdReadText, cardFrame(specimen(4)), func(c *Client) error { _, err := c.exchange(context.Background(), cmdText); return err }},
	{CmdReadAddress, addressFrame(), func(c *Client) error { _, err := c.exchange(context.Background(), cmdAddress); return err }},
	{CmdReadAddress, noAddress, func(c *Client) error { _, err := c.exchange(context.Background(), cmdAddress); return err }},
	{CmdReadManagement, Answer(0, 0, OK, make([]byte, 28)), func(c *Client) error { _, err := c.Management(context.Background()); return err }},
}

func addressFrame() []byte {
	a, b := record('a'), record('b')
	return Answer(0, 0, OK, append(a[:], b[:]...))
}

// timed is a script that notes when each request was sent.
type timed struct {
	*script
	at []time.Time
}

func (s *timed) Write(ctx context.Context, frame []byte) error {
	s.at = append(s.at, s.clock.Now())
	return s.script.Write(ctx, frame)
}

// repair makes one exchange whose answer comes damaged first, as fast as the line
// carries it, and returns how long after the first request the second was sent.
func repair(t testing.TB, code Code, data []byte, damaged, good []byte, call func(*Client) error) (time.Duration, error) {
	const baud = 115200
	pieces := func(frame []byte) []piece { return split(frame, 16, wireTime(16, baud)) }
	s := &timed{script: newScript(t, step{want: code, data: data, answer: pieces(damaged)}, step{want: code, data: data, answer: pieces(good)})}
	c := NewClient(s, Options{Name: "front", Baud: baud, Clock: s.clock})
	err := call(c)
	if err == nil && len(s.at) == 2 {
		return s.at[1].Sub(s.at[0]), nil
	}
	s.steps = nil
	return 0, fmt.Errorf("%d requests, %w", len(s.at), err)
}

// damages are what a line does to one byte of an answer.
var damages = map[string]func(answer []byte, at int) []byte{
	"one bit": func(a []byte, at int) []byte { a[at] ^= 0x10; return a },
	"byte":    func(a []byte, at int) []byte { a[at] ^= 0xFF; return a },
	"lost":    func(a []byte, at int) []byte { return append(a[:at], a[at+1:]...) },
	"added":   func(a []byte, at int) []byte { return append(a[:at:at], append([]byte{0x55}, a[at:]...)...) },
}

// worstRepair damages every byte of every answer once and returns the slowest
// repair.
func worstRepair(t testing.TB, kind string) (worst time.Duration, where string) {
	for _, e := range exchanges {
		var data []byte
		if e.code == CmdMaxRF {
			data = []byte{0x50}
		}
		for at := range e.answer {
			damaged := damages[kind](bytes.Clone(e.answer), at)
			var s Sniffer
			s.Write(damaged)
			if b, ok := s.Next(); ok && e.call != nil && fitsAny(e.code, b) {
				continue // a lost or doubled sync byte: the answer is whole all the same
			}
			took, err := repair(t, e.code, data, damaged, e.answer, e.call)
			if err != nil {
				t.Errorf("%s, %s of byte %d of %d: %v, want it sent again", e.code, kind, at, len(e.answer), err)
				continue
			}
			if took > worst {
				worst, where = took, fmt.Sprintf("%s, byte %d of %d", e.code, at, len(e.answer))
			}
		}
	}
	return worst, where
}

// fitsAny reports whether a frame answers a command in spite of the damage.
func fitsAny(code Code, b Body) bool {
	for _, cmd := range []command{cmdSelfTest, cmdSAMID, cmdMaxRF, cmdFind, cmdSelect, cmdText, cmdAddress, cmdManagement} {
		if cmd.code == code && cmd.fits(b) {
			return true
		}
	}
	return false
}

// TestDamageIsRepairedInABlink: wherever the damage lies, the command is sent
// again once the line is silent.
func TestDamageIsRepairedInABlink(t *testing.T) {
	for kind := range damages {
		t.Run(kind, func(t *testing.T) {
			if worst, where := worstRepair(t, kind); worst > repairBound {
				t.Errorf("sent again after %v (%s), want %v at most", worst, where, repairBound)
			}
		})
	}
}

// TestDamageThatStays is told after two attempts.
func TestDamageThatStays(t *testing.T) {
	bad := bytes.Clone(foundFrame)
	bad[9] ^= 1
	wrong := step{want: CmdFind, answer: answers(bad)}
	c := newScript(t, wrong, wrong).client(Options{})
	if ok, err := c.Find(context.Background()); ok || err == nil || driver.Answered(err) || c.LineErrors() == 0 {
		t.Errorf("Find = %v, %v with %d line errors, want an error and errors counted", ok, err, c.LineErrors())
	}
}

// BenchmarkRepair prints the slowest repair at 115200 over every byte position of
// every answer, in milliseconds of the line's time.
func BenchmarkRepair(b *testing.B) {
	for b.Loop() {
		worst, _ := worstRepair(b, "byte")
		b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
		b.ReportMetric(float64(worst)/float64(repairBound), "of-goal-damaged-answer-asked-again")
	}
}
