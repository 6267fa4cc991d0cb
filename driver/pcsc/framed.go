package pcsc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
)

// There is no line whose rate could be known. rate has the client's time-outs
// not grow by that of the slowest one; a frame comes whole, so gap matters only
// where its answer is cut off.
const (
	rate = 115200
	gap  = 400 * time.Millisecond
)

// framed is a driver.Device for the profiles apdu and escape: a SAM client whose
// frames go through PC/SC.
type framed struct {
	*place
	client  *sam.Client
	line    *line
	profile string
	events  uint32 // cards in and out, when the last one was looked for
}

var _ driver.Device = (*framed)(nil)

func newFramed(p *place, s driver.Spec, profile string, w wrapping) *framed {
	l := &line{place: p, wrapping: w}
	return &framed{place: p, line: l, profile: profile, client: sam.NewClient(driver.Observed(l, s.Wire), sam.Options{
		Name: s.Name, Model: p.reader, Detail: p.identity(profile).Detail, Baud: rate, Gap: gap, OneAtATime: true, MaxRFBytes: s.MaxRFBytes, Clock: p.d.Clock,
	})}
}

// absent reports that nothing can be asked now: an envelope needs a card for
// the service to carry it to.
func (f *framed) absent(ctx context.Context) (bool, state, error) {
	s, err := f.idle(ctx)
	if err != nil || f.line.direct() || s.present {
		return false, s, err
	}
	f.line.drop()
	return true, s, nil
}

// Identify asks the module, if it can be reached.
func (f *framed) Identify(ctx context.Context) (driver.Identity, error) {
	ctx, done, err := f.begin(ctx, "identify")
	if err != nil {
		return driver.Identity{}, err
	}
	defer done()
	if absent, _, err := f.absent(ctx); absent || err != nil {
		return f.identity(f.profile), err
	}
	id, err := f.client.Identify(ctx)
	if ofReach(err) {
		return f.identity(f.profile), nil
	}
	id.Baud = 0
	return id, err
}

// Find looks for a card.
func (f *framed) Find(ctx context.Context) (bool, error) {
	ctx, done, err := f.begin(ctx, "find")
	if err != nil {
		return false, err
	}
	defer done()
	absent, s, err := f.absent(ctx)
	if absent || err != nil {
		return false, err
	}
	f.events = s.events
	found, err := f.client.Find(ctx)
	if ofReach(err) {
		return false, nil
	}
	return found, err
}

// Present asks whether the card just read is still there.
func (f *framed) Present(ctx context.Context) (bool, error) {
	ctx, done, err := f.begin(ctx, "look")
	if err != nil {
		return false, err
	}
	defer done()
	absent, s, err := f.absent(ctx)
	if absent || err != nil || s.events != f.events {
		return false, err
	}
	return f.client.Present(ctx)
}

// ofReach reports an error that means no more than that the card which carries
// the frames has left.
func ofReach(err error) bool {
	return errors.Is(err, codeRemoved) || errors.Is(err, codeNoCard) || errors.Is(err, codeUnpowered) || errors.Is(err, codeNotTransacted)
}

// Read selects and reads the card found.
func (f *framed) Read(ctx context.Context) (driver.RawCard, error) {
	ctx, done, err := f.begin(ctx, "read")
	if err != nil {
		return driver.RawCard{}, err
	}
	defer done()
	return f.client.Read(ctx)
}

// LineErrors counts damaged and foreign frames.
func (f *framed) LineErrors() uint64 { return f.client.LineErrors() }

// Close ends the line and gives the reader back.
func (f *framed) Close() error {
	f.close(f.line.drop)
	return nil
}

// wrapping is how a frame goes through PC/SC.
type wrapping interface {
	direct() bool // to the reader, with or without a card
	send(c card, frame []byte) ([]byte, error)
}

// envelope is the header of a pseudo-APDU: CLA INS P1 P2.
type envelope []byte

func (envelope) direct() bool { return false }

// maxFrame is what a short APDU carries; frames to a module have 11 bytes at
// most.
const maxFrame = 255

// send puts the frame behind the header and its length and takes off the status
// words.
func (e envelope) send(c card, frame []byte) ([]byte, error) {
	if len(frame) > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes does not fit an APDU", len(frame))
	}
	apdu := append(append(append([]byte(nil), e...), byte(len(frame))), frame...)
	answer, err := c.transmit(apdu)
	if err != nil {
		return nil, err
	}
	n := len(answer) - 2
	if n < 0 {
		return nil, codeNotTransacted
	}
	if sw := binary.BigEndian.Uint16(answer[n:]); sw != swOK {
		return nil, &driver.Error{Op: "transmit", Status: answer[n:], Err: driver.ErrProtocol}
	}
	return answer[:n], nil
}

// escape is a control code; 0 is the system's usual function.
type escape uint32

func (escape) direct() bool { return true }

func (e escape) send(c card, frame []byte) ([]byte, error) {
	switch {
	case e != 0:
	case runtime.GOOS == "windows":
		e = 3500
	default:
		e = 1
	}
	return c.control(uint32(e), frame)
}
