package pcsc

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/simcard"
)

// pagesOf answers page reads with a card's data, as a reader of profile paged
// does.
func pagesOf(c simcard.Card) func([]byte) []byte {
	text, photo := c.Text(), c.Photo()
	data := append([]byte{1, 0, 4, 0}, text[:]...)
	data = append(data, photo...)
	return func(apdu []byte) []byte {
		if len(apdu) != 5 || apdu[0] != 0xFF || apdu[1] != 0xB0 || apdu[3] != 0 {
			return []byte{0x6D, 0x00}
		}
		at := int(apdu[2]) * 256
		if at >= len(data) {
			return []byte{0x6B, 0x00}
		}
		return append(append([]byte(nil), data[at:min(at+256, len(data))]...), 0x90, 0x00)
	}
}

var specimen = simcard.Generate(1, 1)[0]

// shown is a device on a double in which a card lies.
func shown(t *testing.T, profile string, answer func([]byte) []byte) (*double, *Driver, driver.Device) {
	t.Helper()
	way := newDouble(t)
	way.transmit = func(apdu []byte) ([]byte, error) { return answer(apdu), nil }
	d := &Driver{way: way}
	way.card(true)
	return way, d, open(t, d, driver.Spec{Name: "front", Port: "Double*", Profile: profile})
}

func open(t testing.TB, d *Driver, s driver.Spec) driver.Device {
	t.Helper()
	dev, err := d.Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"ACS ACR1281*", "ACS ACR1281 1S Dual Reader 00 00", true},
		{"*ACR1281*01", "ACS ACR1281 1S Dual Reader 00 01", true},
		{"*ACR1281*01", "ACS ACR1281 1S Dual Reader 01 00", false},
		{"Alcor Micro [Dual] ?? 00", "Alcor Micro [Dual] 00 00", true},
		{"[AB]*", "A", false}, // brackets stand for themselves
		{"[AB]*", "[AB] reader", true},
		{`a\*`, `a\b`, true},
		{"{a,b}", "a", false},
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "whatever", true},
		{"?", "读", true},
		{"读卡器*", "读卡器 00", true},
		{"a*b*c", "aXbXbXc", true},
		{"a*b*c", "aXbXbX", false},
		{"reader", "Reader", false},
	} {
		if got := match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q fits %q: %v", tt.pattern, tt.name, got)
		}
	}
	hostile := strings.Repeat("*a", 2000)
	if match(hostile, strings.Repeat("a", 4000)+"b") {
		t.Error("a pattern fits what it does not end like")
	}
}

func TestModels(t *testing.T) {
	list, err := readModels(table)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range list {
		if got := modelOf(strings.NewReplacer("*", "x", "?", "x").Replace(m.pattern), nil); m.atr == "" && got != m {
			t.Errorf("line %d is hidden by an earlier one, %s", i+2, got.name)
		}
	}
	for says, bad := range map[string]string{
		"columns": "name,profile\n",
		"line 2":  "name,atr,profile,model,source\nx,,apdu,m,s\n",
		"fields":  "name,atr,profile,model,source\nx,,paged\n",
	} {
		if _, err := readModels([]byte(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one of %s", bad, err, says)
		}
	}
}

func TestPages(t *testing.T) {
	good := pagesOf(specimen)
	for _, tt := range []struct {
		name   string
		answer func([]byte) []byte
		want   error // nil: the card is read
		photo  bool
	}{
		{"whole", good, nil, true},
		{"last page padded", func(a []byte) []byte {
			b := good(a)
			if a[2] == 5 {
				b = append(append(b[:4:4], make([]byte, 252)...), 0x90, 0)
			}
			return b
		}, nil, true},
		{"last page wants its length", func(a []byte) []byte {
			if a[2] == 5 && a[4] != 4 {
				return []byte{0x6C, 4}
			}
			return good(a)
		}, nil, true},
		{"last page ends early, with a warning", func(a []byte) []byte {
			b := good(a)
			if a[2] == 5 {
				b[len(b)-2], b[len(b)-1] = 0x62, 0x82
			}
			return b
		}, nil, true},
		{"text that ends in 90 00", func(a []byte) []byte {
			b := good(a)
			if a[2] == 0 {
				b[254], b[255] = 0x90, 0
			}
			return b
		}, nil, true},
		{"no photo", func(a []byte) []byte {
			b := good(a)
			switch a[2] {
			case 0:
				b[2], b[3] = 0, 0
			case 1:
				b = append(b[:4:4], 0x90, 0)
			default:
				return []byte{0x6B, 0}
			}
			return b
		}, nil, false},
		{"always wants another length", func([]byte) []byte { return []byte{0x6C, 0x10} }, driver.ErrCardLost, false},
		{"short page in the middle", func(a []byte) []byte {
			b := good(a)
			if a[2] == 2 {
				b = append(b[:200:200], 0x90, 0)
			}
			return b
		}, driver.ErrProtocol, false},
		{"empty pages for ever", func([]byte) []byte { return []byte{0x90, 0} }, driver.ErrProtocol, false},
		{"other lengths", func([]byte) []byte { return append([]byte{2, 0, 4, 0}, 0x90, 0) }, driver.ErrProtocol, false},
		{"no status words", func([]byte) []byte { return []byte{0x90} }, driver.ErrCardLost, false},
		{"nothing", func([]byte) []byte { return nil }, driver.ErrCardLost, false},
		{"not known for this card", func([]byte) []byte { return []byte{0x6D, 0} }, driver.ErrNotID, false},
		{"refused", func([]byte) []byte { return []byte{0x69, 0x82} }, driver.ErrCardLost, false},
		{"refused halfway", func(a []byte) []byte {
			if a[2] == 3 {
				return []byte{0x64, 0}
			}
			return good(a)
		}, driver.ErrCardLost, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, dev := shown(t, "paged", tt.answer)
			raw, err := dev.Read(t.Context())
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err == nil && (len(raw.Photo) == 1024) != tt.photo {
				t.Errorf("a photo of %d bytes", len(raw.Photo))
			}
			want := specimen.Text()
			if err == nil && string(raw.Text[:250]) != string(want[:250]) {
				t.Error("another text")
			}
		})
	}
}

