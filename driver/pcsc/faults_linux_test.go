//go:build !nopcsc

package pcsc

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/pcsc/pcsctest"
	"idtap/driver/simcard"
)

var frontSpec = driver.Spec{Name: "front", Port: pcsctest.Names[0], Profile: "paged"}

// readOn finds and reads until a card is read, as the reading loop does.
func readOn(t *testing.T, dev driver.Device) driver.RawCard {
	t.Helper()
	var raw driver.RawCard
	await(t, "a card is read", func() bool {
		found, err := dev.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			return false
		}
		raw, err = dev.Read(t.Context())
		if err != nil && !errors.Is(err, driver.ErrCardLost) && !errors.Is(err, driver.ErrNoCard) {
			t.Fatalf("read: %v", err)
		}
		return err == nil
	})
	return raw
}

// attempt reads the card found once pcscd lets it: just after a card was put in
// or pcscd was started, a card that was seen may be absent for a moment.
func attempt(t *testing.T, dev driver.Device) (driver.RawCard, error) {
	for {
		if raw, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrNoCard) {
			return raw, err
		}
	}
}

func TestPulledWhileRead(t *testing.T) { both(t, testPulledWhileRead) }

func testPulledWhileRead(t *testing.T, d *Driver, service *pcsctest.Service) {
	dev := open(t, d, frontSpec)
	cards := simcard.Generate(3, 12)
	for i := range 6 { // pulled at each page, and another put in at once
		first, second := pagesOf(cards[2*i]), pagesOf(cards[2*i+1])
		pulled := pcsctest.Insert(t, service.Slot(0), func(apdu []byte) []byte {
			if int(apdu[2]) == i {
				return pcsctest.Leaves
			}
			return first(apdu)
		})
		find(t, dev)
		if _, err := attempt(t, dev); !errors.Is(err, driver.ErrCardLost) {
			t.Fatalf("pulled at page %d: %v", i, err)
		}
		pulled.Pull()
		card := pcsctest.Insert(t, service.Slot(0), second)
		if raw := readOn(t, dev); raw.Text != cards[2*i+1].Text() {
			t.Fatalf("after the card pulled at page %d: another card", i)
		}
		card.Take(t)
	}
}

// TestSwappedWithinAPoll puts a card in the place of one that was read before
// pcscd looks again.
func TestSwappedWithinAPoll(t *testing.T) { both(t, testSwappedWithinAPoll) }

func testSwappedWithinAPoll(t *testing.T, d *Driver, service *pcsctest.Service) {
	dev := open(t, d, frontSpec)
	cards := simcard.Generate(4, 5)
	card := pcsctest.Insert(t, service.Slot(0), pagesOf(cards[0]))
	for i := range cards {
		if raw := readOn(t, dev); raw.Text != cards[i].Text() {
			t.Fatalf("card %d: another one", i)
		}
		if i+1 == len(cards) {
			break
		}
		card.Pull()
		card = pcsctest.Insert(t, service.Slot(0), pagesOf(cards[i+1]))
		await(t, "the swap is noticed", func() bool {
			there, err := dev.Present(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return !there
		})
	}
}

// another is a program beside ours, straight on pcscd's socket.
func another(t *testing.T) *socketService {
	t.Helper()
	s, err := socket{}.establish()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.release() })
	return s.(*socketService)
}

const (
	shareAlone = 1
	resetCard  = 1
)

func TestAnotherProgram(t *testing.T) { both(t, testAnotherProgram) }

