package sam

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// Options say what a Client knows beside its Transport.
type Options struct {
	Name   string // the desk's name for the reader, for errors
	Model  string // reported by Identify
	Detail string // reported by Identify
	// Baud is the line's rate in bits per second; time-outs grow with the wire
	// time. 0 is unknown: times allow for 9600.
	Baud int
	// Gap is the silence that ends a frame whose rest is outstanding. 0 means
	// 220 ms; transports that may pause longer (networks) set more.
	Gap time.Duration
	// OneAtATime says that the transport takes a command only once the one
	// before is answered: the module cannot be asked meanwhile whether it is there.
	OneAtATime bool
	// MaxRFBytes is sent once as command 61 FF after the first good self-test;
	// 0 sends nothing. Legal are 24..255.
	MaxRFBytes byte
	// Clock is the time; nil means the real one.
	Clock clockwork.Clock
}

const (
	// defaultGap is more than a line ever pauses: both ends may run on busy
	// machines, and a frame given up makes the line suspect for 50 cards.
	defaultGap = 220 * time.Millisecond
	// powerUp is how long a module may take until it answers [ROUTON, YINAN].
	powerUp     = 2500 * time.Millisecond
	powerUpPoll = 100 * time.Millisecond
	// foreignCards is how often in a row the module may say that the card is
	// none of its own until that is believed.
	foreignCards = 3
)

// Client is a reader behind a Transport: a driver.Device. It has one owner
// goroutine; Close and LineErrors may be called from any.
//
// After a command without an answer the module may still answer. Such a late
// answer is told from the next command's by its shape, and before a Find, after
// which another card may lie there, the Client first exchanges a self-test:
// modules answer in order, so nothing from before comes after it.
type Client struct {
	t driver.Transport
	o Options

	sniffer  Sniffer
	buf      [MaxBody]byte
	rejected int    // bytes of frames that did not fit in this exchange
	misfits  uint64 // such frames since the Client was made
	errors   atomic.Uint64

	patience patience
	heardAt  time.Time // when the first byte came in this attempt
	asked    bool      // the module was asked whether it is there, and has not said so

	raw        []byte // bytes that came in this attempt; see keep
	negotiated bool   // telnet options came before any frame
	framed     bool   // a whole frame has come
	odd        odd    // the last whole answer of another size

	unsettled bool // an answer may be under way still
	selected  bool // the card found has been selected
	refusals  int  // times in a row that the module took the card for foreign
	rfSet     bool // command 61 FF was accepted

	address, management optional
}

var _ driver.Device = (*Client)(nil)

// NewClient makes a Client. It owns t from now on and sends nothing by itself.
func NewClient(t driver.Transport, o Options) *Client {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Gap == 0 {
		o.Gap = defaultGap
	}
	return &Client{t: t, o: o, patience: patience{}}
}

// Close closes the transport.
func (c *Client) Close() error { return c.t.Close() }

// LineErrors counts what came over the line and was no right answer: damaged
// frames, foreign bytes, frames that belong to no command. It only grows.
func (c *Client) LineErrors() uint64 { return c.errors.Load() }

func (c *Client) count() { c.errors.Store(c.sniffer.Stats().Errors() + c.misfits) }

// Identify waits until the module answers, up to 2.5 s as after power-up, and
// gives its number and the self-test's status. A module without a number has an
// empty Identity.SAM. A broken or unauthorised one is driver.ErrFaulty; the
// Identity is then filled as far as it goes.
func (c *Client) Identify(ctx context.Context) (driver.Identity, error) {
	id := driver.Identity{Model: c.o.Model, Detail: c.o.Detail, Baud: c.o.Baud}
	number, err := c.awaitID(ctx)
	if err != nil {
		var e *driver.Error
		if errors.As(err, &e) && len(e.Status) == 3 {
			id.Status = e.Status[2]
		}
		return id, err
	}
	id.SAM, id.Simulated = number, number == SimulatorID.String()
	s, err := c.SelfTest(ctx)
	id.Status = s.SW3
	if err != nil {
		return id, err
	}
	if c.o.MaxRFBytes != 0 && !c.rfSet {
		b, err := c.exchange(ctx, cmdMaxRF, c.o.MaxRFBytes)
		if err != nil {
			return id, err
		}
		if s := b.Status(); s.SW3 != OK {
			return id, c.refused(cmdMaxRF.op, s)
		}
		c.rfSet = true
	}
	return id, nil
}