// FuzzPages drives a whole read with answers made of the fuzzer's bytes.
func FuzzPages(f *testing.F) {
	f.Add(pagesOf(specimen)([]byte{0xFF, 0xB0, 0, 0, 0}), []byte{0x90, 0})
	f.Add([]byte{0x6C, 4}, []byte{})
	f.Fuzz(func(t *testing.T, first, rest []byte) {
		for _, profile := range []string{"auto", "paged"} {
			sent := 0
			_, _, dev := shown(t, profile, func(apdu []byte) []byte {
				if sent++; sent > 10 {
					t.Fatal("more pages are asked than there are")
				}
				if apdu[2] == 0 {
					return first
				}
				return rest
			})
			if raw, err := dev.Read(t.Context()); err == nil && len(raw.Photo) != 0 && len(raw.Photo) != 1024 {
				t.Error("a photo of another size")
			}
			dev.Close()
		}
	})
}

func TestAuto(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func([]byte) []byte
		want   error
		learns string
	}{
		{"pages", pagesOf(specimen), nil, "paged"},
		{"chip number", func(a []byte) []byte {
			if a[1] == 0xCA {
				return []byte{0, 0, 0, 0, 0x90, 0}
			}
			return []byte{0x6D, 0}
		}, driver.ErrNoSAM, ""},
		{"some other card", func([]byte) []byte { return []byte{0x6D, 0} }, driver.ErrNotID, ""},
		{"memory card that gives 256 bytes", func(a []byte) []byte {
			if a[1] == 0xB0 {
				return append(make([]byte, 256), 0x90, 0)
			}
			return []byte{0x6A, 0x81}
		}, driver.ErrCardLost, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			way, d, dev := shown(t, "", func(a []byte) []byte {
				if a[0] != 0xFF || a[1] != 0xB0 && a[1] != 0xCA {
					t.Errorf("auto sent % X", a)
				}
				return tt.answer(a)
			})
			if _, err := dev.Read(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("read: %v, want %v", err, tt.want)
			}
			if got := d.knows(doubleReader); got != tt.learns {
				t.Errorf("learned %q, want %q", got, tt.learns)
			}
			_, err := dev.Identify(t.Context())
			if wantNoSAM := errors.Is(tt.want, driver.ErrNoSAM); errors.Is(err, driver.ErrNoSAM) != wantNoSAM || !wantNoSAM && err != nil {
				t.Errorf("identify: %v", err)
			}
			way.card(false)
			if _, err := dev.Identify(t.Context()); err != nil {
				t.Errorf("identify without a card: %v", err)
			}
		})
	}
}

func TestUIDReadsNobody(t *testing.T) {
	_, _, dev := shown(t, "uid", func([]byte) []byte { t.Error("an APDU was sent"); return nil })
	if _, err := dev.Identify(t.Context()); !errors.Is(err, driver.ErrNoSAM) {
		t.Errorf("identify: %v", err)
	}
	if _, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrNoSAM) {
		t.Errorf("read: %v", err)
	}
}

