package mock_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// host talks to a module frame by frame.
type host struct {
	t  *testing.T
	tr *mock.Transport
}

func newHost(t *testing.T, m *mock.Module) host {
	t.Helper()
	tr, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return host{t, tr}
}

// ask sends raw bytes and gives the one answer's body, nil if none comes.
func (h host) ask(raw []byte) sam.Body {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.tr.Write(ctx, raw); err != nil {
		h.t.Fatal(err)
	}
	var s sam.Sniffer
	buf := make([]byte, 4096)
	for {
		n, err := h.tr.Read(ctx, buf)
		if err != nil {
			return nil
		}
		s.Write(buf[:n])
		if b, ok := s.Next(); ok {
			return b
		}
	}
}

// status asks with a command and gives SW3, 0 without an answer.
func (h host) status(c sam.Code) byte {
	h.t.Helper()
	b := h.ask(c.Frame())
	if b == nil {
		return 0
	}
	return b.Status().SW3
}

var resident = simcard.Generate(1, 1)[0]

func TestModuleAnswersInEveryState(t *testing.T) {
	const (
		find, choose, read, address, manage = sam.CmdFind, sam.CmdSelect, sam.CmdReadText, sam.CmdReadAddress, sam.CmdReadManagement
		place, lift, swap                   = sam.Code(1), sam.Code(2), sam.Code(3) // done by hand, answered 0
	)
	type step struct {
		code sam.Code
		want byte
	}
	for name, tt := range map[string]struct {
		quirks mock.Quirks
		refuse byte
		steps  []step
	}{
		"empty":                  {steps: []step{{find, 0x80}, {choose, 0x81}, {read, 0x41}, {address, 0x41}, {manage, 0x41}}},
		"in order":               {steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {address, 0x91}, {manage, 0x90}}},
		"select before find":     {steps: []step{{place, 0}, {choose, 0x81}, {find, 0x9F}, {choose, 0x90}}},
		"read before select":     {steps: []step{{place, 0}, {find, 0x9F}, {read, 0x41}, {choose, 0x81}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}}},
		"lifted before read":     {steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {lift, 0}, {read, 0x41}, {find, 0x80}}},
		"swapped before read":    {steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {swap, 0}, {read, 0x41}, {find, 0x9F}}},
		"lifted after read":      {steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {lift, 0}, {address, 0x41}, {find, 0x80}}},
		"resting is not refound": {steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {find, 0x80}, {address, 0x91}, {read, 0x90}}},
		"resting is refound": {quirks: mock.Quirks{Refinds: true},
			steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {find, 0x9F}, {read, 0x41}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}}},
		"no second read": {quirks: mock.Quirks{ReadsOnce: true},
			steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {read, 0x21}, {address, 0x91}, {find, 0x80}, {swap, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}}},
		"first find fails": {quirks: mock.Quirks{FirstFindFails: true},
			steps: []step{{place, 0}, {find, 0x80}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}}},
		"first read fails": {quirks: mock.Quirks{FirstReadFails: true},
			steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x41}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}}},
		"merged select": {quirks: mock.Quirks{MergedSelect: true}, steps: []step{{place, 0}, {find, 0x9F}, {read, 0x90}, {address, 0x91}}},
		"no 30 03":      {quirks: mock.Quirks{NoAddress: true}, steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {address, 0x21}}},
		"no 30 05":      {quirks: mock.Quirks{NoManagement: true}, steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {manage, 0x21}}},
		"self-test failed": {quirks: mock.Quirks{SelfTestFailed: true},
			steps: []step{{sam.CmdSelfTest, 0x60}, {place, 0}, {find, 0x60}, {sam.CmdSAMID, 0x60}}},
		"not authorised": {quirks: mock.Quirks{Unauthorised: true}, steps: []step{{sam.CmdSelfTest, 0x66}, {find, 0x66}}},
		"foreign card":   {refuse: 0x40, steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x40}, {read, 0x41}}},
		"fake card":      {refuse: 0x32, steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x32}}},
		"not selectable": {refuse: 0x81, steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x81}}},
		"unknown":        {steps: []step{{0x2003, 0x21}, {0x30FF, 0x21}, {0xA003, 0x21}}},
		"baud":           {steps: []step{{0x6004, 0x90}, {0x6005, 0x21}}},
		"reset":          {steps: []step{{place, 0}, {find, 0x9F}, {choose, 0x90}, {read, 0x90}, {sam.CmdReset, 0x90}, {address, 0x41}, {find, 0x9F}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := mock.NewModule(mock.Options{Quirks: tt.quirks})
			h := newHost(t, m)
			card := resident
			card.Refuse = tt.refuse
			card.Appended = nil
			for i, s := range tt.steps {
				switch s.code {
				case place, swap:
					m.Place(card)
				case lift:
					m.Lift()
				default:
					if got := h.status(s.code); got != s.want {
						t.Fatalf("step %d, %v: answered %02X, want %02X", i+1, s.code, got, s.want)
					}
				}
			}
		})
	}
}

