package reader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/reader/card"
	"idtap/reader/identity"
)

var (
	cards = clean(2)
	a, b  = cards[0], cards[1]
	bad   = wrongDigit(a) // a, with a number that does not add up
)

func wrongDigit(raw driver.RawCard) driver.RawCard {
	raw.Text[122+2*16] ^= 0x01
	raw.Text[188] ^= 0x01 // keeps the XOR
	return raw
}

// TestPresence holds the rules on resting, swapped and lifted cards, traps 18,
// 19 and 22 of the protocol among them:
// what firmware does with a resting card differs, so cards are told apart by
// what was read.
func TestPresence(t *testing.T) {
	damaged := fails("present", driver.ErrProtocol)
	for _, tt := range []struct {
		name   string
		steps  []step
		taps   []driver.RawCard
		phases []Phase // after starting and ready, before stopped
	}{
		{"one card is one tap",
			script(finds(true), reads(a), times(9, here(true)), times(2, here(false)), times(3, finds(false))),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held, Ready}},
		{"trap 19: the first find after placing fails",
			script(times(2, finds(false)), finds(true), reads(a), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"a negative answer alone is no removal",
			script(finds(true), reads(a), here(true), here(false), here(true), times(2, finds(false)), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"a damaged answer is no removal",
			script(finds(true), reads(a), damaged, here(true), times(2, finds(false)), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"two damaged answers are no removal",
			script(finds(true), reads(a), damaged, damaged, here(true), times(2, finds(false)), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"a damaged find is no card and no removal",
			script(fails("find", driver.ErrProtocol), finds(true), reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"without a presence check find is the judge",
			script(finds(true), reads(a), times(3, damaged), times(2, finds(false)), times(2, finds(false))),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held, Ready}},
		{"trap 18: a resting card that is found again is the same card",
			script(finds(true), reads(a), times(2, here(false)), finds(true), reads(a), times(2, here(false)), finds(true), reads(a), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"trap 18: a resting card that is not found again is no tap either",
			script(finds(true), reads(a), times(2, here(false)), times(9, finds(false))),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held, Ready}},
		{"trap 22: placed again after a removal the same card is a tap",
			script(finds(true), reads(a), times(2, here(false)), finds(false), finds(true), reads(a), here(true)),
			[]driver.RawCard{a, a}, []Phase{Found, Reading, Held, Ready, Found, Reading, Held}},
		{"trap 22: another card is told by its content",
			script(finds(true), reads(a), times(2, here(false)), finds(true), reads(b), here(true)),
			[]driver.RawCard{a, b}, []Phase{Found, Reading, Held, Reading, Held}},
		{"a swap behind one negative answer",
			script(finds(true), reads(a), here(false), here(true), finds(true), reads(b), here(true)),
			[]driver.RawCard{a, b}, []Phase{Found, Reading, Held, Reading, Held}},
		{"a swap behind a damaged answer",
			script(finds(true), reads(a), damaged, here(true), finds(true), reads(b), reads(b), here(true)),
			[]driver.RawCard{a, b}, []Phase{Found, Reading, Held, Reading, Held}},
		{"a swap behind an answer that took long",
			script(finds(true), reads(a), here(true).taking(2*time.Second), finds(true), reads(b), here(true)),
			[]driver.RawCard{a, b}, []Phase{Found, Reading, Held, Reading, Held}},
		{"a module that says still there for ever: the next card is noticed",
			script(finds(true), reads(a), times(34, here(true)), times(2, finds(false)), times(34, here(true)), finds(true), reads(b), here(true)),
			[]driver.RawCard{a, b}, []Phase{Found, Reading, Held, Reading, Held}},
		{"a card that lies there for long and is found again is the same card",
			script(finds(true), reads(a), times(34, here(true)), finds(true), reads(a), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"a slow answer and the same card",
			script(finds(true), reads(a), here(true).taking(2*time.Second), finds(true), reads(a), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"the same card, damaged when it was found again",
			script(finds(true), reads(a), times(2, here(false)), finds(true), reads(damage(a)), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held, Reading, Held}},
		{"a found card that cannot be read again is still the one handed on",
			script(finds(true), reads(a), times(2, here(false)), finds(true), says("read", driver.ErrCardLost, 0x41),
				says("read", driver.ErrCardLost, 0x41), times(2, finds(false)), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held}},
		{"another card that cannot be read twice is asked for again",
			script(finds(true), reads(a), times(2, here(false)), finds(true), reads(b).noisy(1), says("read", driver.ErrProtocol, 0x21), times(2, finds(false)),
				times(2, finds(false)), finds(true), reads(b), here(true)),
			[]driver.RawCard{a, b}, []Phase{Found, Reading, Held, Reading, PlaceAgain, Found, Reading, Held}},
		{"a card swapped while it was read again is asked for",
			script(finds(true), reads(a).noisy(1), fails("read", driver.ErrProtocol), times(2, finds(false)), says("read", driver.ErrCardLost, 0x41),
				finds(true), reads(b), reads(b), here(true)),
			[]driver.RawCard{b}, []Phase{Found, Reading, PlaceAgain, Reading, Held}},
		{"a foreign card between two placings of the same",
			script(finds(true), reads(a), times(2, here(false)), finds(true), says("read", driver.ErrNotID, 0x32), finds(true), fails("find", driver.ErrProtocol), finds(true),
				reads(a), reads(a), here(true)),
			[]driver.RawCard{a, a}, []Phase{Found, Reading, Held, NotID, Reading, Held}},
		{"a resting card outlasts the loss of its reader",
			script(finds(true), reads(a), fails("present", driver.ErrGone), closes(), started(), finds(true), reads(a), here(true)),
			[]driver.RawCard{a}, []Phase{Found, Reading, Held, Away, Held}},
		{"a card lifted before it was read, and the next there at once",
			script(finds(true), says("read", driver.ErrNoCard, 0x80), says("read", driver.ErrNoCard, 0x80), times(2, finds(false)),
				finds(true), reads(b), here(true)),
			[]driver.RawCard{b}, []Phase{Found, Reading, PlaceAgain, Reading, Held}},
		{"a card lifted before it was read",
			script(finds(true), says("read", driver.ErrNoCard, 0x80), says("read", driver.ErrNoCard, 0x80), times(2, finds(false)),
				times(2, finds(false)), finds(false), finds(true), reads(b), here(true)),
			[]driver.RawCard{b}, []Phase{Found, Reading, PlaceAgain, Found, Reading, Held}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := play(t, Options{}, script(started(finds(false)), tt.steps))
			checkTaps(t, sink, tt.taps)
			want := slices.Concat([]Phase{Starting, Ready}, tt.phases, []Phase{Stopped})
			if got := sink.phases(); !slices.Equal(got, want) {
				t.Errorf("phases\n got %v\nwant %v", got, want)
			}
		})
	}
}

// checkTaps compares what was handed on with what the cards carry.
func checkTaps(t *testing.T, sink *record, want []driver.RawCard) {
	t.Helper()
	if len(sink.taps) != len(want) {
		t.Errorf("%d taps, want %d", len(sink.taps), len(want))
		return
	}
	for i, raw := range want {
		if !sameFields(sink.taps[i].Checked, raw) {
			t.Errorf("tap %d has other fields than its card", i)
		}
	}
}

// sameFields reports whether a tap carries exactly what the card does.
func sameFields(c identity.Checked, raw driver.RawCard) bool {
	want := identity.Check(card.Parse(raw), identity.Options{Now: time.Now()})
	return c.Kind == want.Kind && c.Number == want.Number && c.Name == want.Name && c.NameEn == want.NameEn && c.NameRaw == want.NameRaw &&
		c.Sex == want.Sex && c.Ethnic == want.Ethnic && c.Birth == want.Birth && c.PrintedAddress == want.PrintedAddress &&
		slices.Equal(c.Appended, want.Appended) && c.HukouAddress == want.HukouAddress && c.CardAddress == want.CardAddress &&
		c.Authority == want.Authority && c.ValidFrom == want.ValidFrom && c.ValidTo == want.ValidTo && c.LongTerm == want.LongTerm &&
		c.PassNumber == want.PassNumber && c.IssueCount == want.IssueCount && c.Nationality == want.Nationality &&
		c.Renewals == want.Renewals && c.OldNumber == want.OldNumber
}

// TestVerify holds the rules on reading twice: design section 5.
func TestVerify(t *testing.T) {
	var (
		refused  = says("read", driver.ErrProtocol, 0x21)
		lost     = says("read", driver.ErrCardLost, 0x41)
		lifted   = times(2, finds(false))
		place    = finds(true)
		noPhoto  = func(raw driver.RawCard) driver.RawCard { raw.Photo = nil; return raw }
		anything = func(n byte) driver.RawCard { raw := a; raw.Text[0] ^= n; return raw }
		suspect  = finds(false).noisy(1)
	)
	for _, tt := range []struct {
		name     string
		o        Options
		steps    []step
		taps     []driver.RawCard
		verified bool
		attempts int
		phase    Phase // at the end
	}{
		{"auto: a clean read on a clean line counts alone", Options{}, script(place, reads(a), here(true)),
			[]driver.RawCard{a}, false, 1, Held},
		{"auto: an error on the line before", Options{}, script(suspect, place, reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"auto: an error on the line while reading", Options{}, script(place, reads(a).noisy(2), reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"auto: a damaged answer is an error on the line", Options{}, script(fails("find", driver.ErrProtocol), place, reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"auto: a damaged request is an error on the line", Options{}, script(says("find", driver.ErrProtocol, 0x10), place, reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"auto: a command that the module does not know is none", Options{}, script(says("find", driver.ErrProtocol, 0x21), place, reads(a), here(true)),
			[]driver.RawCard{a}, false, 1, Held},
		{"auto: silence is none", Options{}, script(fails("find", driver.ErrTimeout), place, reads(a), here(true)),
			[]driver.RawCard{a}, false, 1, Held},
		{"auto: a finding that damage could cause", Options{}, script(place, reads(bad), reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, true, 3, Held},
		{"auto: the same finding twice is no noise", Options{}, script(place, reads(bad), reads(bad), here(true)),
			[]driver.RawCard{bad}, true, 2, Held},
		{"always", Options{Verify: VerifyAlways}, script(place, reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"always: the disagreement is read again", Options{Verify: VerifyAlways}, script(place, reads(damage(a)), reads(a), reads(a), here(true)),
			[]driver.RawCard{a}, true, 3, Held},
		{"always: equal reads need not follow each other", Options{Verify: VerifyAlways}, script(place, reads(a), reads(damage(a)), reads(a), here(true)),
			[]driver.RawCard{a}, true, 3, Held},
		{"never: one read counts", Options{Verify: VerifyNever}, script(suspect, place, reads(bad), here(true)),
			[]driver.RawCard{bad}, false, 1, Held},
		{"a bare read is refused, a new find helps", Options{Verify: VerifyAlways}, script(place, reads(a), refused, place, reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"a damaged bare read is repeated where nothing is found anew", Options{Verify: VerifyAlways},
			script(place, reads(a), fails("read", driver.ErrProtocol), times(2, finds(false)), reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"swapped for another card between two reads", Options{Verify: VerifyAlways},
			script(place, reads(a), fails("read", driver.ErrProtocol), times(2, finds(false)), lost, place, reads(b), reads(b), here(true)),
			[]driver.RawCard{b}, true, 3, Held},
		{"the first read fails", Options{}, script(place, lost, reads(a), here(true)),
			[]driver.RawCard{a}, false, 1, Held},
		{"a second read is refused without lifting: the read waits, nothing is handed on", Options{}, script(suspect, place, reads(a), refused, times(2, finds(false)), lifted),
			nil, false, 0, PlaceAgain},
		{"placed again and alike", Options{}, script(suspect, place, reads(a), refused, times(2, finds(false)), lifted, finds(false), place, reads(a), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"placed again and different, then alike", Options{},
			script(suspect, place, reads(damage(a)), refused, times(2, finds(false)), lifted, place, reads(a), refused, times(2, finds(false)), lifted, place, reads(a), here(true)),
			[]driver.RawCard{a}, true, 3, Held},
		{"another card placed instead", Options{},
			script(suspect, place, reads(a), refused, times(2, finds(false)), lifted, place, reads(b), refused, times(2, finds(false)), lifted, place, reads(b), here(true)),
			[]driver.RawCard{b}, true, 3, Held},
		{"a read that waits is forgotten after a minute", Options{},
			script(suspect, place, reads(a), refused, times(2, finds(false)), lifted, finds(false).taking(15*time.Second), finds(false).taking(15*time.Second),
				finds(false).taking(15*time.Second), finds(false).taking(15*time.Second), finds(false), place, reads(a), refused, times(2, finds(false))),
			nil, false, 0, PlaceAgain},
		{"no two reads alike", Options{Verify: VerifyAlways},
			script(place, reads(a), reads(anything(1)), reads(anything(2)), reads(anything(4)), reads(anything(8)), reads(anything(16)), lifted),
			nil, false, 0, Unreadable},
		{"not one read, twice", Options{}, script(place, lost, lost, times(2, finds(false)), lifted, place, lost, lost, times(2, finds(false))),
			nil, false, 0, Unreadable},
		{"the photo does not matter where it is discarded", Options{Verify: VerifyAlways}, script(place, reads(a), reads(noPhoto(a)), here(true)),
			[]driver.RawCard{a}, true, 2, Held},
		{"the photo matters where it is published", Options{Verify: VerifyAlways, ComparePhoto: true}, script(place, reads(a), reads(noPhoto(a)), reads(a), here(true)),
			[]driver.RawCard{a}, true, 3, Held},
		{"every read fails, then the card is pushed into place", Options{},
			script(place, lost, lost, place, lost, lost, place, lost, lost, place, lost, lost, times(7, finds(true)), reads(a), here(true)),
			[]driver.RawCard{a}, false, 1, Held},
		{"a wrong tap from before the line spoke up is not followed by a second", Options{},
			script(place, reads(damage(a)), here(true), fails("present", driver.ErrProtocol), here(true), finds(true), reads(a), reads(a), here(true)),
			[]driver.RawCard{damage(a)}, false, 1, Held},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := play(t, tt.o, script(started(), tt.steps))
			checkTaps(t, sink, tt.taps)
			for _, tap := range sink.taps {
				if tap.Verified != tt.verified || tap.Attempts != tt.attempts {
					t.Errorf("tap verified %v after %d reads, want %v after %d", tap.Verified, tap.Attempts, tt.verified, tt.attempts)
				}
			}
			if phases := sink.phases(); phases[len(phases)-2] != tt.phase {
				t.Errorf("phase at the end %s, want %s", phases[len(phases)-2], tt.phase)
			}
		})
	}
}

// TestForeignCard: 32 and 40 are held until the card is lifted, not looped on.
func TestForeignCard(t *testing.T) {
	sink := play(t, Options{}, script(started(finds(false), finds(true), says("read", driver.ErrNotID, 0x32)),
		times(20, finds(true)), times(2, finds(false)), finds(false), finds(true), reads(a), here(true)))
	want := []Phase{Starting, Ready, Found, Reading, NotID, Ready, Found, Reading, Held, Stopped}
	if got := sink.phases(); !slices.Equal(got, want) {
		t.Errorf("phases %v, want %v", got, want)
	}
	checkTaps(t, sink, []driver.RawCard{a})
}

// TestLineStaysSuspect: an error counts for 50 reads and for 10 minutes,
// whichever lasts longer.
func TestLineStaysSuspect(t *testing.T) {
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		reads int
		after time.Duration
		want  bool
	}{
		{0, 0, true}, {51, time.Minute, true}, {50, time.Hour, true}, {51, 10 * time.Minute, true}, {51, 10*time.Minute + 1, false},
	} {
		var l line
		if l.suspect(began) {
			t.Fatal("a line without errors is suspect")
		}
		l.failed(began)
		for range tt.reads {
			l.read()
		}
		if got := l.suspect(began.Add(tt.after)); got != tt.want {
			t.Errorf("%d reads and %v after an error: suspect %v, want %v", tt.reads, tt.after, got, tt.want)
		}
	}
}

// TestLoss: whatever a reader is lost to has a phase, and it comes back by
// itself. Trap 23: a faulty module is health, not spinning.
func TestLoss(t *testing.T) {
	again := started(finds(false))
	for _, tt := range []struct {
		name   string
		steps  []step
		phases []Phase
		took   time.Duration // of the whole script, without a poll more or less
	}{
		{"not there yet", script(fails("open", driver.ErrGone), fails("open", driver.ErrGone), again), []Phase{Starting, Away, Ready}, 600 * time.Millisecond},
		{"no permission", script(fails("open", driver.ErrDenied), again), []Phase{Starting, Denied, Ready}, 200 * time.Millisecond},
		{"busy", script(fails("open", driver.ErrBusy), again), []Phase{Starting, Busy, Ready}, 200 * time.Millisecond},
		{"no security module", script(fails("open", driver.ErrNoSAM), again), []Phase{Starting, NoIdentity, Ready}, 5 * time.Second},
		{"never given up", script(times(60, fails("open", driver.ErrGone)), again), []Phase{Starting, Away, Ready}, 58400 * time.Millisecond},
		{"unplugged while idle", script(again, fails("find", driver.ErrGone), closes(), again), []Phase{Starting, Ready, Away, Ready}, 350 * time.Millisecond},
		{"unplugged while reading", script(again, finds(true), fails("read", driver.ErrGone), closes(), again),
			[]Phase{Starting, Ready, Found, Reading, Away, Ready}, 350 * time.Millisecond},
		{"unplugged while the clerk is asked to place a card again", script(again, finds(true), says("read", driver.ErrCardLost, 0x41), says("read", driver.ErrCardLost, 0x41),
			times(2, finds(false)), fails("find", driver.ErrGone), closes(), again), []Phase{Starting, Ready, Found, Reading, PlaceAgain, Away, Ready}, 700 * time.Millisecond},
		{"a serial server that speaks telnet", script(opens(), fails("identify", driver.ErrTelnet).noisy(5), closes(), opens(), fails("identify", driver.ErrTelnet).noisy(5), closes(), again),
			[]Phase{Starting, Telnet, Ready}, 10 * time.Second},
		{"a module with a form of its own", script(again, finds(true), fails("read", driver.ErrDialect).noisy(2), closes(), started(), finds(false)),
			[]Phase{Starting, Ready, Found, Reading, Dialect, Ready}, 5150 * time.Millisecond},
		{"trap 23: faulty module", script(again, says("find", driver.ErrFaulty, 0x60), times(3, says("identify", driver.ErrFaulty, 0x60)), identifies(), finds(false)),
			[]Phase{Starting, Ready, Faulty, Ready}, 15150 * time.Millisecond},
		{"trap 20: slow power-up", script(opens(), times(5, fails("identify", driver.ErrTimeout)), identifies(), finds(false)),
			[]Phase{Starting, Ready}, time.Second},
		{"trap 20: self-test not over at power-up", script(opens(), says("identify", driver.ErrFaulty, 0x60), identifies(), finds(false)),
			[]Phase{Starting, Ready}, 200 * time.Millisecond},
		{"silent line", script(again, times(4, fails("find", driver.ErrTimeout).taking(time.Second)), closes(), again),
			[]Phase{Starting, Ready, Away, Ready}, 4950 * time.Millisecond},
		{"a few unanswered calls are no loss", script(again, times(3, fails("find", driver.ErrTimeout).taking(2*time.Second)), finds(false)),
			[]Phase{Starting, Ready}, 6600 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := play(t, Options{}, tt.steps)
			want := append(tt.phases, Stopped)
			if got := sink.phases(); !slices.Equal(got, want) {
				t.Errorf("phases %v, want %v", got, want)
			}
			took := sink.last().Since.Sub(sink.states[0].Since)
			if d := took - tt.took; d < 0 || d > 200*time.Millisecond {
				t.Errorf("took %v, want %v", took, tt.took)
			}
		})
	}
}

// TestNotBuilt: a driver that this build lacks will not appear.
func TestNotBuilt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		opened := 0
		sink := &record{}
		New(Options{Sink: sink, Open: func(context.Context) (driver.Device, error) {
			opened++
			return nil, &driver.Error{Op: "open", Err: driver.ErrNotBuilt}
		}}).Run(ctx)
		if s := sink.last(); opened != 1 || s.Phase != Stopped || !errors.Is(s.Err, driver.ErrNotBuilt) {
			t.Errorf("opened %d times, at last %s (%v)", opened, s.Phase, s.Err)
		}
	})
}

// TestHungCall: a call that ignores its context makes the reader stuck, is left
// behind, and does not keep Run from ending within 2 s.
func TestHungCall(t *testing.T) {
	hung := finds(false)
	hung.hang = true
	t.Run("while running", func(t *testing.T) {
		sink := play(t, Options{}, script(started(hung), started(finds(false))))
		want := []Phase{Starting, Stuck, Ready, Stopped}
		if got := sink.phases(); !slices.Equal(got, want) {
			t.Errorf("phases %v, want %v", got, want)
		}
	})
	t.Run("at the end", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			d := &scripted{t: t, stop: stop, end: make(chan struct{}), steps: script(identifies(), hung)}
			sink := &record{}
			ended := make(chan time.Time)
			go func() {
				New(Options{Sink: sink, Open: func(context.Context) (driver.Device, error) { return d, nil }}).Run(ctx)
				ended <- time.Now()
			}()
			synctest.Wait() // the find hangs
			asked := time.Now()
			stop()
			if took := (<-ended).Sub(asked); took > 2*time.Second {
				t.Errorf("ended after %v", took)
			}
			close(d.end)
			if p := sink.last().Phase; p != Stopped {
				t.Errorf("phase %s, want stopped", p)
			}
		})
	})
	t.Run("in open", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			release := make(chan struct{})
			d := &scripted{t: t, steps: []step{closes()}}
			var opened atomic.Int32
			go New(Options{Sink: &record{}, Open: func(context.Context) (driver.Device, error) {
				opened.Add(1)
				<-release
				return d, nil
			}}).Run(ctx)
			time.Sleep(10 * time.Minute)
			if n := opened.Load(); n != maxHung {
				t.Errorf("%d calls of open hang, want %d", n, maxHung)
			}
			stop()
			time.Sleep(2 * time.Second)
			close(release)
			synctest.Wait()
			if d.used() != 1 {
				t.Error("a device that opened too late was not closed")
			}
		})
	})
}