// TestServiceLost checks that no context outlives the service it belongs to.
func TestServiceLost(t *testing.T) {
	for _, c := range []Code{codeCommError, codeNoService, codeServiceStopped, codeInvalidHandle, 0x80100999} {
		for _, where := range []string{"states", "connect", "transmit", "establish"} {
			way, d, dev := shown(t, "paged", pagesOf(specimen))
			switch where {
			case "states":
				way.fail("states", c)
			default:
				way.fail(where, c)
			}
			if _, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrGone) || !errors.Is(err, c) {
				t.Errorf("%v by %s: %v", c, where, err)
			}
			way.fail("release", codeNoService) // a dead context refuses even that
			dev.Close()
			dev = open(t, d, driver.Spec{Name: "front", Port: "Double*", Profile: "paged"})
			if _, err := dev.Read(t.Context()); err != nil {
				t.Errorf("%v by %s: opened again: %v", c, where, err)
			}
			dev.Close()
		}
	}
}

func TestCodes(t *testing.T) {
	for c, want := range map[Code]error{
		codeSharing: driver.ErrBusy, codeNoCard: driver.ErrNoCard, codeRemoved: driver.ErrCardLost, codeUnpowered: driver.ErrCardLost,
		codeNotTransacted: driver.ErrCardLost, codeUnknownReader: driver.ErrGone, codeDenied: driver.ErrDenied, codeUnsupported: driver.ErrProtocol,
	} {
		way, _, dev := shown(t, "paged", pagesOf(specimen))
		way.fail("connect", c)
		_, err := dev.Read(t.Context())
		var e *driver.Error
		if !errors.As(err, &e) || !errors.Is(e.Err, want) || len(e.Status) != 4 || e.Reader != "front" {
			t.Errorf("%v: %v, want %v with the code", c, err, want)
		}
		dev.Close()
	}
}

func TestResetByAnotherProgram(t *testing.T) {
	way, _, dev := shown(t, "paged", pagesOf(specimen))
	way.fail("transmit", nil, nil, codeReset)
	way.fail("reconnect", nil)
	if raw, err := dev.Read(t.Context()); err != nil || raw.Text != specimen.Text() {
		t.Errorf("after a reset: another card, error %v", err)
	}
	way.fail("transmit", codeReset, codeReset, codeReset) // again and again
	way.fail("reconnect", nil, nil)
	if _, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrCardLost) {
		t.Errorf("after three resets: %v", err)
	}
	way.fail("transmit", codeReset)
	way.fail("reconnect", codeRemoved)
	if _, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrCardLost) {
		t.Errorf("pulled after the reset: %v", err)
	}
}

func TestHeldByAnotherProgram(t *testing.T) {
	way, _, dev := shown(t, "paged", pagesOf(specimen))
	way.set(func(s *state) { s.alone = true })
	if _, err := dev.Identify(t.Context()); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("identify: %v", err)
	}
	if _, err := dev.Find(t.Context()); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("find: %v", err)
	}
	way.set(func(s *state) { s.alone, s.shared = false, true })
	if _, err := dev.Read(t.Context()); err != nil {
		t.Errorf("shared: %v", err)
	}
}

// TestSwap checks that a card put in the place of another is never taken for it.
func TestSwap(t *testing.T) {
	way, _, dev := shown(t, "paged", pagesOf(specimen))
	if _, err := dev.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := dev.Present(t.Context()); !there || err != nil {
		t.Fatalf("present %v, error %v", there, err)
	}
	way.set(func(s *state) { s.events += 2 })
	if there, err := dev.Present(t.Context()); there || err != nil {
		t.Errorf("after a swap: present %v, error %v", there, err)
	}
	answer := way.transmit
	way.transmit = func(apdu []byte) ([]byte, error) {
		if apdu[2] == 3 {
			way.set(func(s *state) { s.events += 2 })
		}
		return answer(apdu)
	}
	if _, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrCardLost) {
		t.Errorf("swapped while it was read: %v", err)
	}
}

