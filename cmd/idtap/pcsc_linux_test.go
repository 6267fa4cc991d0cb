//go:build !nopcsc

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"idtap/driver/pcsc/pcsctest"
	"idtap/driver/simcard"
)

// campaign is how many cards or faults a test takes: few, or with
// IDTAP_CAMPAIGN=long many.
func campaign(few, many int) int {
	if os.Getenv("IDTAP_CAMPAIGN") == "long" {
		return many
	}
	return few
}

// pcscDesk is a daemon with readers, and what comes out of it.
type pcscDesk struct {
	*running
	t *testing.T

	mu      sync.Mutex
	changed *sync.Cond
	events  map[string][]recorded // by document number
	states  map[string]string     // by reader
}

// startDesk runs a daemon on readers given in YAML.
func startDesk(t *testing.T, readers string) *pcscDesk {
	t.Helper()
	d := &pcscDesk{t: t, events: map[string][]recorded{}, states: map[string]string{}}
	d.changed = sync.NewCond(&d.mu)
	nc := externalServer(t)
	subscribe := func(subject string, f func(*nats.Msg)) {
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
			d.mu.Lock()
			defer d.mu.Unlock()
			f(m)
			d.changed.Broadcast()
		}); err != nil {
			t.Fatal(err)
		}
	}
	subscribe("idtap.v1.recorded.>", func(m *nats.Msg) {
		var r recorded
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Errorf("event: %v", err)
		}
		d.events[r.Document.Number] = append(d.events[r.Document.Number], r)
	})
	subscribe("idtap.status.v1.>", func(m *nats.Msg) {
		var s struct{ Reader, State string }
		if err := json.Unmarshal(m.Data, &s); err != nil {
			t.Errorf("status: %v", err)
		}
		d.states[s.Reader] = s.State
	})
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	d.running = startDaemon(t, fmt.Sprintf("desk: {id: desk-1, division: \"410105\"}\nreaders: %s\npolicy: {poll: 20ms}\nnats: {url: %q}\ndesk_page: {listen: \"\"}\n",
		readers, nc.ConnectedUrl()))
	return d
}

// await waits until something is so, which only what comes from the daemon can
// change; false after d.
func (d *pcscDesk) await(limit time.Duration, ok func() bool) bool {
	end := time.Now().Add(limit)
	timer := time.AfterFunc(limit, d.changed.Broadcast)
	defer timer.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for !ok() {
		if !time.Now().Before(end) {
			return false
		}
		d.changed.Wait()
	}
	return true
}

// recorded waits for the event of a card.
func (d *pcscDesk) recorded(c simcard.Card, limit time.Duration) bool {
	return d.await(limit, func() bool { return len(d.events[c.Number]) > 0 })
}

// in waits until a reader is in a state.
func (d *pcscDesk) in(state, reader string, limit time.Duration) bool {
	return d.await(limit, func() bool { return d.states[reader] == state })
}

// check compares all events with the cards.
func (d *pcscDesk) check(cards []simcard.Card) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []recorded
	for _, list := range d.events {
		all = append(all, list...)
	}
	if len(all) != len(cards) {
		d.t.Errorf("%d events for %d cards\n%s", len(all), len(cards), tail(d.err.String(), 40))
	}
	complain(d.t, all, cards)
	noPersonalData(d.t, d.err.String(), cards)
}

// pagedCard answers page reads with what a card carries; written for these tests
// alone, like the emulator.
func pagedCard(c simcard.Card) func([]byte) []byte {
	text := c.Text()
	data := append(append([]byte{1, 0, 4, 0}, text[:]...), c.Photo()...)
	return func(apdu []byte) []byte {
		if len(apdu) != 5 || apdu[0] != 0xFF || apdu[1] != 0xB0 || int(apdu[2])*256 >= len(data) {
			return []byte{0x6B, 0x00}
		}
		from := int(apdu[2]) * 256
		return append(append([]byte(nil), data[from:min(from+256, len(data))]...), 0x90, 0x00)
	}
}