// TestRefusedTap: a tap that the sink does not settle is offered again while
// its card lies there, and never again once it is lifted.
func TestRefusedTap(t *testing.T) {
	full := errors.New("no room")
	t.Run("room again", func(t *testing.T) {
		sink := &record{refuse: func(n int) error {
			if n < 3 {
				return full
			}
			return nil
		}}
		play(t, Options{Sink: sink}, script(started(finds(true), reads(a)), times(60, here(true)), times(2, here(false)), times(2, finds(false))))
		checkTaps(t, sink, []driver.RawCard{a})
		if sink.offers != 4 {
			t.Errorf("offered %d times, want 4", sink.offers)
		}
		var held []State
		for _, s := range sink.states {
			if s.Phase == Held {
				held = append(held, s)
			}
		}
		if len(held) != 2 || held[0].Err != full || held[0].Retry == 0 || held[1].Err != nil || held[1].Counts.Taps != 1 {
			t.Errorf("held states %+v", held)
		}
	})
	t.Run("lifted", func(t *testing.T) {
		sink := &record{refuse: func(n int) error {
			if n == 0 {
				return full
			}
			return nil
		}}
		play(t, Options{Sink: sink}, script(started(finds(true), reads(a), here(true)), times(2, here(false)), times(20, finds(false)),
			finds(true), reads(b), here(true)))
		checkTaps(t, sink, []driver.RawCard{b})
	})
}

