package sam

import (
	"context"
	"errors"
	"time"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/internal/text"
)

// What can be wrong with a module and its line.
var (
	Silent       = diagnosis.NewEntry(texts, "sam_silent", diagnosis.Critical)
	Foreign      = diagnosis.NewEntry(texts, "sam_foreign", diagnosis.Critical)
	WrongBaud    = diagnosis.NewEntry(texts, "sam_wrong_baud", diagnosis.Critical)
	SelfTest     = diagnosis.NewEntry(texts, "sam_self_test", diagnosis.Critical)
	Unauthorised = diagnosis.NewEntry(texts, "sam_unauthorised", diagnosis.Critical)
	NoModule     = diagnosis.NewEntry(texts, "reader_no_sam", diagnosis.Critical)
	Telnet       = diagnosis.NewEntry(texts, "sam_telnet", diagnosis.Critical)
	Dialect      = diagnosis.NewEntry(texts, "sam_dialect", diagnosis.Critical)
	Hangs        = diagnosis.NewEntry(texts, "reader_stuck", diagnosis.Critical)
	Noisy        = diagnosis.NewEntry(texts, "line_noisy", diagnosis.Warning)
	Slow         = diagnosis.NewEntry(texts, "line_slow", diagnosis.Warning)
)

// Entries lists what the checks of this package find.
func Entries() []diagnosis.Entry {
	return []diagnosis.Entry{Silent, Foreign, WrongBaud, SelfTest, Unauthorised, NoModule, Telnet, Dialect, Hangs, Noisy, Slow}
}

// Explain is the finding that stands behind a failure of a module; ok is false
// for failures of what lies below it (the port, the service).
func Explain(reader string, err error) (f diagnosis.Finding, ok bool) {
	var e *driver.Error
	status := byte(0)
	if errors.As(err, &e) && len(e.Status) == 3 {
		status = e.Status[2]
	}
	switch {
	case errors.Is(err, driver.ErrFaulty) && status == NotAuthorised:
		return diagnosis.NewFinding(Unauthorised, reader), true
	case errors.Is(err, driver.ErrFaulty):
		return diagnosis.NewFinding(SelfTest, reader), true
	case errors.Is(err, driver.ErrNoSAM):
		return diagnosis.NewFinding(NoModule, reader), true
	case errors.Is(err, driver.ErrTelnet):
		return diagnosis.NewFinding(Telnet, reader), true
	case errors.Is(err, driver.ErrDialect):
		return diagnosis.NewFinding(Dialect, reader, text.Plain(err.Error())), true
	case errors.Is(err, driver.ErrStuck):
		return diagnosis.NewFinding(Hangs, reader), true
	case errors.Is(err, driver.ErrProtocol):
		return diagnosis.NewFinding(Foreign, reader), true
	case errors.Is(err, driver.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return diagnosis.NewFinding(Silent, reader), true
	}
	return diagnosis.Finding{}, false
}

// What is judged on a line.
const (
	// slowAnswer is what an answer may take beyond its time on the wire: the
	// self-test costs a module a few milliseconds, a bridge's timer adds 16.
	slowAnswer = 100 * time.Millisecond
	// slowRead is the wire time of a whole read from which the clerk waits.
	slowRead = 700 * time.Millisecond
	looks    = 10
)

// WholeRead is the time on the wire of finding, selecting and reading a card
// without appended addresses.
func WholeRead(baud int) time.Duration {
	const find, selected, text, address = 10 + 15, 10 + 19, 10 + 1295, 10 + 11
	return wireTime(find+selected+text+address, baud)
}

// Examine tries an open reader: who it is, how well and how fast it answers. It
// finds at most one thing wrong. The Stopwatch is the one that observes the
// device's wire; nil where there is none.
func Examine(ctx context.Context, s *diagnosis.Sheet, reader string, dev driver.Device, w *Stopwatch) {
	id, err := dev.Identify(ctx)
	for try := 1; try < identifyTries && hurt(err); try++ {
		id, err = dev.Identify(ctx)
	}
	if err != nil {
		Identified(s, reader, id, nil)
		if f, ok := Explain(reader, err); ok {
			s.Add(f)
		}
		return
	}
	answers := 0
	for range looks {
		if ctx.Err() != nil {
			break
		}
		if t, ok := dev.(selfTester); ok {
			t.SelfTest(ctx)
			answers++
		}
		if _, err := dev.Find(ctx); driver.OtherForm(err) { // what else comes of it is in the line errors
			Identified(s, reader, id, w)
			f, _ := Explain(reader, err)
			s.Add(f)
			return
		}
		answers += 2
	}
	Identified(s, reader, id, w)
	if bad := driver.LineErrors(dev); bad > 0 {
		s.Find(Noisy, reader, texts.Say("damaged", bad, answers))
		return
	}
	Pace(s, reader, id.Baud, w)
}

// selfTester is a Device that passes a self-test on to its module; a Client is one.
type selfTester interface {
	SelfTest(context.Context) (Status, error)
}

// identifyTries is how often a module is asked who it is while its answers come
// damaged.
const identifyTries = 4

// hurt reports whether the module did say who it is, and then its self-test came
// damaged: noise, not another device.
func hurt(err error) bool {
	var e *driver.Error
	return errors.Is(err, driver.ErrProtocol) && errors.As(err, &e) && e.Op == cmdSelfTest.op
}

// Identified notes what a reader says of itself and how quickly it answers.
func Identified(s *diagnosis.Sheet, reader string, id driver.Identity, w *Stopwatch) {
	line := text.Plain(id.Detail)
	and := func(t text.Text) { line = text.Text{Zh: line.Zh + "，" + t.Zh, En: line.En + ", " + t.En} }
	if id.Baud != 0 {
		and(texts.Say("baud", id.Baud))
	}
	if id.SAM != "" {
		and(text.Plain("SAM " + id.SAM))
	}
	if id.Status != 0 {
		and(texts.Say("status", id.Status))
	}
	if id.Simulated {
		and(texts.Say("simulated"))
	}
	s.Fact(texts.Say("reader", reader), "%s", line)
	if w == nil {
		return
	}
	for _, c := range []struct {
		code Code
		what text.Text
	}{{CmdSelfTest, texts.Say("took_self_test", reader)}, {CmdFind, texts.Say("took_find", reader)}} {
		if e, ok := w.Quickest(c.code); ok {
			s.Fact(c.what, "%s", texts.Say("on_wire", e.Took.Milliseconds(), e.Wire(id.Baud).Milliseconds()))
		}
	}
}

// Pace judges how fast a line is. Where the rate is unknown, only answers count.
func Pace(s *diagnosis.Sheet, reader string, baud int, w *Stopwatch) {
	if w == nil {
		return
	}
	for _, c := range []Code{CmdSelfTest, CmdSAMID} {
		e, ok := w.Quickest(c)
		if !ok {
			continue
		}
		if beyond := e.Took - e.Wire(baud); beyond > slowAnswer {
			s.Find(Slow, reader, texts.Say("slow_answer", e.Received, e.Took.Milliseconds(), e.Wire(baud).Milliseconds()))
			return
		}
		break
	}
	if baud > 0 && WholeRead(baud) > slowRead {
		s.Find(Slow, reader, texts.Say("slow_read", baud, WholeRead(baud).Milliseconds()))
	}
}