func testAnotherProgram(t *testing.T, d *Driver, service *pcsctest.Service) {
	c := simcard.Generate(5, 1)[0]
	plain := pagesOf(c)
	var reset atomic.Pointer[func()]
	pcsctest.Insert(t, service.Slot(0), func(apdu []byte) []byte {
		answer := plain(apdu)
		if f := reset.Load(); f != nil && apdu[2] == 2 {
			go (*f)() // pcscd holds the reader until this APDU is over
			reset.Store(nil)
		}
		return answer
	})
	dev := open(t, d, frontSpec)
	find(t, dev)
	other := another(t)

	shared, err := other.connect(frontSpec.Port, false)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := attempt(t, dev); err != nil || raw.Text != c.Text() {
		t.Errorf("beside another program: %v", err)
	}
	done := make(chan error, 1)
	handle := shared.(*socketCard).handle
	f := func() {
		body := disconnectBody{Card: handle, Disposition: resetCard}
		done <- other.ask(cmdDisconnect, &body, &body.Result)
	}
	reset.Store(&f)
	if raw := readOn(t, dev); raw.Text != c.Text() {
		t.Error("reset by another program: another card")
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	body := connectBody{Context: other.context, Share: shareAlone, Protocols: protocolAny}
	copy(body.Reader[:], frontSpec.Port)
	if err := other.ask(cmdConnect, &body, &body.Result); err != nil {
		t.Fatal(err)
	}
	if _, err := dev.Find(t.Context()); !errors.Is(err, driver.ErrBusy) {
		t.Errorf("find while another program has the card alone: %v", err)
	}
	if _, err := dev.(*paged).open(t.Context(), false); !errors.Is(err, driver.ErrBusy) || !errors.Is(err, codeSharing) {
		t.Errorf("connect: %v", err)
	}
	if v := d.Survey(t.Context()); len(v.Readers) != 2 || v.Readers[0].Use != Alone || v.Readers[1].Use != Free || !bytes.Equal(v.Readers[0].ATR, pcsctest.ATR) {
		t.Errorf("survey: %+v", v)
	}
	if err := (&socketCard{s: other, handle: body.Card}).disconnect(); err != nil {
		t.Fatal(err)
	}
	if raw := readOn(t, dev); raw.Text != c.Text() {
		t.Error("after that: another card")
	}
}

// TestKilledService kills pcscd while a card is read, and again while nothing
// happens.
func TestKilledService(t *testing.T) { both(t, testKilledService) }

func testKilledService(t *testing.T, d *Driver, service *pcsctest.Service) {
	c := simcard.Generate(6, 1)[0]
	files := 0
	for round := range 4 {
		killing := make(chan struct{})
		broken := pcsctest.Insert(t, service.Slot(0), func(apdu []byte) []byte {
			if apdu[2] == 3 {
				close(killing)
				return pcsctest.Hangs
			}
			return pagesOf(c)(apdu)
		})
		dev := open(t, d, frontSpec)
		find(t, dev)
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			<-killing
			service.Kill()
		}()
		start := time.Now()
		if _, err := attempt(t, dev); !errors.Is(err, driver.ErrGone) {
			t.Fatalf("round %d: read: %v", round, err)
		}
		<-killed
		broken.Pull()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("round %d: it took %v to notice", round, took)
		}
		if _, err := dev.Find(t.Context()); !errors.Is(err, driver.ErrGone) {
			t.Errorf("round %d: find: %v", round, err)
		}
		dev.Close()
		if _, err := d.Open(t.Context(), frontSpec); !errors.Is(err, driver.ErrGone) {
			t.Errorf("round %d: open while there is no service: %v", round, err)
		}
		if v := d.Survey(t.Context()); v.Service != Absent {
			t.Errorf("round %d: survey says %s", round, v.Service)
		}
		service.Start()
		dev, err := d.Open(t.Context(), frontSpec)
		if err != nil {
			t.Fatalf("round %d: open: %v", round, err)
		}
		card := pcsctest.Insert(t, service.Slot(0), pagesOf(c))
		if raw := readOn(t, dev); raw.Text != c.Text() {
			t.Errorf("round %d: another card", round)
		}
		card.Take(t)
		dev.Close()
		switch n := descriptors(t); {
		case round == 0:
			files = n
		case n > files:
			t.Errorf("round %d: %d descriptors became %d", round, files, n)
		}
	}
}

// TestHungCard leaves an APDU unanswered for good: its reader is stuck, the other
// one is not.
func TestHungCard(t *testing.T) { both(t, testHungCard) }