func TestModuleRefusesDamagedRequests(t *testing.T) {
	h := newHost(t, mock.NewModule(mock.Options{}))
	for name, tt := range map[string]struct {
		raw  []byte
		want byte
	}{
		"checksum":      {[]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0, 3, 0x20, 0x01, 0x21}, 0x10},
		"no such size":  {[]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0, 2, 0x20, 0x22}, 0x11},
		"data too much": {sam.Command(0x20, 0x01, 0), 0x11},
		"RF too small":  {sam.CmdMaxRF.Frame(23), 0x21},
		"RF missing":    {sam.CmdMaxRF.Frame(), 0x11},
		"RF":            {sam.CmdMaxRF.Frame(0x50), 0x90},
		"lost sync":     {sam.CmdSelfTest.Frame()[1:], 0x90},
		"junk before":   {append([]byte{0xAA, 0x96, 0x00}, sam.CmdSelfTest.Frame()...), 0x90},
	} {
		b := h.ask(tt.raw)
		if b == nil || b.Status().SW3 != tt.want {
			t.Errorf("%s: answered %v, want %02X", name, b != nil, tt.want)
		}
	}
}

// TestModuleFrames compares with the published frames of whole answers.
func TestModuleFrames(t *testing.T) {
	m := mock.NewModule(mock.Options{})
	m.Place(resident)
	tr, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	buf := make([]byte, 4096)
	for _, tt := range []struct {
		code sam.Code
		want []byte
		size int
	}{
		{sam.CmdSAMID, []byte("\xAA\xAA\xAA\x96\x69\x00\x14\x00\x00\x90\x05\x00\x01\x00\x5B\x03\x33\x01\x5A\xB3\x1E\x00\x00\x00\x00\x00\x1D"), 27},
		{sam.CmdFind, []byte("\xAA\xAA\xAA\x96\x69\x00\x08\x00\x00\x9F\x00\x00\x00\x00\x97"), 15},
		{sam.CmdSelect, []byte("\xAA\xAA\xAA\x96\x69\x00\x0C\x00\x00\x90\x00\x00\x00\x00\x00\x00\x00\x00\x9C"), 19},
		{sam.CmdReadText, []byte("\xAA\xAA\xAA\x96\x69\x05\x08\x00\x00\x90\x01\x00\x04\x00"), 1295},
		{0x3010, []byte("\xAA\xAA\xAA\x96\x69\x05\x0A\x00\x00\x90\x01\x00\x04\x00\x00\x00"), 1297},
		{sam.CmdReadManagement, []byte("\xAA\xAA\xAA\x96\x69\x00\x20\x00\x00\x90"), 39},
	} {
		if err := tr.Write(t.Context(), tt.code.Frame()); err != nil {
			t.Fatal(err)
		}
		n, err := tr.Read(t.Context(), buf)
		if err != nil || n != tt.size || !bytes.HasPrefix(buf[:n], tt.want) {
			t.Errorf("%v: %d bytes, error %v; want %d bytes that begin % X", tt.code, n, err, tt.size, tt.want)
		}
	}
}

func TestClientReadsEveryGeneratedCard(t *testing.T) {
	m := mock.NewModule(mock.Options{})
	tr, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	c := sam.NewClient(tr, sam.Options{})
	defer c.Close()
	for i, card := range simcard.Generate(7, 200) {
		m.Place(card)
		if ok, err := c.Find(t.Context()); !ok || err != nil {
			t.Fatalf("card %d: find %v, %v", i, ok, err)
		}
		raw, err := c.Read(t.Context())
		if err != nil {
			t.Fatalf("card %d: %v", i, err)
		}
		want := card.Raw()
		if raw.Text != want.Text || !bytes.Equal(raw.Photo, want.Photo) || len(raw.Addresses) != len(want.Addresses) {
			t.Fatalf("card %d came out different", i)
		}
		for k, a := range want.Addresses {
			if raw.Addresses[k] != a {
				t.Fatalf("card %d: address %d came out different", i, k)
			}
		}
		if here, err := c.Present(t.Context()); !here || err != nil {
			t.Fatalf("card %d: present %v, %v", i, here, err)
		}
		m.Lift()
		if here, err := c.Present(t.Context()); here || err != nil {
			t.Fatalf("card %d: present after lifting %v, %v", i, here, err)
		}
	}
}