// enveloped answers SAM frames inside the APDU FF 00 00 00 from an emulator.
func enveloped(c simcard.Card) func([]byte) []byte {
	e := &emulator{cards: emulate([]simcard.Card{c})}
	e.start()
	e.present = 0
	return func(apdu []byte) []byte {
		if len(apdu) < 5 || apdu[0] != 0xFF || apdu[1] != 0 || int(apdu[4]) != len(apdu)-5 {
			return []byte{0x6D, 0x00}
		}
		return append(e.answer(apdu[5:]), 0x90, 0x00)
	}
}

// plain takes the appended addresses off cards: they cannot be read by pages.
func plain(cards []simcard.Card) []simcard.Card {
	list := make([]simcard.Card, len(cards))
	for i, c := range cards {
		c.Appended = nil
		list[i] = c
	}
	return list
}

const pcscReaders = `[{name: front, driver: pcsc, port: "Virtual PCD 00 00", profile: paged}, {name: side, driver: pcsc, port: "Virtual PCD 00 01", profile: apdu, apdu_header: "FF 00 00 00"}]`

// allKinds are cards of which every kind is there.
func allKinds(t *testing.T, seed uint64, n int) []simcard.Card {
	t.Helper()
	cards := simcard.Generate(seed, n)
	kinds := map[string]int{}
	for _, c := range cards {
		kinds[c.Kind]++
	}
	if len(kinds) != 4 {
		t.Fatalf("want cards of four kinds, got %v", kinds)
	}
	return cards
}

// insertAll puts cards into a slot one after the other, each until its event is
// there.
func (d *pcscDesk) insertAll(slot string, cards []simcard.Card, answers func(simcard.Card) func([]byte) []byte, taken func()) {
	for i, c := range cards {
		card := pcsctest.Insert(d.t, slot, answers(c))
		if !d.recorded(c, 20*time.Second) {
			d.t.Errorf("%s: card %d is not recorded", slot, i)
		}
		card.Take(d.t)
		taken()
	}
}

// TestPCSCCards has cards of all four kinds put into both slots of a virtual
// reader at once, with pcsc_scan beside, and looks for anything that grows.
func TestPCSCCards(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.StartService(t)
	n := campaign(40, 1000)
	cards := allKinds(t, 41, n)
	copy(cards, plain(cards[:n/2]))
	scan := exec.Command("pcsc_scan", "-n")
	var heard strings.Builder
	scan.Stdout = &heard
	if err := scan.Start(); err != nil {
		t.Fatalf("%v; install the Debian package pcsc-tools", err)
	}
	defer func() {
		scan.Process.Kill()
		scan.Wait()
		if !strings.Contains(heard.String(), "Card inserted") {
			t.Error("pcsc_scan saw no card")
		}
	}()

	d := startDesk(t, pcscReaders)
	var mu sync.Mutex
	done, warm := 0, n/4
	before := measure(t)
	taken := func() {
		mu.Lock()
		defer mu.Unlock()
		if done++; done == warm {
			before = measure(t)
		}
	}
	var slots sync.WaitGroup
	slots.Go(func() { d.insertAll(service.Slot(0), cards[:n/2], pagedCard, taken) })
	slots.Go(func() { d.insertAll(service.Slot(1), cards[n/2:], enveloped, taken) })
	slots.Wait()
	d.in("ready", "front", 5*time.Second)
	d.in("ready", "side", 5*time.Second)
	d.check(cards)
	after := measure(t)
	t.Logf("%d cards; after %d: %+v, at the end: %+v; log of %d bytes", n, warm, before, after, len(d.err.String()))
	// The log, the events and the NATS server of the test are in this process.
	if after.files > before.files+2 || after.goroutines > before.goroutines+4 || after.threads > before.threads+4 || after.rss > before.rss+24<<20 {
		t.Errorf("it grew from %+v to %+v", before, after)
	}
}