func testHungCard(t *testing.T, d *Driver, service *pcsctest.Service) {
	cards := simcard.Generate(7, 2)
	hung := pcsctest.Insert(t, service.Slot(0), func([]byte) []byte { return pcsctest.Hangs })
	pcsctest.Insert(t, service.Slot(1), pagesOf(cards[1]))
	dev := open(t, d, frontSpec)
	side := open(t, d, driver.Spec{Name: "side", Port: pcsctest.Names[1], Profile: "paged"})
	find(t, dev)
	find(t, side)
	failed := make(chan error)
	go func() {
		_, err := attempt(t, dev)
		failed <- err
	}()
	await(t, "the APDU is sent", func() bool { return hung.APDUs() == 1 })
	for done := false; !done; {
		if raw, err := attempt(t, side); err != nil || raw.Text != cards[1].Text() {
			t.Fatalf("the other reader: %v", err)
		}
		select {
		case err := <-failed:
			done = true
			if !errors.Is(err, driver.ErrStuck) {
				t.Fatalf("read: %v", err)
			}
		default:
		}
	}
	dev.Close()
	before := threads(t)
	for range 20 {
		if _, err := d.Open(t.Context(), frontSpec); !errors.Is(err, driver.ErrStuck) {
			t.Fatalf("opened again: %v", err)
		}
	}
	if after := threads(t); after > before+2 {
		t.Errorf("%d threads became %d by opening a stuck reader", before, after)
	}
	if raw, err := side.Read(t.Context()); err != nil || raw.Text != cards[1].Text() {
		t.Errorf("the other reader: %v", err)
	}
	hung.Pull()
	await(t, "the reader opens again", func() bool {
		again, err := d.Open(t.Context(), frontSpec)
		if err != nil {
			return false
		}
		dev = again
		return true
	})
	defer dev.Close()
	pcsctest.Insert(t, service.Slot(0), pagesOf(cards[0]))
	if raw := readOn(t, dev); raw.Text != cards[0].Text() {
		t.Error("after the hung card: another one")
	}
}

// TestAnswersAreCopies keeps answers and checks that they hold no more than
// themselves.
func TestAnswersAreCopies(t *testing.T) { both(t, testAnswersAreCopies) }

func testAnswersAreCopies(t *testing.T, d *Driver, service *pcsctest.Service) {
	sizes := []int{2, 3, 258, 1292, 65535}
	var size atomic.Int64
	pcsctest.Insert(t, service.Slot(0), func([]byte) []byte {
		if n := int(size.Load()); n > 0 {
			return bytes.Repeat([]byte{0x5A}, n)
		}
		return pcsctest.Leaves
	})
	s, err := d.establish(t.Context(), "front", frontSpec.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	await(t, "the card is seen", func() bool { return s.connect(t.Context(), false) == nil })
	for _, n := range sizes {
		size.Store(int64(n))
		answer, err := s.card.transmit([]byte{0, 0xB0, 0, 0, 0})
		if err != nil || len(answer) != n || cap(answer) > n+n/4+64 {
			t.Errorf("%d bytes: %d came in a buffer of %d, error %v", n, len(answer), cap(answer), err)
		}
	}
	if _, err := s.card.transmit(nil); err == nil {
		t.Error("an empty APDU was sent")
	}
	if _, err := s.card.control(1, []byte{1}); err == nil { // vpcd takes no escapes
		t.Error("vpcd took an escape")
	}
	size.Store(0) // a card that leaves in the middle of an APDU: vpcd calls that an answer
	if _, _, err := transmit(t.Context(), s, "read page", []byte{0, 0xB0, 0, 0, 0}); !errors.Is(err, driver.ErrCardLost) {
		t.Errorf("an empty answer: %v", err)
	}
}

// TestNothingGrows reads many cards and looks and opens often.
func TestNothingGrows(t *testing.T) { both(t, testNothingGrows) }

func testNothingGrows(t *testing.T, d *Driver, service *pcsctest.Service) {
	c := simcard.Generate(8, 1)[0]
	pcsctest.Insert(t, service.Slot(0), pagesOf(c))
	round := func() {
		dev, err := d.Open(t.Context(), frontSpec)
		if err != nil {
			t.Fatal(err)
		}
		if raw := readOn(t, dev); raw.Text != c.Text() {
			t.Fatal("another card")
		}
		if _, err := d.Discover(t.Context()); err != nil {
			t.Fatal(err)
		}
		dev.Close()
	}
	for range 20 {
		round()
	}
	files, routines, memory := descriptors(t), runtime.NumGoroutine(), heap()
	for range 200 {
		round()
	}
	if n := heap(); n > memory+256<<10 {
		t.Errorf("%d bytes of memory became %d", memory, n)
	}
	if n := descriptors(t); n > files {
		t.Errorf("%d descriptors became %d", files, n)
	}
	await(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= routines })
}

// heap is the memory in use, garbage left out.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func descriptors(t *testing.T) int { return entries(t, "/proc/self/fd") }
func threads(t *testing.T) int     { return entries(t, "/proc/self/task") }

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
