//go:build usblane

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/driver/simcard"
	"idtap/driver/usb/usbtest"
)

// socket is a USB socket of the lane's machine with a reader in it and a person
// who places cards on it.
type socket struct {
	*usbtest.Reader
	module  *emulator
	counted chan struct{}
	cards   []simcard.Card

	asked atomic.Int64 // requests that arrived
	pull  atomic.Int64 // at this request the reader is pulled; 0: never
	pulls atomic.Int64
	clean bool // no faults beside pulls
}

// newSocket makes a reader of a form with the cards that will be placed on it.
func newSocket(form usbtest.Form, cards []simcard.Card) *socket {
	ids := map[usbtest.Form][2]uint16{usbtest.TwoPipe: {0x0400, 0xc35a}, usbtest.FourPipe: {0x0400, 0xc35a},
		usbtest.HIDBare: {0x2b8b, 0x2721}, usbtest.HIDMiaxis: {0x10c4, 0x0007}}
	s := &socket{cards: cards, counted: make(chan struct{}, 2*len(cards)+8)}
	s.module = &emulator{cards: emulate(cards), counted: s.counted, patience: 60 * time.Second, tries: 1}
	s.module.start()
	s.Reader = &usbtest.Reader{Form: form, ID: ids[form], Answer: s.module.answer}
	s.Fault = func([]byte) usbtest.Fault {
		n := s.asked.Add(1)
		if at := s.pull.Load(); at != 0 && n >= at {
			s.pull.Store(0)
			return usbtest.Fault{Unplug: true}
		}
		if s.clean {
			return usbtest.Fault{}
		}
		switch { // what the facts' section on quirks has, each now and then
		case n%97 == 0:
			return usbtest.Fault{Stall: true}
		case n%61 == 0:
			return usbtest.Fault{Empty: true, Piece: 20}
		case n%53 == 0:
			return usbtest.Fault{Babble: true}
		case n%41 == 0:
			return usbtest.Fault{Wrong: true}
		}
		return usbtest.Fault{}
	}
	return s
}

// replug plugs the reader in again once it was pulled, with a module that has
// forgotten the card.
func (s *socket) replug(wait time.Duration) {
	time.Sleep(wait)
	s.module.mu.Lock()
	s.module.found, s.module.selected = false, false
	s.module.mu.Unlock()
	s.Plug()
}