// awaitID polls the module number until it comes: a module that powers up says
// nothing or anything for a while.
func (c *Client) awaitID(ctx context.Context) (string, error) {
	for end := c.o.Clock.Now().Add(powerUp); ; {
		b, err := c.exchange(ctx, cmdSAMID)
		if err == nil {
			s := b.Status()
			switch {
			case s.SW3 == OK:
				return ID(b.Data()).String(), nil
			case unsupported(s):
				return "", nil
			}
			err = c.refused(cmdSAMID.op, s)
			if s.Meaning().Class == ReaderFault {
				return "", err
			}
		}
		if ctx.Err() != nil || errors.Is(err, driver.ErrGone) || errors.Is(err, driver.ErrTelnet) || !c.o.Clock.Now().Before(end) {
			return "", err
		}
		pause, cancel := c.within(ctx, powerUpPoll)
		err = c.discard(pause)
		cancel()
		if err != nil {
			return "", c.failed(ctx, cmdSAMID.op, err)
		}
	}
}

// SelfTest runs the module's own test (11 FF; 12 FF would not run it). A module
// that fails it is driver.ErrFaulty.
func (c *Client) SelfTest(ctx context.Context) (Status, error) {
	b, err := c.exchange(ctx, cmdSelfTest)
	if err != nil {
		return Status{}, err
	}
	if s := b.Status(); s.SW3 != OK {
		return s, c.refused(cmdSelfTest.op, s)
	}
	return b.Status(), nil
}

// Find looks for a card. The first look after a card is placed may fail
// [SDTC, DELPHI], so a no is asked twice.
func (c *Client) Find(ctx context.Context) (bool, error) {
	c.selected = false
	if c.unsettled {
		if _, err := c.SelfTest(ctx); err != nil {
			return false, err
		}
	}
	for range 2 {
		b, err := c.exchange(ctx, cmdFind)
		if err != nil {
			return false, err
		}
		switch s := b.Status(); s.SW3 {
		case CardFound:
			return true, nil
		case NoCard:
		default:
			return false, c.refused(cmdFind.op, s)
		}
	}
	c.refusals = 0
	return false, nil
}

// Read selects the card found, unless that is done, and reads text, photo and
// the appended addresses. An address that could not be read fails the whole
// read: a lost one would publish the old address. A module that does not know
// the command (it says so, or never answers it), or a card without addresses,
// gives none.
func (c *Client) Read(ctx context.Context) (driver.RawCard, error) {
	again := c.selected
	if !again {
		b, err := c.exchange(ctx, cmdSelect)
		if err != nil {
			return driver.RawCard{}, err
		}
		if s := b.Status(); s.SW3 != OK {
			return driver.RawCard{}, c.unread(cmdSelect.op, s)
		}
		c.selected = true
	}
	b, err := c.exchange(ctx, cmdText)
	if again && silent(err) {
		// A caller that compares two reads would have to find the card anew,
		// which not every firmware does.
		b, err = c.exchange(ctx, cmdText)
	}
	if err != nil {
		return driver.RawCard{}, err
	}
	if s := b.Status(); s.SW3 != OK {
		return driver.RawCard{}, c.unread(cmdText.op, s)
	}
	card, err := ParseCard(b.Data())
	if err != nil {
		return driver.RawCard{}, c.error(cmdText.op, driver.ErrProtocol, err)
	}
	c.refusals = 0

	b, err = c.optional(ctx, &c.address, cmdAddress)
	if silent(err) {
		// The text is whole and took up to 1.4 s of wire: only this is repeated.
		b, err = c.optional(ctx, &c.address, cmdAddress)
	}
	switch {
	case errors.Is(err, errMute):
		return card, nil
	case err != nil:
		return driver.RawCard{}, err
	}
	switch s := b.Status(); {
	case s.SW3 == OK:
		card.Addresses, _ = ParseAddresses(b.Data())
	case s.SW3 == NoSuchItem, unsupported(s):
	default:
		return driver.RawCard{}, c.refused(cmdAddress.op, s)
	}
	return card, nil
}