// footprint is what a process holds.
type footprint struct{ files, goroutines, threads, rss int }

func measure(t *testing.T) footprint {
	t.Helper()
	debug.FreeOSMemory()
	count := func(dir string) int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
		}
		return len(list)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Error(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	return footprint{count("/proc/self/fd"), runtime.NumGoroutine(), count("/proc/self/task"), pages * os.Getpagesize()}
}

// TestPCSCServiceKilled kills pcscd while cards are read and while they rest. Every
// card must be recorded once, and the readers be ready within 2 s of each new
// pcscd.
func TestPCSCServiceKilled(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.StartService(t)
	kills := campaign(2, 20)
	cards := plain(simcard.Generate(43, 2*kills))
	d := startDesk(t, pcscReaders)
	ready := func(limit time.Duration) {
		start := time.Now()
		if !d.in("ready", "front", limit) || !d.in("ready", "side", limit) {
			t.Errorf("not ready %v after pcscd was there: %v", limit, d.states)
		}
		t.Logf("ready after %v", time.Since(start))
	}
	ready(10 * time.Second)
	for i := range kills {
		c, other := cards[2*i], cards[2*i+1]
		midway := make(chan struct{})
		broken := pcsctest.Insert(t, service.Slot(0), func(apdu []byte) []byte {
			if apdu[2] == 2 && i%2 == 0 {
				close(midway)
				return pcsctest.Hangs
			}
			return pagedCard(c)(apdu)
		})
		resting := pcsctest.Insert(t, service.Slot(1), enveloped(other))
		if i%2 == 0 { // killed in the middle of the read
			<-midway
		} else if !d.recorded(c, 20*time.Second) {
			t.Fatalf("kill %d: not recorded", i)
		}
		d.recorded(other, 20*time.Second)
		service.Kill()
		broken.Pull()
		resting.Pull()
		if !d.in("away", "front", 5*time.Second) || !d.in("away", "side", 5*time.Second) {
			t.Errorf("kill %d: readers are %v", i, d.states)
		}
		service.Start()
		ready(2 * time.Second)
		d.insertAll(service.Slot(0), []simcard.Card{c}, pagedCard, func() {})
		d.insertAll(service.Slot(1), []simcard.Card{other}, enveloped, func() {})
		ready(5 * time.Second)
	}
	d.check(cards)
}

// TestPCSCHungCard has a card stop in the middle of an APDU: its reader says that
// it is stuck, the other one goes on, and it recovers once the card is out.
func TestPCSCHungCard(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.StartService(t)
	cards := plain(simcard.Generate(44, 9))
	d := startDesk(t, pcscReaders)
	hung := pcsctest.Insert(t, service.Slot(0), func([]byte) []byte { return pcsctest.Hangs })
	var slots sync.WaitGroup
	slots.Go(func() { d.insertAll(service.Slot(1), cards[1:], enveloped, func() {}) })
	if !d.in("stuck", "front", 20*time.Second) {
		t.Errorf("the reader does not say that it is stuck: %v", d.states)
	}
	slots.Wait()
	hung.Pull()
	if !d.in("ready", "front", 10*time.Second) {
		t.Errorf("the reader is not ready once the card is out: %v", d.states)
	}
	d.insertAll(service.Slot(0), cards[:1], pagedCard, func() {})
	d.check(cards)
}

// TestPCSCSerialTCPTogether runs readers of all three ways in one daemon, the
// PC/SC one found by itself by its pattern and profile auto.
func TestPCSCSerialTCPTogether(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.StartService(t)
	cards := plain(simcard.Generate(45, 24))
	none := make(chan struct{})
	serial := &emulator{cards: emulate(cards[:8]), counted: none, patience: time.Second, baud: 115200}
	network := &emulator{cards: emulate(cards[8:16]), counted: none, patience: time.Second}
	d := startDesk(t, fmt.Sprintf(`[{name: pty, driver: serial, port: %q, baud: auto}, {name: net, driver: tcp, port: %q}, {name: pcsc, driver: pcsc, port: "*PCD ?? 01"}]`,
		serial.onPTY(t), network.onTCP(t)))
	d.insertAll(service.Slot(1), cards[16:], pagedCard, func() {})
	for _, c := range cards {
		if !d.recorded(c, 30*time.Second) {
			t.Error("a card is not recorded")
		}
	}
	d.check(cards)
}

