package mock

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
)

// What vpcd, the reader driver of the vsmartcard project, asks of a virtual card
// over TCP: two bytes of length, big-endian, and a body. A body of one byte is
// a control code; only that for the ATR is answered. Anything else is an APDU. A
// card that is connected lies in its slot.
const (
	vpcdPowerOff = 0
	vpcdPowerOn  = 1
	vpcdReset    = 2
	vpcdATR      = 4
)

// virtualATR is shaped like that of a type B card.
var virtualATR = []byte{0x3B, 0x88, 0x80, 0x01, 0, 0, 0, 0, 0, 0x81, 0x81, 0x00, 0x09}

// Status words of a virtual card.
var (
	swFine        = []byte{0x90, 0x00}
	swNoSuchPage  = []byte{0x6B, 0x00}
	swNoSuchCode  = []byte{0x6D, 0x00}
	swModuleFault = []byte{0x6F, 0x00}
)

const (
	vpcdDial = time.Second
	// redial and redialMost are the pauses while no vpcd listens.
	redial     = 200 * time.Millisecond
	redialMost = time.Second
	// notices bounds the wait for vpcd to notice that a card was lifted; it looks
	// every 0.4 s.
	notices = 3 * time.Second
	// vpcdPatience is what a module may take for one frame.
	vpcdPatience = 4 * time.Second
)

// VPCDCard shows a module to the PC/SC service, as the card in a slot of its
// virtual reader: connected while a card lies on the module. It answers page
// reads (FF B0 pp 00 00, profile paged), and SAM frames as the data of any other
// APDU (profile apdu).
type VPCDCard struct {
	m       *Module
	address string
}

// NewVPCDCard makes a card for the slot at address: vpcd gives its first slot
// one port (35963 as packaged) and each further one the next.
func NewVPCDCard(m *Module, address string) *VPCDCard { return &VPCDCard{m, address} }

// Address is the slot's.
func (v *VPCDCard) Address() string { return v.address }

// Serve plays the card whenever one lies on the module, until the context ends.
// A vpcd that is not there or leaves is waited for.
func (v *VPCDCard) Serve(ctx context.Context) error {
	pause := redial
	for {
		if err := v.m.Await(ctx, func(s State) bool { return s.Present }); err != nil {
			return err
		}
		placing, _, _ := v.m.lying()
		conn, err := (&net.Dialer{Timeout: vpcdDial}).DialContext(ctx, "tcp", v.address)
		if err == nil {
			pause = redial
			err = v.play(ctx, conn.(*net.TCPConn), placing)
		}
		if err != nil {
			select {
			case <-v.m.clock.After(pause):
				pause = min(2*pause, redialMost)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// play is one card from its placing until it is lifted, or vpcd leaves, which is
// an error.
func (v *VPCDCard) play(ctx context.Context, conn *net.TCPConn, placing int) error {
	defer conn.Close()
	t, err := v.m.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	c := &virtualCard{t: t, client: sam.NewClient(t, sam.Options{Baud: v.m.Baud(), Clock: v.m.clock})}

	var watching sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		watching.Wait()
	}()
	lifted := make(chan struct{})
	watching.Go(func() {
		if v.m.awaitLift(ctx, placing) != nil {
			conn.Close()
			return
		}
		close(lifted)
		conn.CloseWrite() // vpcd closes its end when it notices
		conn.SetReadDeadline(time.Now().Add(notices))
	})
	for {
		quickAck(conn)
		request, err := readVPCD(conn)
		over := isClosed(lifted)
		switch {
		case over && err != nil:
			v.m.noticed(placing)
			return nil
		case over:
			continue
		case err != nil:
			return err
		}
		answer, ok := c.answer(ctx, request)
		if !ok {
			continue
		}
		if err := writeVPCD(conn, answer); err != nil && !isClosed(lifted) {
			return err
		}
	}
}

// lying tells which placing is the latest and whether its card still lies there.
func (m *Module) lying() (placing int, there bool, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.placing, m.slot != nil, m.changed
}

// awaitLift blocks until the card of a placing is lifted or another is in its
// stead.
func (m *Module) awaitLift(ctx context.Context, placing int) error {
	for {
		latest, there, changed := m.lying()
		if latest != placing || !there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// noticed notes that the host met the reader empty after a placing, for as long
// as it had to be sure.
func (m *Module) noticed(placing int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slot == nil && m.placing == placing {
		m.state.Missed += 2
		m.change()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func readVPCD(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, body)
	return body, err
}

func writeVPCD(w io.Writer, body []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...))
	return err
}

// virtualCard is what vpcd talks to.
type virtualCard struct {
	t      *Transport
	client *sam.Client
	data   []byte // of the 30 01 answer, once it was read
}

// answer gives what vpcd waits for; false if it waits for nothing.
func (c *virtualCard) answer(ctx context.Context, request []byte) ([]byte, bool) {
	switch {
	case len(request) == 1 && request[0] == vpcdATR:
		if c.data != nil { // by this vpcd looks whether the card is there still
			c.client.Present(ctx)
		}
		return virtualATR, true
	case len(request) <= 1: // power off, on and reset
		return nil, false
	case len(request) < 4:
		return swNoSuchCode, true
	case request[0] == 0xFF && request[1] == 0xB0:
		return c.page(ctx, request[2], request[3]), true
	case len(request) > 5 && bytes.Contains(request[5:], []byte{0xAA, 0xAA, 0x96, 0x69}):
		return c.frame(ctx, request[5:]), true
	}
	return swNoSuchCode, true
}

// page gives a page of the card. The first one has the module read it.
func (c *virtualCard) page(ctx context.Context, page, offset byte) []byte {
	const size = 256
	if page == 0 {
		if err := c.read(ctx); err != nil {
			return swModuleFault
		}
	}
	if at := int(page) * size; offset == 0 && at < len(c.data) {
		return append(append([]byte(nil), c.data[at:min(at+size, len(c.data))]...), swFine...)
	}
	return swNoSuchPage
}

// read has the module find, select and read the card.
func (c *virtualCard) read(ctx context.Context) error {
	again := c.data != nil
	c.data = nil
	if !again {
		switch found, err := c.client.Find(ctx); {
		case err != nil:
			return err
		case !found:
			return driver.ErrNoCard
		}
	}
	raw, err := c.client.Read(ctx)
	if err != nil {
		return err
	}
	data := binary.BigEndian.AppendUint16(nil, uint16(len(raw.Text)))
	data = binary.BigEndian.AppendUint16(data, uint16(len(raw.Photo)))
	c.data = append(append(data, raw.Text[:]...), raw.Photo...)
	return nil
}

// frame passes a SAM frame on and gives the module's answer, damage included.
func (c *virtualCard) frame(ctx context.Context, frame []byte) []byte {
	ctx, cancel := context.WithTimeout(ctx, vpcdPatience)
	defer cancel()
	if err := c.t.Write(ctx, frame); err != nil {
		return swModuleFault
	}
	var whole sam.Sniffer
	var answer []byte
	for buf := make([]byte, sam.MaxBody); ; {
		n, err := c.t.Read(ctx, buf)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && len(answer) > 0 {
				break // a damaged one
			}
			return swModuleFault
		}
		answer = append(answer, buf[:n]...)
		whole.Write(buf[:n])
		if _, ok := whole.Next(); ok {
			break
		}
	}
	return append(answer, swFine...)
}
