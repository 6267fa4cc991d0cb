package sam

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// hostile is a module whose answers are the fuzzer's: each request takes the
// next part of the input, whose first bytes say how it comes. Time passes in
// Read alone.
type hostile struct {
	t     testing.TB
	clock *clockwork.FakeClock
	input []byte
	inbox []byte
	given []byte        // everything delivered
	pause time.Duration // before each delivery
	chunk int
}

// harmless are the only requests that may ever reach a module: 60 changes its
// rate for good and codes from 80 on can write its flash.
var harmless = []Code{CmdReset, CmdSelfTest, CmdSAMID, CmdFind, CmdSelect, CmdReadText, CmdReadAddress, CmdReadManagement, CmdMaxRF}

func (h *hostile) Write(_ context.Context, request []byte) error {
	s := Sniffer{Commands: true}
	s.Write(request)
	if b, ok := s.Next(); !ok || !slices.Contains(harmless, b.Code()) || s.Stats() != (LineStats{}) {
		h.t.Fatalf("the request % X went out", request)
	}
	if len(h.input) < 3 {
		return nil
	}
	n := min(int(h.input[0])<<4, len(h.input)-3)
	h.pause = time.Duration(h.input[1]) * 8 * time.Millisecond
	h.chunk = int(h.input[2]) + 1
	part := h.input[3 : 3+n]
	if n > 3 && h.input[2]&1 == 1 { // half of the parts come with a right frame around them
		part = Answer(part[0], part[1], part[2], part[3:])
	}
	h.inbox = append(h.inbox, part...)
	h.input = h.input[3+n:]
	return nil
}

func (h *hostile) Read(ctx context.Context, buf []byte) (int, error) {
	at, limited := ctx.Deadline()
	now := h.clock.Now()
	if len(h.inbox) > 0 && ctx.Err() == nil && (!limited || now.Add(h.pause).Before(at)) {
		h.clock.Advance(h.pause)
		n := copy(buf[:min(h.chunk, len(buf))], h.inbox)
		h.inbox = h.inbox[n:]
		h.given = append(h.given, buf[:n]...)
		return n, nil
	}
	if ctx.Err() == nil {
		h.clock.Advance(max(0, at.Sub(now)))
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func (h *hostile) Close() error { return nil }

// FuzzClient: whatever a module answers, every call ends within its time,
// fails with a sentinel of package driver, and gives no card that it did not
// get in one piece.
func FuzzClient(f *testing.F) {
	part := func(pause, chunk byte, frames ...[]byte) []byte {
		var p []byte
		for _, b := range frames {
			p = append(p, b...)
		}
		for len(p)%16 != 0 {
			p = append(p, 0)
		}
		return append([]byte{byte(len(p) >> 4), pause, chunk}, p...)
	}
	id := Answer(0, 0, OK, make([]byte, 16))
	var session []byte
	for _, p := range [][]byte{part(0, 254, id), part(0, 254, status(OK)), part(1, 6, foundFrame), part(0, 254, selectedFrame),
		part(0, 254, cardFrame(specimen(1))), part(0, 254, noAddress), part(0, 254, noAddress)} {
		session = append(session, p...)
	}
	f.Add(session)
	f.Add(append(part(60, 6, vendorTimeout, status(NoCard)), session...))
	f.Add(part(0, 1, []byte{0, 0, OK, 1, 0, 4, 0}))
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1<<15 {
			return
		}
		h := &hostile{t: t, clock: clockwork.NewFakeClock(), input: input}
		c := NewClient(h, Options{Clock: h.clock, Baud: 115200})
		ctx := context.Background()
		start := h.clock.Now()
		check := func(op string, err error) {
			if err == nil {
				return
			}
			var e *driver.Error
			if !errors.As(err, &e) {
				t.Fatalf("%s: %v is no driver.Error", op, err)
			}
			for _, kind := range []error{driver.ErrCardLost, driver.ErrNoCard, driver.ErrNotID, driver.ErrFaulty, driver.ErrProtocol, driver.ErrTimeout, driver.ErrTelnet, driver.ErrDialect} {
				if errors.Is(err, kind) {
					return
				}
			}
			t.Fatalf("%s: %v unwraps to nothing known", op, err)
		}
		_, err := c.Identify(ctx)
		check("Identify", err)
		for range 3 {
			_, err := c.Find(ctx)
			check("Find", err)
			card, err := c.Read(ctx)
			check("Read", err)
			if err != nil && (card.Photo != nil || card.Text != [256]byte{}) {
				t.Fatal("a failed read gave card data")
			}
			if err == nil && !bytes.Contains(h.given, append(card.Text[:], card.Photo...)) {
				t.Fatal("a card that no answer held")
			}
			if n := len(card.Addresses); n > maxAddresses {
				t.Fatalf("%d addresses", n)
			}
			_, err = c.Present(ctx)
			check("Present", err)
		}
		_, err = c.Management(ctx)
		check("Management", err)
		if d := h.clock.Now().Sub(start); d > 60*time.Second {
			t.Fatalf("took %v", d)
		}
	})
}

// TestTrap29HarmlessRequests: whatever a module answers, nothing but the nine
// known requests goes out, and no code of this package is a dangerous one.
func TestTrap29HarmlessRequests(t *testing.T) {
	for _, code := range harmless {
		if cmd := byte(code >> 8); cmd >= 0x80 || cmd == 0x60 || code == 0x3010 {
			t.Errorf("%s is never to be sent", code)
		}
	}
	var every []byte // one answer of each status, with data and without
	for sw3 := range 256 {
		every = append(every, status(byte(sw3))...)
		every = append(every, Answer(0, 0, byte(sw3), make([]byte, sw3))...)
	}
	h := &hostile{t: t, clock: clockwork.NewFakeClock(), chunk: 100}
	c := NewClient(h, Options{Clock: h.clock, MaxRFBytes: 0x58})
	ctx := context.Background()
	for i := range 100 {
		h.inbox = append(h.inbox, every[i*16:]...)
		c.Identify(ctx)
		c.Find(ctx)
		c.Read(ctx)
		c.Present(ctx)
		c.Management(ctx)
	}
}
