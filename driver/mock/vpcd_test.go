package mock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// slot is vpcd's end: it listens, and talks to the card that connects.
type slot struct {
	t *testing.T
	net.Listener
	card net.Conn
}

func newSlot(t *testing.T) *slot {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &slot{t: t, Listener: l}
}

// accept waits until a card is in the slot.
func (s *slot) accept() {
	s.t.Helper()
	s.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
	var err error
	if s.card, err = s.Accept(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.card.Close() })
	s.card.SetDeadline(time.Now().Add(10 * time.Second))
}

// tell sends what is not answered.
func (s *slot) tell(body ...byte) {
	s.t.Helper()
	if err := writeVPCD(s.card, body); err != nil {
		s.t.Fatal(err)
	}
}

func (s *slot) ask(body ...byte) []byte {
	s.t.Helper()
	s.tell(body...)
	answer, err := readVPCD(s.card)
	if err != nil {
		s.t.Fatalf("% X: %v", body[:min(len(body), 4)], err)
	}
	return answer
}

func TestVPCDCard(t *testing.T) {
	vpcd := newSlot(t)
	m := NewModule(Options{})
	card := NewVPCDCard(m, vpcd.Addr().String())
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- card.Serve(ctx) }()

	c := simcard.Generate(1, 1)[0]
	m.Place(c)
	vpcd.accept()
	vpcd.tell(vpcdPowerOn)
	vpcd.tell(vpcdReset)
	if atr := vpcd.ask(vpcdATR); !bytes.Equal(atr, virtualATR) {
		t.Errorf("ATR % X", atr)
	}
	if m.State().Tried != 0 {
		t.Error("the ATR alone counts as a look for the card")
	}
	var data []byte
	for page := range byte(6) {
		answer := vpcd.ask(0xFF, 0xB0, page, 0, 0)
		if !bytes.HasSuffix(answer, swFine) || len(answer) > 258 {
			t.Fatalf("page %d has %d bytes", page, len(answer))
		}
		data = append(data, answer[:len(answer)-2]...)
	}
	raw, err := sam.ParseCard(data)
	if err != nil || raw.Text != c.Text() || !bytes.Equal(raw.Photo, c.Photo()) {
		t.Errorf("the pages are another card, error %v", err)
	}
	if s := m.State(); s.Tried == 0 || s.Reads != 1 {
		t.Errorf("after the pages: %+v", s)
	}
	for want, apdu := range map[string][]byte{
		"\x6B\x00": {0xFF, 0xB0, 6, 0, 0},
		"\x6D\x00": {0x00, 0xA4, 0x04, 0x00, 0x00},
	} {
		if got := vpcd.ask(apdu...); string(got) != want {
			t.Errorf("% X is answered % X", apdu, got)
		}
	}
	frame := sam.CmdSAMID.Frame()
	answer := vpcd.ask(append([]byte{0xFF, 0, 0, 0, byte(len(frame))}, frame...)...)
	var s sam.Sniffer
	s.Write(answer)
	if body, ok := s.Next(); !ok || body.Status().SW3 != sam.OK || !bytes.HasSuffix(answer, swFine) {
		t.Error("a frame is not answered by one")
	}

	m.Lift()
	if _, err := readVPCD(vpcd.card); !errors.Is(err, io.EOF) {
		t.Errorf("lifted: %v", err)
	}
	vpcd.card.Close()
	if err := m.Await(ctx, func(s State) bool { return s.Missed >= 2 }); err != nil {
		t.Errorf("that vpcd noticed is not known: %v", err)
	}

	m.Place(c)
	vpcd.accept()
	m.Place(simcard.Generate(2, 1)[0]) // in the stead of the other
	if _, err := readVPCD(vpcd.card); !errors.Is(err, io.EOF) {
		t.Errorf("swapped: %v", err)
	}
	vpcd.card.Close()
	vpcd.accept()
	if answer := vpcd.ask(0xFF, 0xB0, 0, 0, 0); len(answer) != 258 {
		t.Errorf("after a swap: %d bytes", len(answer))
	}
	stop()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("serve: %v", err)
	}
	if _, err := m.Open(); err != nil {
		t.Errorf("the module is not given back: %v", err)
	}
}

// TestVPCDCardWaits has vpcd appear and leave.
func TestVPCDCardWaits(t *testing.T) {
	vpcd := newSlot(t)
	m := NewModule(Options{})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- NewVPCDCard(m, vpcd.Addr().String()).Serve(ctx) }()
	m.Place(simcard.Generate(1, 1)[0])
	for range 2 {
		vpcd.accept()
		vpcd.ask(vpcdATR)
		vpcd.card.Close()
	}
	stop()
	<-served
}
