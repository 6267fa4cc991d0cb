package pagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/simcard"
	"idtap/driver/tcp"
	"idtap/publisher/bus"
	"idtap/publisher/event"
)

// daemon is the stack with its bus in a process of its own, for the test to
// kill. It ends with its standard input at the latest.
func daemon(args []string) {
	dir, line, server, page, tokenFile := args[0], args[1], args[2], args[3], args[4]
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p := defaultParts(dir)
	p.queue.RepeatWindow = 0
	p.page.Listen, p.page.TokenFile = page, tokenFile
	p.reader = func(ctx context.Context) (driver.Device, error) {
		return tcp.Driver{}.Open(ctx, driver.Spec{Name: "front", Driver: "tcp", Port: line})
	}
	ctx := context.Background()
	s, err := assemble(ctx, p)
	if err != nil {
		fail(err)
	}
	_, err = bus.Start(ctx, bus.Options{DeskID: p.intake.Desk.ID, DeskDivision: p.intake.Desk.Division, Server: bus.Server{URL: server}, Log: zerolog.Nop()}, s.queue)
	if err != nil {
		fail(err)
	}
	s.run(ctx, fail)
	io.Copy(io.Discard, os.Stdin)
}

// process is a daemon under test.
type process struct {
	t    *testing.T
	args []string
	url  string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func (p *process) start() {
	p.t.Helper()
	p.log.Reset()
	p.cmd = exec.Command(os.Args[0], append([]string{"daemon"}, p.args...)...)
	p.cmd.Stderr = &p.log
	if _, err := p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// state asks until the daemon answers and the state is as wanted.
func (p *process) state(token string, as func(boardState) bool) boardState {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		select {
		case <-deadline:
			p.t.Fatalf("the state did not come:\n%s", p.log.String())
		case <-tick.C:
		}
		request, _ := http.NewRequestWithContext(p.t.Context(), "GET", p.url+"/api/v1/state", nil)
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		var s boardState
		err = json.NewDecoder(answer.Body).Decode(&s)
		answer.Body.Close()
		if err == nil && as(s) {
			return s
		}
	}
}

type boardState struct {
	Todo []struct{ ID string }
	Last []struct{ ID, Outcome string }
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A decision that was answered survives a kill -9 and arrives at a subscriber,
// once, about the right record; one that was cut off between the click and the
// queue can be made again.
func TestDecisionsSurviveKill(t *testing.T) {
	module := mock.NewModule(mock.Options{})
	line, err := mock.ListenTCP(module, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- line.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-served })
	natsPort, pagePort := freePort(t), freePort(t)
	page := fmt.Sprintf("127.0.0.1:%d", pagePort)
	p := &process{t: t, url: "http://" + page, args: []string{filepath.Join(t.TempDir(), "queue"), line.Address(),
		fmt.Sprintf("nats://127.0.0.1:%d", natsPort), page, secret(t, token)}}
	p.start()
	t.Cleanup(func() { p.kill() })

	const rounds = 12
	answered, cut := 0, 0
	var records []string
	for i := range rounds {
		module.Place(specimen(func(c *simcard.Card) { c.NameUnits = []uint16{0x6837, 0x672C, 0xE900 + uint16(i)} }))
		id := p.state(token, func(s boardState) bool { return len(s.Todo) == 1 }).Todo[0].ID
		module.Lift()
		records = append(records, id)
		asked := make(chan bool, 1)
		go func() { asked <- p.decide(id, i) }()
		ok := false
		if i%3 == 0 { // after the answer
			ok = <-asked
			p.kill()
		} else { // at any moment of the decision
			<-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond)
			p.kill()
			ok = <-asked
		}
		p.start()
		s := p.state(token, func(boardState) bool { return true })
		switch {
		case ok && len(s.Todo) != 0:
			t.Errorf("round %d: decided, yet it waits again", i)
		case ok:
			answered++
		default:
			cut++
		}
		for len(p.state(token, func(boardState) bool { return true }).Todo) > 0 {
			p.decide(id, i)
		}
	}
	t.Logf("of %d decisions %d were answered before the kill, %d were cut off", rounds, answered, cut)

	// Now the server comes up; everything arrives, once.
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: natsPort, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "REGISTRATIONS", Subjects: []string{"idtap.v1.>"}, AllowDirect: true, Discard: jetstream.DiscardNew})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for range 2 * rounds {
		m, err := consumer.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatalf("%v after %v\n%s", err, count, p.log.String())
		}
		switch m.Headers().Get(event.HeaderType) {
		case event.RecordedType:
			count["recorded "+m.Headers().Get(event.HeaderID)]++
		case event.ConfirmedType, event.CorrectedType:
			var about struct{ Refers string }
			if err := json.Unmarshal(m.Data(), &about); err != nil {
				t.Fatal(err)
			}
			count[event.Token(m.Headers().Get(event.HeaderType))+" "+about.Refers]++
		}
	}
	for i, id := range records {
		decided := []string{"confirmed ", "corrected "}[i%2]
		if count["recorded "+id] != 1 || count[decided+id] != 1 {
			t.Errorf("record %s: recorded %d times, %s%d times", id, count["recorded "+id], decided, count[decided+id])
		}
	}
}

// decide clicks, as a program: confirm in even rounds, correct in odd ones. It
// reports whether it was told that the queue has it.
func (p *process) decide(id string, round int) bool {
	verb, body := "confirm", "{}"
	if round%2 == 1 {
		verb, body = "correct", `{"reason":"rare character","changes":[{"field":"person.name","new":"样本䶮"}]}`
	}
	request, _ := http.NewRequestWithContext(p.t.Context(), "POST", p.url+"/api/v1/registrations/"+id+"/"+verb, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