// TestPCSCSimulated taps `idtap simulate --vpcd` in both slots, by pages and by
// frames, through a restart of pcscd.
func TestPCSCSimulated(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.StartService(t)
	const n = 4
	paged, framed := simcard.Generate(46, 2000), simcard.Generate(47, 2000)
	d := startDesk(t, pcscReaders)
	for i, seed := range []string{"seed:46", "seed:47"} {
		out := &syncBuffer{}
		code := make(chan int)
		ctx, stop := context.WithCancel(context.Background())
		go func() {
			code <- simulateApp(out, out).execute(ctx, []string{"simulate", "--vpcd", service.Slot(i), "--cards", seed, "--every", "0s"})
		}()
		t.Cleanup(func() {
			stop()
			if got := <-code; got != exitOK {
				t.Errorf("simulate ended with %d: %s", got, out)
			}
			if first, _, _ := strings.Cut(out.String(), "\n"); first != service.Slot(i) {
				t.Errorf("the first line is %q", first)
			}
		})
	}
	all := func(cards []simcard.Card) bool {
		for _, c := range cards {
			if !d.recorded(c, 30*time.Second) {
				return false
			}
		}
		return true
	}
	if !all(paged[:n]) || !all(framed[:n]) {
		t.Errorf("not all cards are recorded\n%s", tail(d.err.String(), 20))
	}
	service.Kill()
	service.Start()
	if !all(paged[n:n+2]) || !all(framed[n:n+2]) {
		t.Errorf("not all cards are recorded after a restart of pcscd\n%s", tail(d.err.String(), 20))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	byNumber := map[string]simcard.Card{}
	for _, c := range append(plain(paged), framed...) {
		byNumber[c.Number] = c
	}
	for number, list := range d.events {
		if c, ok := byNumber[number]; !ok || len(list) != 1 || list[0].differs(c) != "" {
			t.Errorf("an event of no card, twice or wrong: %d times, %s", len(list), list[0].differs(c))
		}
	}
}

// TestPCSCDiscovered runs a daemon without any configured reader.
func TestPCSCDiscovered(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.NewService(t) // not there yet
	cards := plain(simcard.Generate(48, 2))
	d := startDesk(t, "[]")
	service.Start()
	for i, name := range []string{"virtual-pcd-00-00", "virtual-pcd-00-01"} {
		if !d.in("ready", name, 10*time.Second) {
			t.Errorf("%s is not found: %v", name, d.states)
		}
		d.insertAll(service.Slot(i), cards[i:i+1], pagedCard, func() {})
	}
	d.check(cards)
}

// TestPCSCWithoutModule has a card on a reader that gives no more than a chip
// number: the desk is told, and nothing is published.
func TestPCSCWithoutModule(t *testing.T) {
	if !pcsctest.Private(t) {
		return
	}
	service := pcsctest.StartService(t)
	d := startDesk(t, `[{name: uid, driver: pcsc, port: "*00 00", profile: uid}, {name: side, driver: pcsc, port: "*00 01", profile: uid}]`)
	for _, name := range []string{"uid", "side"} {
		if !d.in("no_identity", name, 10*time.Second) {
			t.Errorf("%v", d.states)
		}
	}
	card := pcsctest.Insert(t, service.Slot(0), func([]byte) []byte { t.Error("an APDU was sent"); return pcsctest.Leaves })
	card.Take(t)
	d.check(nil)
}