// TestHungAPDU leaves a call unanswered: the device gives it up, nothing else is
// asked of the reader until it comes back.
func TestHungAPDU(t *testing.T) {
	clock := clockwork.NewFakeClock()
	way := newDouble(t)
	way.reader = append(way.reader, state{reader: "Double other", there: true, present: true})
	back := make(chan struct{})
	entered := make(chan struct{}, 8)
	var hang bool = true
	way.transmit = func(apdu []byte) ([]byte, error) {
		if hang {
			entered <- struct{}{}
			<-back
			return nil, codeNotTransacted
		}
		return pagesOf(specimen)(apdu), nil
	}
	way.card(true)
	d := &Driver{Clock: clock, way: way}
	spec := driver.Spec{Name: "front", Port: doubleReader, Profile: "paged"}
	dev := open(t, d, spec)
	failed := make(chan error)
	go func() {
		_, err := dev.Read(t.Context())
		failed <- err
	}()
	<-entered
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	clock.Advance(apduTime)
	if err := <-failed; !errors.Is(err, driver.ErrStuck) {
		t.Fatalf("read: %v", err)
	}
	dev.Close()
	for range 3 {
		if _, err := d.Open(t.Context(), spec); !errors.Is(err, driver.ErrStuck) {
			t.Errorf("opened again: %v", err)
		}
	}
	if v := d.Survey(t.Context()); len(v.Readers) != 2 || !v.Readers[0].Hung || v.Readers[1].Hung {
		t.Errorf("survey: %+v", v.Readers)
	}
	other := open(t, d, driver.Spec{Name: "side", Port: "Double other", Profile: "paged"})
	if found, err := other.Find(t.Context()); !found || err != nil {
		t.Errorf("another reader: %v, %v", found, err)
	}
	other.Close()
	hang = false
	close(back)
	await(t, "the reader opens again", func() bool {
		again, err := d.Open(t.Context(), spec)
		if err == nil {
			again.Close()
		}
		return err == nil
	})
}

// TestCloseEndsARead closes a device whose owner waits for an APDU.
func TestCloseEndsARead(t *testing.T) {
	way := newDouble(t)
	back, entered := make(chan struct{}), make(chan struct{})
	way.transmit = func([]byte) ([]byte, error) {
		close(entered)
		<-back
		return nil, codeNotTransacted
	}
	way.card(true)
	d := &Driver{way: way}
	dev := open(t, d, driver.Spec{Name: "front", Port: "Double*", Profile: "paged"})
	failed := make(chan error)
	go func() {
		_, err := dev.Read(context.Background())
		failed <- err
	}()
	<-entered
	start := time.Now()
	dev.Close()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %v", d)
	}
	if _, err := dev.Find(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("find after close: %v", err)
	}
	close(back)
	await(t, "the call came back", func() bool { return d.hanging("", doubleReader) == nil })
}

// TestOpen checks which reader is taken.
func TestOpen(t *testing.T) {
	way := newDouble(t)
	way.reader = append(way.reader, state{reader: "Double [CL] 01", there: true})
	d := &Driver{way: way}
	both := driver.Spec{Name: "front", Port: "Double [CL]*"}
	first, second := open(t, d, both), open(t, d, both)
	if a, b := first.(*paged).reader, second.(*paged).reader; a != "Double [CL] 00" || b != "Double [CL] 01" {
		t.Errorf("opened %q and %q", a, b)
	}
	if _, err := d.Open(t.Context(), both); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("a third: %v", err)
	}
	first.Close()
	if third := open(t, d, both).(*paged).reader; third != "Double [CL] 00" {
		t.Errorf("after one was closed: %q", third)
	}
	for says, s := range map[string]driver.Spec{
		"no reader's name fits": {Port: "Nothing*"},
		"four bytes":            {Port: "*", Profile: "apdu", APDUHeader: []byte{0xFF}},
		"unknown":               {Port: "*", Profile: "pages"},
	} {
		if _, err := d.Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestDiscover(t *testing.T) {
	way := newDouble(t)
	way.reader = []state{{reader: "Virtual PCD 00 01", there: true, present: true}, {reader: "Yubico YubiKey", there: true},
		{reader: "ACS ACR122U PICC Interface 00 00", there: true}}
	d := &Driver{way: way}
	specs, err := d.Discover(t.Context())
	if err != nil || len(specs) != 2 || specs[0].Name != "virtual-pcd-00-01" || specs[0].Profile != "paged" || specs[1].Profile != "uid" {
		t.Errorf("%+v, %v", specs, err)
	}
	way.fail("establish", codeDenied, codeDenied)
	if v := d.Survey(t.Context()); v.Service != Refused || !errors.Is(v.Err, driver.ErrDenied) {
		t.Errorf("refused: %+v", v)
	}
	way.fail("establish", codeNoService)
	if v := d.Survey(t.Context()); v.Service != Absent {
		t.Errorf("no service: %+v", v)
	}
	way.fail("establish", driver.ErrNotBuilt)
	if v := d.Survey(t.Context()); v.Service != NotBuilt {
		t.Errorf("not built: %+v", v)
	}
	for name, want := range map[string]string{"读卡器": "pcsc", "A  [b]_c 00": "a-b-c-00",
		"Generic very long reader name of a maker (SERIAL0123456789) 00 01": "r-name-of-a-maker-serial0123456789-00-01"} {
		if got := reduce(name); got != want || len(got) > maxName {
			t.Errorf("%q is reduced to %q", name, got)
		}
	}
}

// await asks for something until it is so.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}
