package sam

import (
	"context"
	"errors"
	"testing"
	"time"

	"idtap/driver"
)

// after is the delivery of frames after a time.
func after(d time.Duration, frames ...[]byte) []piece {
	ps := answers(frames...)
	ps[0].after = d
	return ps
}

var asks = step{want: CmdSelfTest, answer: answers(status(OK))}

// practised is a client whose module has answered every command of a read in
// took, and the time that the answers took on the wire besides.
func practised(t *testing.T, o Options, took time.Duration, more ...step) (*Client, *script) {
	t.Helper()
	steps := read(specimen(1), noAddress)
	for i := range steps {
		steps[i].answer[0].after = took
	}
	s := newScript(t, append(steps, more...)...)
	c := s.client(o)
	mustFind(t, c)
	mustRead(t, c, specimen(1))
	return c, s
}

// TestLostCommand: whichever command of a read a quick module does not take up,
// it is sent again within 0.3 s, and nothing speaks against the line.
func TestLostCommand(t *testing.T) {
	for lost := range 4 {
		card := specimen(2)
		var steps []step
		for i, s := range read(card, noAddress) {
			if i == lost {
				steps = append(steps, step{want: s.want}, asks)
			}
			steps = append(steps, s)
		}
		c, s := practised(t, Options{}, 20*time.Millisecond, steps...)
		before := s.clock.Now()
		mustFind(t, c)
		mustRead(t, c, card)
		if d := s.clock.Now().Sub(before); d > 300*time.Millisecond {
			t.Errorf("command %d lost: took %v", lost, d)
		}
		if c.LineErrors() != 0 {
			t.Errorf("command %d lost: %d line errors", lost, c.LineErrors())
		}
	}
}

// TestSlowAnswer: a module that was quick so far and now takes as long as it may
// is asked once whether it is there, is waited for all the same, and is not asked
// again when it takes its time again.
func TestSlowAnswer(t *testing.T) {
	card := specimen(2)
	slow := step{want: CmdReadText, answer: after(2500*time.Millisecond, cardFrame(card))}
	asked := step{want: CmdSelfTest}
	address := step{want: CmdReadAddress, answer: answers(status(OK), noAddress)} // the self-test's answer first
	c, _ := practised(t, Options{}, 20*time.Millisecond,
		slow, asked, address,
		slow, step{want: CmdReadAddress, answer: answers(noAddress)})
	for range 2 {
		mustRead(t, c, card)
	}
	if c.LineErrors() != 0 {
		t.Errorf("%d line errors", c.LineErrors())
	}
}

// TestDroppingModule: a module that drops what it is doing when it is asked gets
// its whole bound the second time.
func TestDroppingModule(t *testing.T) {
	card := specimen(2)
	c, _ := practised(t, Options{}, 20*time.Millisecond,
		step{want: CmdReadText}, asks,
		step{want: CmdReadText, answer: after(waitRead-time.Millisecond, cardFrame(card))},
		step{want: CmdReadAddress, answer: answers(noAddress)})
	mustRead(t, c, card)
}

// TestLostAndSwapped: the card is swapped while a lost command is noticed, and
// even a module that answers the self-test first and the command after it mixes
// no cards.
func TestLostAndSwapped(t *testing.T) {
	one, two := specimen(1), specimen(2)
	refused := status(ReadFailed) // the session ended with its card
	for name, repeat := range map[string][]step{
		"lost": {{want: CmdReadText, answer: answers(refused)}},
		"overtaken": {
			{want: CmdReadText, answer: answers(cardFrame(one))},
			{want: CmdReadAddress, answer: answers(refused, refused)}},
	} {
		t.Run(name, func(t *testing.T) {
			steps := append([]step{{want: CmdReadText}, asks}, repeat...)
			steps = append(steps, read(two, noAddress)...)
			c, _ := practised(t, Options{}, 20*time.Millisecond, steps...)
			if _, err := c.Read(context.Background()); !errors.Is(err, driver.ErrCardLost) {
				t.Fatalf("Read: %v", err)
			}
			mustFind(t, c)
			mustRead(t, c, two)
		})
	}
}

// TestSecondReadRepeated: a second read that came damaged is repeated at once, in
// the session with the card.
func TestSecondReadRepeated(t *testing.T) {
	card := specimen(1)
	bad := cardFrame(card)
	bad[700] ^= 0x40
	for name, lost := range map[string][]piece{"damaged": answers(bad), "misheard": answers(status(BadChecksum))} {
		t.Run(name, func(t *testing.T) {
			c, _ := practised(t, Options{}, 20*time.Millisecond,
				step{want: CmdReadText, answer: lost},
				step{want: CmdReadText, answer: answers(cardFrame(card))},
				step{want: CmdReadAddress, answer: answers(noAddress)})
			mustRead(t, c, card)
		})
	}
}

// TestSilentModule: a module that says nothing at all is given up at the bound,
// and then nothing is known of it any more.
func TestSilentModule(t *testing.T) {
	silent := step{want: CmdReadAddress}
	c, s := practised(t, Options{}, 20*time.Millisecond, silent, step{want: CmdSelfTest}, silent)
	for range 2 {
		before := s.clock.Now()
		if _, err := c.Present(context.Background()); !errors.Is(err, driver.ErrTimeout) {
			t.Fatalf("Present: %v", err)
		}
		if d := s.clock.Now().Sub(before); d < waitAddress || d > waitAddress+50*time.Millisecond {
			t.Errorf("given up after %v", d)
		}
	}
}

// TestNeverAsked: a transport that takes one command at a time is never asked,
// nor is a module that begins as late as it has before.
func TestNeverAsked(t *testing.T) {
	c, _ := practised(t, Options{OneAtATime: true}, 20*time.Millisecond, step{want: CmdReadAddress})
	if _, err := c.Present(context.Background()); !errors.Is(err, driver.ErrTimeout) {
		t.Errorf("Present: %v", err)
	}
	for _, baud := range Rates {
		steps := read(specimen(1), noAddress)
		for i := range steps {
			steps[i].answer[0].after = 350 * time.Millisecond
		}
		c, _ := practised(t, Options{Baud: baud}, 200*time.Millisecond, steps...)
		mustFind(t, c)
		mustRead(t, c, specimen(1))
	}
}

// TestPatience: what is usual follows the slowest answer at once and quicker ones
// slowly.
func TestPatience(t *testing.T) {
	p := patience{}
	check := func(what string, want time.Duration) {
		t.Helper()
		if got := p.with(cmdText).Round(10 * time.Millisecond); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("nothing known", waitRead)
	p.heard(CmdReadText, 250*time.Millisecond)
	check("one answer", 580*time.Millisecond)
	p.heard(CmdReadText, 500*time.Millisecond)
	check("a slower one", 950*time.Millisecond)
	p.heard(CmdReadText, -time.Millisecond)
	check("a quick one", 930*time.Millisecond)
	p.heard(CmdReadText, 2500*time.Millisecond)
	check("near the bound", waitRead)
	for range 200 {
		p.heard(CmdReadText, 250*time.Millisecond)
	}
	check("quick for long", 580*time.Millisecond)
	p.forget(CmdReadText)
	check("no answer", waitRead)
}
