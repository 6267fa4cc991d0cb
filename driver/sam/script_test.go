package sam

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// step is one exchange as a test expects it: the request, and what comes back.
type step struct {
	want   Code
	data   []byte // of the request
	answer []piece
}

// piece is a delivery of bytes, after a time counted from the piece before.
type piece struct {
	after time.Duration
	bytes []byte
}

// script is a strict Transport: a request that is not the next expected one
// fails the test, and so does an expected one that never came. Time passes only
// in Read: the fake clock jumps to the next piece or to the context's deadline.
type script struct {
	t     testing.TB
	clock *clockwork.FakeClock
	steps []step
	inbox []piece
	due   time.Time // when inbox[0] arrives
	err   error     // what Read says when nothing is left, instead of waiting
	sent  []Code
}

func newScript(t testing.TB, steps ...step) *script {
	s := &script{t: t, clock: clockwork.NewFakeClock(), steps: steps}
	t.Cleanup(func() {
		for _, left := range s.steps {
			t.Errorf("the request %s never came", left.want)
		}
	})
	return s
}

func (s *script) client(o Options) *Client {
	o.Clock = s.clock
	if o.Name == "" {
		o.Name = "front"
	}
	if o.Baud == 0 {
		o.Baud = 115200
	}
	return NewClient(s, o)
}

// deliver makes pieces arrive unasked.
func (s *script) deliver(pieces ...piece) {
	if len(s.inbox) == 0 && len(pieces) > 0 {
		s.due = s.clock.Now().Add(pieces[0].after)
	}
	s.inbox = append(s.inbox, pieces...)
}

func (s *script) Write(_ context.Context, frame []byte) error {
	if len(s.steps) == 0 {
		s.t.Fatalf("unexpected request % X", frame)
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	if want := next.want.Frame(next.data...); !bytes.Equal(frame, want) {
		s.t.Fatalf("request % X, want % X", frame, want)
	}
	s.sent = append(s.sent, next.want)
	s.deliver(next.answer...)
	return nil
}

func (s *script) Read(ctx context.Context, buf []byte) (int, error) {
	deadline, limited := ctx.Deadline()
	if len(s.inbox) > 0 && (!s.due.After(s.clock.Now()) || ctx.Err() == nil && (!limited || s.due.Before(deadline))) {
		s.clock.Advance(max(0, s.due.Sub(s.clock.Now())))
		n := copy(buf, s.inbox[0].bytes)
		if s.inbox[0].bytes = s.inbox[0].bytes[n:]; len(s.inbox[0].bytes) == 0 {
			if s.inbox = s.inbox[1:]; len(s.inbox) > 0 {
				s.due = s.clock.Now().Add(s.inbox[0].after)
			}
		}
		return n, nil
	}
	if s.err != nil && len(s.inbox) == 0 && ctx.Err() == nil {
		return 0, s.err
	}
	if ctx.Err() == nil {
		s.clock.Advance(max(0, deadline.Sub(s.clock.Now())))
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func (s *script) Close() error { return nil }

// answers is the delivery of whole frames at once.
func answers(frames ...[]byte) []piece {
	return []piece{{bytes: bytes.Join(frames, nil)}}
}

// split cuts a frame into pieces of n bytes that arrive with a pause between.
func split(frame []byte, n int, pause time.Duration) []piece {
	var ps []piece
	for len(frame) > 0 {
		k := min(n, len(frame))
		ps = append(ps, piece{pause, frame[:k]})
		frame = frame[k:]
	}
	return ps
}

// status is an answer without data.
func status(sw3 byte) []byte { return Answer(0, 0, sw3, nil) }

var (
	foundFrame    = Answer(0, 0, CardFound, make([]byte, 4))
	selectedFrame = Answer(0, 0, OK, make([]byte, 8))
	noAddress     = status(NoSuchItem)
)

// specimen is a made-up card: a pattern instead of text, the photo's published
// first bytes and filler.
func specimen(fill byte) driver.RawCard {
	var c driver.RawCard
	for i := range c.Text {
		c.Text[i] = fill + byte(i)
	}
	c.Photo = append([]byte{0x57, 0x4C, 0x66, 0x00, 0x7E, 0x00, 0x32, 0x00, 0x00, 0xFF, 0x85}, bytes.Repeat([]byte{fill}, photoSize-11)...)
	return c
}

// cardData is the data of a read answer for a card; fingerprints < 0 gives the
// 30 01 form, else the 30 10 form with so many bytes.
func cardData(c driver.RawCard, fingerprints int) []byte {
	data := []byte{0x01, 0x00, byte(len(c.Photo) >> 8), byte(len(c.Photo))}
	if fingerprints >= 0 {
		data = append(data, byte(fingerprints>>8), byte(fingerprints))
	}
	data = append(append(data, c.Text[:]...), c.Photo...)
	return append(data, bytes.Repeat([]byte{0xF1}, max(0, fingerprints))...)
}

func cardFrame(c driver.RawCard) []byte { return Answer(0, 0, OK, cardData(c, -1)) }

// record is an address of 70 bytes made of one letter and padding.
func record(letter byte) [addressSize]byte {
	var r [addressSize]byte
	for i := 0; i < addressSize; i += 2 {
		r[i] = ' '
	}
	r[0] = letter
	return r
}

func equalCards(a, b driver.RawCard) bool {
	if a.Text != b.Text || !bytes.Equal(a.Photo, b.Photo) || len(a.Addresses) != len(b.Addresses) {
		return false
	}
	for i := range a.Addresses {
		if a.Addresses[i] != b.Addresses[i] {
			return false
		}
	}
	return true
}

// statusOf is SW3 of a driver.Error, or 0.
func statusOf(err error) byte {
	var e *driver.Error
	if errors.As(err, &e) && len(e.Status) == 3 {
		return e.Status[2]
	}
	return 0
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