// TestSlowSink: what happened while the sink took its time is not known, so the
// card has to prove that it is the same.
func TestSlowSink(t *testing.T) {
	sink := &record{refuse: func(n int) error {
		if n == 0 {
			time.Sleep(30 * time.Second) // fake time
		}
		return nil
	}}
	play(t, Options{Sink: sink}, script(started(finds(true), reads(a), here(true), finds(true), reads(b), here(true))))
	checkTaps(t, sink, []driver.RawCard{a, b})
}

// TestGap: a machine that slept, or a wall clock that was set, makes a hold
// doubtful and nothing else.
func TestGap(t *testing.T) {
	now := time.Now()
	wall := now.Round(0)
	for _, tt := range []struct {
		from, to time.Time
		want     bool
	}{
		{now, now.Add(time.Second), false}, {now, now.Add(time.Second + 1), true},
		{wall, wall.Add(8 * time.Hour), true}, {wall, wall.Add(-time.Hour), true},
	} {
		if got := gap(tt.from, tt.to, time.Second); got != tt.want {
			t.Errorf("gap of %v: %v, want %v", tt.to.Sub(tt.from), got, tt.want)
		}
	}
}

// TestQuietCounts: counters alone make a state every 10 s, not every poll.
func TestQuietCounts(t *testing.T) {
	sink := play(t, Options{}, script(started(), times(200, finds(false).noisy(1))))
	if n := len(sink.states); n < 4 || n > 6 {
		t.Errorf("%d states in half a minute of a noisy idle line", n)
	}
	if got := sink.last().Counts.LineErrors; got != 200 {
		t.Errorf("%d line errors counted, want 200", got)
	}
}

// TestMasked: no verb and no encoder prints what a tap holds.
func TestMasked(t *testing.T) {
	c := identity.Check(card.Parse(a), identity.Options{Now: time.Now()})
	tap := Tap{Reader: "front", Checked: c, Photo: a.Photo}
	js, err := json.Marshal(map[string]any{"tap": tap, "pointer": &tap})
	if err != nil {
		t.Fatal(err)
	}
	out := string(js)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb, tap) + fmt.Sprintf(verb, &tap) + fmt.Sprintf(verb, struct{ T Tap }{tap})
	}
	for _, secret := range []string{c.Name, c.Number, c.PrintedAddress, c.Birth.String()} {
		if secret == "" || strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
			t.Errorf("a field of %d characters shows in %d bytes of output", len(secret), len(out))
		}
	}
}
