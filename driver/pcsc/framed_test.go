package pcsc

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/simcard"
)

// through gives the answer of a simulated module to a frame.
func through(t *testing.T, m *mock.Module) func([]byte) ([]byte, error) {
	t.Helper()
	line, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	return func(frame []byte) ([]byte, error) {
		if err := line.Write(context.Background(), frame); err != nil {
			return nil, err
		}
		buf := make([]byte, 4096)
		n, err := line.Read(context.Background(), buf)
		return buf[:n], err
	}
}

var appended = func() simcard.Card {
	for _, c := range simcard.Generate(9, 200) {
		if len(c.Appended) > 0 {
			return c
		}
	}
	panic("no card with an appended address")
}()

// TestEscape reads a card through a reader's control function, which needs no
// card to reach the module.
func TestEscape(t *testing.T) {
	m := mock.NewModule(mock.Options{})
	say := through(t, m)
	way := newDouble(t)
	way.direct = true
	usual := uint32(1)
	if runtime.GOOS == "windows" {
		usual = 3500
	}
	for asked, want := range map[uint32]uint32{0: usual, 2079: 2079} {
		way.control = func(code uint32, frame []byte) ([]byte, error) {
			if code != want {
				t.Errorf("control code %d, want %d", code, want)
			}
			return say(frame)
		}
		d := &Driver{way: way}
		dev := open(t, d, driver.Spec{Name: "front", Port: "Double*", Profile: "escape", EscapeCode: asked})
		id, err := dev.Identify(t.Context())
		if err != nil || id.SAM == "" || id.Status != 0x90 {
			t.Errorf("identify: %+v, %v", id, err)
		}
		if found, err := dev.Find(t.Context()); found || err != nil {
			t.Errorf("find without a card: %v, %v", found, err)
		}
		m.Place(appended)
		readFramed(t, dev)
		m.Lift()
		if there, err := dev.Present(t.Context()); there || err != nil {
			t.Errorf("lifted: %v, %v", there, err)
		}
		dev.Close()
	}
}

func readFramed(t *testing.T, dev driver.Device) {
	t.Helper()
	if found, err := dev.Find(t.Context()); !found || err != nil {
		t.Fatalf("find: %v, %v", found, err)
	}
	raw, err := dev.Read(t.Context())
	if err != nil || raw.Text != appended.Text() || len(raw.Addresses) != len(appended.Appended) {
		t.Fatalf("another card, or not its addresses; error %v", err)
	}
	if there, err := dev.Present(t.Context()); !there || err != nil {
		t.Fatalf("present: %v, %v", there, err)
	}
}

// TestEnvelope reads a card through pseudo-APDUs, for which a card has to be
// there.
func TestEnvelope(t *testing.T) {
	m := mock.NewModule(mock.Options{Quirks: mock.Quirks{Refinds: true}})
	m.Place(appended)
	say := through(t, m)
	header := []byte{0xFF, 0x00, 0x01, 0x02}
	way := newDouble(t)
	way.transmit = func(apdu []byte) ([]byte, error) {
		if !bytes.HasPrefix(apdu, header) || int(apdu[4]) != len(apdu)-5 {
			t.Errorf("an APDU of %d bytes without the header or with another length", len(apdu))
		}
		answer, err := say(apdu[5:])
		return append(answer, 0x90, 0x00), err
	}
	d := &Driver{way: way}
	dev := open(t, d, driver.Spec{Name: "front", Port: "Double*", Profile: "apdu", APDUHeader: header})
	if id, err := dev.Identify(t.Context()); err != nil || id.SAM != "" {
		t.Errorf("identify without a card: %+v, %v", id, err)
	}
	if found, err := dev.Find(t.Context()); found || err != nil {
		t.Errorf("find without a card: %v, %v", found, err)
	}
	way.card(true)
	if id, err := dev.Identify(t.Context()); err != nil || id.SAM == "" {
		t.Errorf("identify: %+v, %v", id, err)
	}
	readFramed(t, dev)

	way.fail("transmit", codeReset) // the module still has the card: ask again
	way.fail("reconnect", nil)
	if _, err := dev.Present(t.Context()); !errors.Is(err, driver.ErrCardLost) {
		t.Errorf("reset by another program: %v", err)
	}
	readFramed(t, dev)
	way.fail("transmit", codeRemoved)
	if found, err := dev.Find(t.Context()); found || err != nil {
		t.Errorf("pulled: %v, %v", found, err)
	}
	way.card(false)
	if there, err := dev.Present(t.Context()); there || err != nil {
		t.Errorf("taken out: %v, %v", there, err)
	}
	way.card(true)
	readFramed(t, dev)
	way.set(func(s *state) { s.events += 2 })
	if there, err := dev.Present(t.Context()); there || err != nil {
		t.Errorf("swapped: %v, %v", there, err)
	}
	good := way.transmit
	way.transmit = func([]byte) ([]byte, error) { return []byte{0x6D, 0x00}, nil }
	if _, err := dev.Find(t.Context()); !errors.Is(err, driver.ErrProtocol) {
		t.Errorf("an envelope that the reader does not know: %v", err)
	}
	way.transmit = func([]byte) ([]byte, error) { return nil, nil }
	if found, err := dev.Find(t.Context()); found || err != nil {
		t.Errorf("empty answers: %v, %v", found, err)
	}
	way.transmit = good
	readFramed(t, dev)
	dev.Close()
}

// TestFramedHangs leaves a control call unanswered.
func TestFramedHangs(t *testing.T) {
	clock := clockwork.NewFakeClock()
	way := newDouble(t)
	way.direct = true
	back, entered := make(chan struct{}), make(chan struct{}, 1)
	way.control = func(uint32, []byte) ([]byte, error) {
		entered <- struct{}{}
		<-back
		return nil, codeCommLost
	}
	d := &Driver{Clock: clock, way: way}
	spec := driver.Spec{Name: "front", Port: "Double*", Profile: "escape"}
	dev := open(t, d, spec)
	failed := make(chan error, 1)
	go func() {
		for {
			if _, err := dev.Find(t.Context()); !errors.Is(err, driver.ErrTimeout) {
				failed <- err
				return
			}
		}
	}()
	<-entered
	for done := false; !done; {
		select {
		case err := <-failed:
			done = true
			if !errors.Is(err, driver.ErrStuck) {
				t.Errorf("find: %v", err)
			}
		default:
			clock.Advance(apduTime / 50)
			runtime.Gosched()
		}
	}
	dev.Close()
	if _, err := d.Open(t.Context(), spec); !errors.Is(err, driver.ErrStuck) {
		t.Errorf("opened again: %v", err)
	}
	close(back)
	await(t, "the call came back", func() bool { return d.hanging("", doubleReader) == nil })
}
