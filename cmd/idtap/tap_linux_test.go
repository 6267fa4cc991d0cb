package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/driver/simcard"
)

// externalServer is a NATS server outside the daemon, with the stream an
// administrator makes.
func externalServer(t testing.TB) *nats.Conn {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "REGISTRATIONS", Subjects: []string{"idtap.v1.>"},
		Storage: jetstream.FileStorage, AllowDirect: true, Discard: jetstream.DiscardNew}); err != nil {
		t.Fatal(err)
	}
	return nc
}

// syncBuffer is a buffer that the daemon writes and the test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is a daemon under test.
type running struct {
	out, err *syncBuffer
	stop     context.CancelFunc
	code     chan int
}

// startDaemon runs `idtap run` on a configuration until the test ends.
func startDaemon(t *testing.T, yaml string, args ...string) *running {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "desk.yaml")
	if err := os.WriteFile(file, []byte(yaml+"\noutbox: {dir: "+filepath.Join(dir, "state")+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{out: &syncBuffer{}, err: &syncBuffer{}, stop: stop, code: make(chan int, 1)}
	a := &app{in: strings.NewReader(""), out: r.out, err: r.err, getenv: func(k string) string {
		return map[string]string{"HOME": dir, "LANG": "en_US.UTF-8"}[k]
	}, environ: func() []string { return nil }}
	go func() {
		r.code <- a.execute(ctx, append([]string{"run", "-c", file, "--log-level", "trace", "--log-format", "json"}, args...))
	}()
	t.Cleanup(func() {
		stop()
		select {
		case code := <-r.code:
			if code != exitOK {
				t.Errorf("the daemon ended with %d:\n%s", code, r.err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the daemon does not end")
		}
	})
	return r
}

// recorded is what a plain subscriber gets, by document number.
type recorded struct {
	Document struct{ Kind, Number string } `json:"document"`
	Person   struct {
		Name   string `json:"name"`
		NameEn string `json:"name_en"`
		Sex    struct{ Code string }
		Birth  string `json:"birth_date"`
	} `json:"person"`
	Hukou *struct {
		Address string `json:"address"`
		Printed string `json:"printed_address"`
	} `json:"hukou"`
	Residence struct {
		CardAddress string `json:"card_address"`
	} `json:"residence"`
	raw []byte
}

// differs says what of an event is not what the card carried; "" if nothing.
func (r recorded) differs(c simcard.Card) string {
	var list []string
	want := func(what, got, want string) {
		if got != want {
			list = append(list, what)
		}
	}
	want("kind", r.Document.Kind, c.Kind)
	want("number", r.Document.Number, c.Number)
	if len(c.NameUnits) == 0 {
		want("name", r.Person.Name, c.Name)
	} else if plain := utf16.Decode(c.NameUnits); !strings.ContainsFunc(string(plain), func(r rune) bool { return r == 0xFFFD || r >= 0xE000 && r < 0xF900 }) {
		want("name", r.Person.Name, string(plain))
	}
	want("english name", r.Person.NameEn, c.NameEn)
	want("sex", r.Person.Sex.Code, c.Sex)
	want("birth", strings.ReplaceAll(r.Person.Birth, "-", ""), c.Birth)
	switch c.Kind {
	case simcard.Resident:
		newest := c.Address
		if n := len(c.Appended); n > 0 {
			newest = c.Appended[n-1]
		}
		if r.Hukou == nil {
			return "no hukou"
		}
		want("address", r.Hukou.Address, newest)
		want("printed address", r.Hukou.Printed, c.Address)
	case simcard.HMTPermit:
		want("card address", r.Residence.CardAddress, c.Address)
	}
	return strings.Join(list, ", ")
}

func emulate(cards []simcard.Card) []emulated {
	list := make([]emulated, len(cards))
	for i, c := range cards {
		list[i] = emulated{text: c.Text(), photo: c.Photo(), addresses: c.Addresses()}
	}
	return list
}

// TestCardsEndToEnd places cards of all four kinds on an emulator that shares no
// code with the project, and counts what a plain NATS client sees.
func TestCardsEndToEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cards int
		tcp   bool
		baud  string
		set   func(*emulator)
	}{
		{"pty at 115200", 200, false, "auto", func(e *emulator) { e.baud = 115200 }},
		{"pty at 9600", 200, false, "auto", func(e *emulator) { e.baud = 9600 }},
		{"tcp", 200, true, "auto", func(*emulator) {}},
		{"finds resting cards again", 200, false, "115200", func(e *emulator) { e.findsAgain = true }},
		{"pieces of 7 bytes", 200, false, "115200", func(e *emulator) { e.piece = 7 }},
		{"junk before frames", 200, false, "115200", func(e *emulator) { e.junk = true }},
		{"stalls on every 13th command", 200, false, "115200", func(e *emulator) { e.stallEvery = 13 }},
		{"fails the first read of a card", 200, false, "115200", func(e *emulator) { e.failsFirst = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cards := simcard.Generate(2026, tt.cards)
			counted := make(chan struct{}, 2*len(cards))
			e := &emulator{cards: emulate(cards), counted: counted, patience: 30 * time.Second}
			tt.set(e)
			got, log := tapAll(t, e, cards, tt.tcp, tt.baud, "auto", counted)
			if len(got) != len(cards) {
				t.Errorf("%d events, want %d\n%s", len(got), len(cards), tail(log, 40))
			}
			complain(t, got, cards)
			noPersonalData(t, log, cards)
		})
	}
}

// TestNoisyLine damages answers. Nothing wrong may be published once the line
// has shown an error, no card twice, and at least 98 % of the cards must come
// through; with verify_reads: always nothing wrong from the first card on.
func TestNoisyLine(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cards  int
		verify string
		set    func(*emulator)
	}{
		{"2 % flips and junk", 100, "auto", func(e *emulator) { e.flip = 0.02 }},
		{"and 5 % that still fit the XOR", 100, "auto", func(e *emulator) { e.flip, e.columnFlip = 0.02, 0.05 }},
		{"and no second read without lifting", 50, "auto", func(e *emulator) {
			e.flip, e.columnFlip, e.needsLifting = 0.02, 0.05, true
			e.patience = 800 * time.Millisecond
		}},
		{"verify always", 100, "always", func(e *emulator) { e.flip, e.columnFlip = 0.02, 0.05 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cards := simcard.Generate(7, tt.cards)
			counted := make(chan struct{}, 2*len(cards))
			e := &emulator{cards: emulate(cards), counted: counted, patience: 4 * time.Second, tries: 8}
			tt.set(e)
			got, log := tapAll(t, e, cards, false, "115200", tt.verify, counted)
			if share := float64(len(got)) / float64(len(cards)); share < 0.98 {
				t.Errorf("%d of %d cards published\n%s", len(got), len(cards), tail(log, 40))
			}
			complain(t, got, cards)
			noPersonalData(t, log, cards)
		})
	}
}

