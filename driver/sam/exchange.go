package sam

import (
	"context"
	"errors"
	"time"

	"idtap/driver"
)

// Time a module takes beside the bytes on the wire. Nobody has published
// measurements; these lie within what hosts allow [SDTC, YINAN, HEV,
// ROUTON].
const (
	waitStatus  = 500 * time.Millisecond
	waitProbe   = 300 * time.Millisecond
	waitFind    = 500 * time.Millisecond
	waitSelect  = 800 * time.Millisecond
	waitRead    = 3 * time.Second
	waitAddress = 1500 * time.Millisecond
	waitWrite   = time.Second
)

const (
	// gapBytes is the inter-byte time in bytes, where that is more than
	// Options.Gap.
	gapBytes = 30
	// slowest is the rate that is allowed for when none is known.
	slowest = 9600
	// discardLimit bounds what is thrown away before a command: a line that
	// babbles without end must not hold the caller.
	discardLimit = 64 << 10
	// floodLimit is more than any foreign message: rejected bytes beyond it
	// were the answer itself with a damaged head.
	floodLimit = 512
)

// command is one exchange with the module: what is sent and which answers can
// belong to it.
type command struct {
	code  Code
	op    string
	wait  time.Duration           // the module's own time
	most  int                     // bytes in the largest answer, whole frame
	card  bool                    // concerns a card: statuses about one can be its answer
	shape func(Status, int) bool  // status and number of data bytes of a success
	check func(data []byte) error // what a success must satisfy besides; may be nil
}

var (
	cmdSelfTest   = command{code: CmdSelfTest, op: "self-test", wait: waitStatus, most: 11, shape: success(0)}
	cmdMaxRF      = command{code: CmdMaxRF, op: "set RF length", wait: waitStatus, most: 11, shape: success(0)}
	cmdSAMID      = command{code: CmdSAMID, op: "read SAM id", wait: waitStatus, most: 27, shape: success(idSize)}
	cmdFind       = command{code: CmdFind, op: "find", wait: waitFind, most: 15, card: true, shape: found}
	cmdSelect     = command{code: CmdSelect, op: "select", wait: waitSelect, most: 19, card: true, shape: success(8)}
	cmdText       = command{code: CmdReadText, op: "read text", wait: waitRead, most: 2321, card: true, shape: anyData, check: isCard}
	cmdAddress    = command{code: CmdReadAddress, op: "read address", wait: waitAddress, most: 291, card: true, shape: addresses}
	cmdManagement = command{code: CmdReadManagement, op: "read management block", wait: waitAddress, most: 39, card: true, shape: success(managementSize)}
	// cmdProbe asks whether anything speaks SAM at all: any frame will do.
	cmdProbe = command{code: CmdSelfTest, op: "detect baud rate", wait: waitProbe, most: 27}
)

func success(n int) func(Status, int) bool {
	return func(s Status, data int) bool { return s.SW3 == OK && data == n }
}

func found(s Status, data int) bool   { return s.SW3 == CardFound && data == 4 }
func anyData(s Status, data int) bool { return s.SW3 == OK && data > 0 }

func addresses(s Status, data int) bool {
	return s.SW3 == NoSuchItem && data == 0 ||
		s.SW3 == OK && data > 0 && data%addressSize == 0 && data <= maxAddresses*addressSize
}

func isCard(data []byte) error {
	_, err := ParseCard(data)
	return err
}

// fits reports whether a frame can be the answer to the command. Successes must
// have the command's own shape, so that a late answer to an earlier command is
// not taken for this one's; failures carry a status alone, and one about cards
// does not answer a command about the module.
func (c command) fits(b Body) bool {
	if c.shape == nil {
		return true
	}
	s, data := b.Status(), b.Data()
	if c.shape(s, len(data)) {
		return c.check == nil || c.check(data) == nil
	}
	m := s.Meaning()
	return len(data) == 0 && m.Err != nil && (c.card || !m.Card)
}

// wireTime is how long n bytes take, 10 bits each (8N1).
func wireTime(n, baud int) time.Duration {
	if baud <= 0 {
		baud = slowest
	}
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}

// Reasons beside an error's sentinel.
var (
	errDamaged = errors.New("the answer came damaged")
	errForeign = errors.New("what came is no answer to the command")
)