// Present asks for the addresses of the card just read: a module that answers
// at all has the card still, any other status means that it left [THPR, ROUTON].
// Modules without that command are asked for the management block instead.
func (c *Client) Present(ctx context.Context) (bool, error) {
	cmd := cmdAddress
	b, err := c.optional(ctx, &c.address, cmd)
	if errors.Is(err, errMute) || err == nil && unsupported(b.Status()) {
		cmd = cmdManagement
		b, err = c.optional(ctx, &c.management, cmd)
	}
	if err != nil {
		return false, err
	}
	s := b.Status()
	switch m := s.Meaning(); {
	case s.SW3 == OK, s.SW3 == NoSuchItem:
		return true, nil
	case m.Class == ReaderFault, s.SW3 == BadChecksum, s.SW3 == BadLength: // says nothing of the card
		return false, c.refused(cmd.op, s)
	}
	return false, nil
}

// Management reads the management block of the card selected.
func (c *Client) Management(ctx context.Context) (Management, error) {
	b, err := c.exchange(ctx, cmdManagement)
	if err != nil {
		return Management{}, err
	}
	if s := b.Status(); s.SW3 != OK {
		return Management{}, c.refused(cmdManagement.op, s)
	}
	return Management(b.Data()), nil
}

// optional is what is known of a command that a module may lack. Firmware that
// lacks one says so (21, 23) or says nothing at all.
type optional struct {
	answered bool // it was answered once: it is there
	silences int  // times in a row that it was not, before that
}

// muteSilences is how many silences make a command one that the module lacks.
const muteSilences = 3

// errMute is the cause for a command that the module never answers.
var errMute = errors.New("this module never answers the command")

// optional exchanges a command unless the module is known to lack it: then it
// is an error at once, driver.ErrTimeout with the cause errMute. It is asked
// only about a card that was read, so that silence is the command's own.
func (c *Client) optional(ctx context.Context, o *optional, cmd command) (Body, error) {
	if o.silences < muteSilences {
		b, err := c.exchange(ctx, cmd)
		switch {
		case err == nil:
			*o = optional{answered: true}
		case errors.Is(err, driver.ErrTimeout) && !o.answered:
			o.silences++
		}
		if err == nil || o.silences < muteSilences {
			return b, err
		}
	}
	return nil, c.error(cmd.op, driver.ErrTimeout, errMute)
}

// silent reports whether an exchange failed for silence. One that was damaged on
// the line has been repeated; see exchange.
func silent(err error) bool { return errors.Is(err, driver.ErrTimeout) && !errors.Is(err, errMute) }

// misheard reports a status by which the module says that the request came
// damaged.
func misheard(s Status) bool { return s.SW3 == BadChecksum || s.SW3 == BadLength }

// unread is the error of a select or read. That a card is foreign is believed
// when the module has said so three times in a row; until then it counts as
// lost, so that it is tried again.
func (c *Client) unread(op string, s Status) error {
	if s.Meaning().Class != CardProblem {
		return c.refused(op, s)
	}
	if c.refusals++; c.refusals >= foreignCards {
		return c.refused(op, s)
	}
	return &driver.Error{Op: op, Reader: c.o.Name, Status: []byte{s.SW1, s.SW2, s.SW3}, Err: driver.ErrCardLost, Cause: s}
}

// unsupported reports a status by which firmware says that it lacks a command.
func unsupported(s Status) bool { return s.SW3 == BadCommand || s.SW3 == NotPermitted }
