package sam

import (
	"context"
	"errors"
	"testing"
	"time"

	"idtap/driver"
)

// TestLateReadIsNotNextCard: the answer to a read that was given up comes when
// another card lies there. It must not become that card's data.
func TestLateReadIsNotNextCard(t *testing.T) {
	one, two := specimen(1), specimen(2)
	s := newScript(t,
		step{want: CmdFind, answer: answers(foundFrame)},
		step{want: CmdSelect, answer: answers(selectedFrame)},
		step{want: CmdReadText},                                              // no answer in time
		step{want: CmdSelfTest, answer: answers(cardFrame(one), status(OK))}, // late, in order
		step{want: CmdFind, answer: answers(foundFrame)},
		step{want: CmdSelect, answer: answers(selectedFrame)},
		step{want: CmdReadText, answer: answers(cardFrame(two))},
		step{want: CmdReadAddress, answer: answers(noAddress)},
	)
	c := s.client(Options{})
	mustFind(t, c)
	if _, err := c.Read(context.Background()); !errors.Is(err, driver.ErrTimeout) {
		t.Fatalf("Read: %v", err)
	}
	mustFind(t, c)
	mustRead(t, c, two)
	if c.LineErrors() == 0 {
		t.Error("a frame that belongs to nothing was not counted")
	}
}

// TestLateNoIsNotTheModules: a find that was given up says 80 at last; the
// self-test that empties the line does not take that for its own answer.
func TestLateNoIsNotTheModules(t *testing.T) {
	s := newScript(t,
		step{want: CmdFind}, // no answer in time
		step{want: CmdSelfTest, answer: answers(status(NoCard), status(OK))},
		step{want: CmdFind, answer: answers(foundFrame)},
	)
	c := s.client(Options{})
	if _, err := c.Find(context.Background()); !errors.Is(err, driver.ErrTimeout) {
		t.Fatalf("Find: %v", err)
	}
	mustFind(t, c)
}

// TestLateReadBeforeCommand: what arrived before a command is sent is no answer
// to it, whatever its shape.
func TestLateReadBeforeCommand(t *testing.T) {
	one, two := specimen(1), specimen(2)
	s := newScript(t, read(two, noAddress)...)
	c := s.client(Options{})
	mustFind(t, c)
	s.deliver(answers(cardFrame(one))...)
	mustRead(t, c, two)
}

// TestLateAnswers: of a late answer and the right one behind it the right one
// is taken, for every pair of commands whose answers differ in shape.
func TestLateAnswers(t *testing.T) {
	a := record('a')
	late := map[Code][]byte{
		CmdSelfTest:       status(OK),
		CmdSAMID:          Answer(0, 0, OK, make([]byte, 16)),
		CmdFind:           foundFrame,
		CmdSelect:         selectedFrame,
		CmdReadText:       cardFrame(specimen(1)),
		CmdReadAddress:    Answer(0, 0, OK, a[:]),
		CmdReadManagement: Answer(0, 0, OK, make([]byte, 28)),
	}
	for _, cmd := range []command{cmdSelfTest, cmdSAMID, cmdFind, cmdSelect, cmdText, cmdAddress, cmdManagement} {
		for code, frame := range late {
			if code == cmd.code {
				continue
			}
			c := newScript(t, step{want: cmd.code, answer: answers(frame, late[cmd.code])}).client(Options{})
			b, err := c.exchange(context.Background(), cmd)
			if err != nil || len(b.Data()) != len(late[cmd.code])-11 {
				t.Errorf("%s with a late answer to %s: %v", cmd.code, code, err)
			}
		}
	}
}

// TestLateRestOfFrame: the second half of an answer that was given up arrives
// in the middle of the next exchange.
func TestLateRestOfFrame(t *testing.T) {
	card := specimen(3)
	f := cardFrame(card)
	steps := read(card, noAddress)
	steps = append(steps[:2:2], append([]step{{want: CmdReadText, answer: []piece{{0, f[:600]}}}}, steps[2:]...)...)
	steps[3].answer = answers(f[600:], f)
	s := newScript(t, steps...)
	c := s.client(Options{})
	mustFind(t, c)
	mustRead(t, c, card)
}

// TestGoneAndCancelled: the transport's end and the caller's are reported as
// such, at once.
func TestGoneAndCancelled(t *testing.T) {
	s := newScript(t)
	s.err = &driver.Error{Op: "read", Reader: "port", Err: driver.ErrGone, Cause: errors.New("unplugged")}
	c := s.client(Options{})
	s.steps = []step{{want: CmdFind}}
	if _, err := c.Find(context.Background()); !errors.Is(err, driver.ErrGone) {
		t.Errorf("Find on a line that went away: %v", err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s = newScript(t, step{want: CmdFind})
	c = s.client(Options{})
	if _, err := c.Find(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Find under a context that is over: %v", err)
	}
}

// babble is a line that always has another byte of noise.
type babble struct{ *script }

func (b babble) Read(_ context.Context, buf []byte) (int, error) {
	b.clock.Advance(time.Millisecond)
	buf[0] = 0x55
	return 1, nil
}

// TestBabble: a line that is never silent cannot hold the caller beyond the
// command's deadline.
func TestBabble(t *testing.T) {
	s := newScript(t, step{want: CmdFind})
	o := Options{Clock: s.clock, Baud: 115200}
	c := NewClient(babble{s}, o)
	if _, err := c.Find(context.Background()); !errors.Is(err, driver.ErrProtocol) {
		t.Errorf("Find: %v", err)
	}
}