// tapAll runs a daemon on the emulator until every card was placed, and gives
// the recorded events in order and the log.
func tapAll(t *testing.T, e *emulator, cards []simcard.Card, tcp bool, baud, verify string, counted chan<- struct{}) ([]recorded, string) {
	t.Helper()
	nc := externalServer(t)
	events := make(chan recorded, 2*len(cards))
	if _, err := nc.Subscribe("idtap.v1.recorded.>", func(m *nats.Msg) {
		var r recorded
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Errorf("event: %v", err)
		}
		r.raw = m.Data
		events <- r
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	driver, port := "serial", ""
	if tcp {
		driver, port = "tcp", e.onTCP(t)
	} else {
		port = e.onPTY(t)
	}
	d := startDaemon(t, fmt.Sprintf(`
desk: {id: desk-1, division: "410105"}
readers: [{name: front, driver: %s, port: "%s", baud: %s}]
policy: {verify_reads: %s, poll: 20ms}
nats: {url: "%s"}
desk_page: {listen: ""}
`, driver, port, baud, verify, nc.ConnectedUrl()))
	var got []recorded
	deadline := time.After(5 * time.Minute)
	for placed := (<-chan struct{})(e.done); ; {
		select {
		case r := <-events:
			got = append(got, r)
			counted <- struct{}{}
		case <-placed:
			placed = nil
			// Anything late, or doubled, comes within this.
			deadline = time.After(2 * time.Second)
		case <-deadline:
			return got, d.err.String()
		}
	}
}

// complain reports events that are wrong, of no card, or there twice.
func complain(t *testing.T, got []recorded, cards []simcard.Card) {
	t.Helper()
	byNumber := map[string]simcard.Card{}
	for _, c := range cards {
		byNumber[c.Number] = c
	}
	seen := map[string]int{}
	for i, r := range got {
		c, ok := byNumber[r.Document.Number]
		if !ok {
			t.Errorf("event %d is of no card placed", i)
			continue
		}
		if seen[c.Number]++; seen[c.Number] > 1 {
			t.Errorf("event %d: the card was published before", i)
		}
		if what := r.differs(c); what != "" {
			t.Errorf("event %d (%s): wrong %s", i, c.Kind, what)
		}
	}
}

// noPersonalData searches a log for what the cards carry.
func noPersonalData(t *testing.T, log string, cards []simcard.Card) {
	t.Helper()
	if log == "" {
		t.Error("there is no log to search")
	}
	for _, c := range cards {
		for what, secret := range map[string]string{"name": c.Name, "english name": c.NameEn, "number": c.Number, "address": c.Address, "birth date": c.Birth} {
			if len([]rune(secret)) > 1 && strings.Contains(log, secret) {
				t.Errorf("the log holds the %s of a card", what)
			}
		}
	}
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