// TestPace checks that a read takes the module's time and the line's, to the
// nanosecond, however often the host looks in between.
func TestPace(t *testing.T) {
	for _, baud := range []int{9600, 115200} {
		synctest.Test(t, func(t *testing.T) {
			timing := mock.Timing{Find: 10 * time.Millisecond, Select: 20 * time.Millisecond, Read: 300 * time.Millisecond, Baud: baud}
			m := mock.NewModule(mock.Options{Timing: timing})
			m.Place(resident)
			tr, err := m.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			buf := make([]byte, 4096)
			for _, tt := range []struct {
				code sam.Code
				busy time.Duration
				size int
			}{{sam.CmdFind, timing.Find, 15}, {sam.CmdSelect, timing.Select, 19}, {sam.CmdReadText, timing.Read, 1295}} {
				began, busy := time.Now(), m.Busy()
				if err := tr.Write(t.Context(), tt.code.Frame()); err != nil {
					t.Fatal(err)
				}
				for got := 0; got < tt.size; {
					n, err := tr.Read(t.Context(), buf)
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
				want := tt.busy + time.Duration(10+tt.size)*10*time.Second/time.Duration(baud)
				// the line's time is rounded down to a nanosecond once per piece
				if took := time.Since(began); took > want || took < want-2*time.Microsecond {
					t.Errorf("%d baud, %v: took %v, want %v", baud, tt.code, took, want)
				}
				if m.Busy()-busy != tt.busy {
					t.Errorf("%v: busy %v, want %v", tt.code, m.Busy()-busy, tt.busy)
				}
			}
		})
	}
}

func TestUnplugAndPlug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mock.NewModule(mock.Options{Quirks: mock.Quirks{PowerUp: 2 * time.Second}})
		tr, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Open(); !errors.Is(err, driver.ErrBusy) {
			t.Errorf("second open: %v, want busy", err)
		}
		failed := make(chan error)
		go func() {
			_, err := tr.Read(t.Context(), make([]byte, 16))
			failed <- err
		}()
		synctest.Wait()
		m.Unplug()
		if err := <-failed; !errors.Is(err, driver.ErrGone) {
			t.Errorf("read at unplugging: %v, want gone", err)
		}
		if _, err := m.Open(); !errors.Is(err, driver.ErrGone) {
			t.Errorf("open while unplugged: %v, want gone", err)
		}
		m.Plug()
		if err := tr.Write(t.Context(), sam.CmdFind.Frame()); !errors.Is(err, driver.ErrGone) {
			t.Errorf("write on the old handle: %v, want gone", err)
		}
		tr.Close()
		h := newHost(t, m)
		if got := h.status(sam.CmdSelfTest); got != 0 {
			t.Errorf("answered %02X while powering up", got)
		}
		time.Sleep(2 * time.Second) // the bubble's clock
		if got := h.status(sam.CmdSelfTest); got != sam.OK {
			t.Errorf("answered %02X after power-up", got)
		}
	})
}

func TestBaudMustFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mock.NewModule(mock.Options{Timing: mock.Timing{Baud: 19200}})
		tr, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		if got, err := sam.Detect(t.Context(), tr, 0, sam.Options{}); got != 19200 || err != nil {
			t.Errorf("detected %d, %v; want 19200", got, err)
		}
	})
}

func TestHandWaitsForTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		m := mock.NewModule(mock.Options{Timing: mock.DeskTiming})
		tr, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		c := sam.NewClient(tr, sam.Options{Baud: 115200})
		done := make(chan int)
		go func() {
			reads := 0
			for ctx.Err() == nil {
				if ok, _ := c.Find(ctx); ok {
					if _, err := c.Read(ctx); err == nil {
						reads++
					}
				}
				select {
				case <-ctx.Done():
				case <-time.After(150 * time.Millisecond):
				}
			}
			done <- reads
		}()
		cards := simcard.Generate(3, 5)
		cards[2].Refuse = sam.SAMRefusedCard
		for i, card := range cards {
			read, err := mock.Hand{Module: m}.Tap(ctx, card)
			if err != nil || read != (i != 2) {
				t.Errorf("card %d: read %v, %v", i, read, err)
			}
		}
		stop()
		if reads := <-done; reads != 4 {
			t.Errorf("%d reads, want 4", reads)
		}
		c.Close()
	})
}
