package sam

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// hostile is a module whose answers are the fuzzer's: each request takes the
// next part of the input, whose first bytes say how it comes. Time passes in
// Read alone.
type hostile struct {
	clock *clockwork.FakeClock
	input []byte
	inbox []byte
	pause time.Duration // before each delivery
	chunk int
}

func (h *hostile) Write(context.Context, []byte) error {
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
// get in one right frame.
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
		h := &hostile{clock: clockwork.NewFakeClock(), input: input}
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
			for _, kind := range []error{driver.ErrCardLost, driver.ErrNoCard, driver.ErrNotID, driver.ErrFaulty, driver.ErrProtocol, driver.ErrTimeout} {
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
			if n := len(card.Addresses); n > maxAddresses {
				t.Fatalf("%d addresses", n)
			}
			_, err = c.Present(ctx)
			check("Present", err)
		}
		if d := h.clock.Now().Sub(start); d > 60*time.Second {
			t.Fatalf("took %v", d)
		}
	})
}