// staticBinary builds idtap as it is shipped for this kernel.
func staticBinary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "idtap")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// lane boots the machine with readers in its sockets.
func lane(t testing.TB, ctx context.Context, sockets []*socket, config string) *usbtest.Machine {
	t.Helper()
	desk := filepath.Join(t.TempDir(), "desk.yaml")
	if err := os.WriteFile(desk, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &usbtest.Machine{Dir: os.Getenv("IDTAP_USB_LANE"), Files: map[string]string{"bin/idtap": staticBinary(t), "etc/desk.yaml": desk}}
	for _, s := range sockets {
		m.Readers = append(m.Readers, s.Reader)
	}
	dir, err := os.MkdirTemp("", "usb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Cleanup(m.Stop)
	if err := m.Start(ctx, dir); err != nil {
		t.Fatal(err)
	}
	return m
}

const laneTime = 10 * time.Minute

// TestUSBLaneCards: cards of the four kinds on two readers of each of the four
// forms at once, pulled and plugged in again at random, in the middle of commands;
// a plain NATS client outside sees each card once and every field right.
func TestUSBLaneCards(t *testing.T) {
	const each, pulls = 100, 20
	ctx, cancel := context.WithTimeout(t.Context(), laneTime)
	defer cancel()
	var sockets []*socket
	at := map[string]*socket{}
	for i := range 2 {
		for j, form := range []usbtest.Form{usbtest.TwoPipe, usbtest.FourPipe, usbtest.HIDBare, usbtest.HIDMiaxis} {
			s := newSocket(form, simcard.Generate(uint64(100+10*i+j), each))
			sockets = append(sockets, s)
			for _, c := range s.cards {
				if at[c.Number] != nil {
					t.Fatalf("two readers have one card")
				}
				at[c.Number] = s
			}
		}
	}
	nc := externalServer(t)
	server, _ := url.Parse(nc.ConnectedUrl())
	m := lane(t, ctx, sockets, fmt.Sprintf(`
desk: {id: desk-1, division: "410105"}
policy: {poll: 50ms}
nats: {url: "nats://%s:%s", allow_plaintext: true}
desk_page: {listen: ""}
outbox: {dir: /tmp/state}
log: {level: info, format: json, file: /tmp/log}
`, usbtest.Host, server.Port()))

	var mu sync.Mutex // guards got and again
	got := map[*socket][]recorded{}
	again := map[string]bool{} // a late ack makes the desk send an event again, which the stream then has once
	whole := make(chan struct{})
	total := 0
	if _, err := nc.Subscribe("idtap.v1.recorded.>", func(msg *nats.Msg) {
		var r recorded
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			t.Errorf("event: %v", err)
		}
		s := at[r.Document.Number]
		if s == nil {
			t.Error("an event of no card placed")
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if id := msg.Header.Get("Nats-Msg-Id"); id == "" || again[id] {
			return
		} else {
			again[id] = true
		}
		got[s] = append(got[s], r)
		if total++; total == each*len(sockets) {
			close(whole)
		}
		s.counted <- struct{}{}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Run(ctx, "idtap run -c /etc/desk.yaml >/tmp/out 2>&1 &"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stop := make(chan struct{})
	var people sync.WaitGroup
	for _, s := range sockets {
		people.Go(func() { s.module.place(stop) })
	}
	people.Go(func() { pullAtRandom(stop, sockets, pulls) })
	select {
	case <-whole:
		time.Sleep(2 * time.Second) // anything doubled comes within this
	case <-ctx.Done():
	}
	close(stop)
	people.Wait()
	log, err := m.Run(context.Background(), "cat /tmp/out /tmp/log")
	mu.Lock()
	defer mu.Unlock()
	pulled := 0
	for _, s := range sockets {
		pulled += int(s.pulls.Load())
		if len(got[s]) != each {
			t.Errorf("%s: %d events, want %d", s.Form, len(got[s]), each)
		}
		complain(t, got[s], s.cards)
		noPersonalData(t, log, s.cards)
	}
	if stored := storedEvents(t, nc); stored != each*len(sockets) {
		t.Errorf("the stream has %d events, want %d", stored, each*len(sockets))
	}
	if pulled != pulls {
		t.Errorf("%d plugs were pulled, want %d", pulled, pulls)
	}
	if t.Failed() {
		t.Logf("%v\n%s\n%s", err, tail(m.Console(), 30), tail(log, 60))
	}
	t.Logf("%d cards in %v", total, time.Since(began).Round(time.Second))
}

// storedEvents counts the recorded events that the stream has.
func storedEvents(t *testing.T, nc *nats.Conn) int {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "REGISTRATIONS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("idtap.v1.recorded.>"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, messages := range info.State.Subjects {
		n += int(messages)
	}
	return n
}

// pullAtRandom pulls plugs in the middle of commands, one after the other, and
// plugs each in again.
func pullAtRandom(stop <-chan struct{}, sockets []*socket, pulls int) {
	random := rand.New(rand.NewPCG(20, 26))
	for range pulls {
		s := sockets[random.IntN(len(sockets))]
		s.pull.Store(s.asked.Load() + 1 + int64(random.IntN(30)))
		for s.pull.Load() != 0 {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		s.pulls.Add(1)
		s.replug(time.Duration(50+random.IntN(300)) * time.Millisecond)
	}
}

// TestUSBLaneSleep: the machine sleeps with requests pending; cards placed after it
// wakes are read as before.
func TestUSBLaneSleep(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	sockets := []*socket{newSocket(usbtest.TwoPipe, simcard.Generate(500, 2)), newSocket(usbtest.HIDBare, simcard.Generate(501, 2))}
	nc := externalServer(t)
	server, _ := url.Parse(nc.ConnectedUrl())
	events := make(chan string, 8)
	if _, err := nc.Subscribe("idtap.v1.recorded.>", func(msg *nats.Msg) {
		var r recorded
		if json.Unmarshal(msg.Data, &r) == nil {
			events <- r.Document.Number
		}
	}); err != nil {
		t.Fatal(err)
	}
	m := lane(t, ctx, sockets, fmt.Sprintf("desk: {id: desk-1, division: \"410105\"}\npolicy: {poll: 50ms}\nnats: {url: \"nats://%s:%s\", allow_plaintext: true}\n"+
		"desk_page: {listen: \"\"}\noutbox: {dir: /tmp/state}\nlog: {file: /tmp/log}\n", usbtest.Host, server.Port()))
	if _, err := m.Run(ctx, "idtap run -c /etc/desk.yaml >/tmp/out 2>&1 &"); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		for _, s := range sockets {
			s.clean = true
			s.module.mu.Lock()
			s.module.present, s.module.found, s.module.selected, s.module.reads = n, false, false, 0
			s.module.mu.Unlock()
			for got := ""; got != s.cards[n].Number; {
				select {
				case got = <-events:
				case <-ctx.Done():
					log, _ := m.Run(context.Background(), "tail -20 /tmp/log")
					t.Fatalf("%s: card %d was not read\n%s\n%s", s.Form, n, tail(m.Console(), 10), log)
				}
			}
			s.module.mu.Lock()
			s.module.present = -1
			s.module.mu.Unlock()
		}
		if n == 0 {
			if err := m.Suspend(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}