// ended is a context that is over: a Read under it takes what is there.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// attempt sends a command and waits for its answer. The Body holds until the
// next exchange.
//
// It ends on the first frame that fits; on silence after bytes that belong to no
// frame, wherever the damage lies (driver.ErrProtocol with the cause errDamaged:
// the command can be repeated at once); on the command's
// deadline (driver.ErrTimeout, or ErrProtocol if bytes came that are no
// answer); or with the context. After the patience without a byte the module is
// asked whether it is there; if it is, the command was lost (driver.ErrTimeout
// with the cause errLost).
func (c *Client) attempt(ctx context.Context, cmd command, patience time.Duration, data ...byte) (Body, error) {
	defer c.count()
	defer c.dropRaw()
	if err := c.discard(ended); err != nil {
		return nil, c.failed(ctx, cmd.op, err)
	}
	c.dropRaw()
	c.rejected, c.heardAt = 0, time.Time{}
	before, settled := c.odd, !c.unsettled
	c.odd = odd{}
	stats := c.sniffer.Stats()
	frame := cmd.code.Frame(data...)
	if err := c.send(ctx, cmd.op, frame); err != nil {
		return nil, err
	}

	sent := c.o.Clock.Now().Add(wireTime(len(frame), c.o.Baud)) // at the latest
	answer, cancel := c.within(ctx, cmd.wait+wireTime(len(frame)+cmd.most, c.o.Baud))
	defer cancel()
	first := answer
	if patience < cmd.wait {
		first, cancel = c.within(answer, patience+wireTime(len(frame), c.o.Baud))
		defer cancel()
	}
	for silent, asked := false, false; ; {
		if b := c.next(cmd, settled); b != nil {
			c.framed = true
			if cmd.code == CmdSelfTest {
				c.unsettled = false
			}
			c.patience.heard(cmd.code, c.heardAt.Sub(sent))
			return b, nil
		}
		now := c.sniffer.Stats()
		foreign := c.rejected + int(now.Skipped-stats.Skipped)
		damaged := now.damaged() != stats.damaged() || foreign > floodLimit
		stray := damaged || c.odd != odd{} || now.Skipped != stats.Skipped && resembles(c.raw)
		var err error
		switch {
		case ctx.Err() != nil:
			err = c.failed(ctx, cmd.op, ctx.Err())
		case asked && !c.asked: // so nothing is under way any more
			return nil, c.error(cmd.op, driver.ErrTimeout, errLost)
		case silent && stray && !c.sniffer.Pending():
			err = c.error(cmd.op, driver.ErrProtocol, errDamaged)
		case answer.Err() != nil && (foreign > 0 || damaged || c.sniffer.Pending()):
			err = c.error(cmd.op, driver.ErrProtocol, errForeign)
		case answer.Err() != nil:
			c.patience.forget(cmd.code)
			err = c.error(cmd.op, driver.ErrTimeout, nil)
		case asked || !c.heardAt.IsZero():
			silent, err = c.receive(ctx, cmd.op, answer, stray)
		case first.Err() != nil:
			err = c.send(ctx, cmd.op, CmdSelfTest.Frame())
			c.unsettled = c.unsettled || c.asked // which of the two is answered, cannot be told
			asked, c.asked = true, true
		default:
			silent, err = c.receive(ctx, cmd.op, first, stray)
		}
		if err != nil {
			c.unsettled = c.odd == odd{} // else the answer has come, odd as it is
			if form := c.formOf(cmd, before); form != nil && ctx.Err() == nil {
				err = form
			}
			return nil, err
		}
	}
}

// send writes a frame. After a failure nobody knows what the module got.
func (c *Client) send(ctx context.Context, op string, frame []byte) error {
	write, cancel := c.within(ctx, waitWrite+wireTime(len(frame), c.o.Baud))
	defer cancel()
	if err := c.t.Write(write, frame); err != nil {
		c.unsettled = true
		return c.failed(ctx, op, err)
	}
	return nil
}

// next is the next frame that can be the answer to cmd, or nil. Where nothing is
// under way from before, another frame is an odd answer to cmd.
func (c *Client) next(cmd command, settled bool) Body {
	for {
		b, ok := c.sniffer.Next()
		if !ok || cmd.fits(b) {
			return b
		}
		c.framed = true
		if s := b.Status(); settled && !c.asked && cmd.shape != nil && (s.SW3 == OK || s.SW3 == CardFound) {
			c.odd = odd{cmd.code, s.SW3, len(b.Data())}
		} else if !c.stray(b) {
			c.rejected += overhead + len(b) + 1
		}
	}
}

// receive waits for bytes until the deadline. Once a frame has begun, or bytes
// have come that belong to none, it waits no longer than the inter-byte time and
// then reports silence.
func (c *Client) receive(ctx context.Context, op string, answer context.Context, stray bool) (silent bool, err error) {
	wait := answer
	if stray || c.sniffer.Pending() {
		var cancel context.CancelFunc
		wait, cancel = c.within(answer, max(c.o.Gap, wireTime(gapBytes, c.o.Baud)))
		defer cancel()
	}
	n, err := c.t.Read(wait, c.buf[:])
	if n == 0 && wait.Err() != nil {
		// Where this program did not run when it should have, its time is over
		// although the bytes are here.
		n, err = c.t.Read(ended, c.buf[:])
	}
	c.sniffer.Write(c.buf[:n])
	c.keep(c.buf[:n])
	switch {
	case n > 0 && c.heardAt.IsZero():
		c.heardAt = c.o.Clock.Now()
		return false, nil
	case n > 0 || err == nil:
		return false, nil
	case wait.Err() == nil:
		return false, c.failed(ctx, op, err)
	case answer.Err() == nil:
		c.sniffer.Silence()
		return true, nil
	}
	return false, nil
}

// discard throws away what arrives unasked until the context ends, frames
// included: answers to commands that were given up, other protocols on the
// line. A frame that is half here stays, its rest is on the way.
func (c *Client) discard(ctx context.Context) error {
	for n := 0; n < discardLimit; {
		for {
			b, ok := c.sniffer.Next()
			if !ok {
				break
			}
			c.stray(b)
		}
		got, err := c.t.Read(ctx, c.buf[:])
		if got == 0 {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			return err
		}
		c.sniffer.Write(c.buf[:got])
		c.keep(c.buf[:got])
		n += got
	}
	return nil
}

// error is a failure without a status.
func (c *Client) error(op string, kind, cause error) error {
	return &driver.Error{Op: op, Reader: c.o.Name, Err: kind, Cause: cause}
}

// refused is a failure that the module reported.
func (c *Client) refused(op string, s Status) error {
	return &driver.Error{Op: op, Reader: c.o.Name, Status: []byte{s.SW1, s.SW2, s.SW3}, Err: s.Meaning().Err, Cause: s}
}

// failed is a failure of the transport, or the caller's context.
func (c *Client) failed(ctx context.Context, op string, err error) error {
	var known *driver.Error
	switch {
	case ctx.Err() != nil:
		return c.error(op, ctx.Err(), nil)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // ours
		return c.error(op, driver.ErrTimeout, nil)
	case errors.As(err, &known):
		return c.error(op, known.Err, known.Cause)
	}
	return c.error(op, driver.ErrGone, err)
}
