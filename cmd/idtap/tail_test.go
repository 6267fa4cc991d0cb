package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/cmd/internal/daemon"
	"idtap/publisher/bus"
	"idtap/publisher/event"
)

// screen is somebody's terminal: lines as they are printed.
type screen struct {
	mu    sync.Mutex
	part  string
	lines chan string
}

func newScreen() *screen { return &screen{lines: make(chan string, 100)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part += string(p)
	for {
		line, rest, ok := strings.Cut(s.part, "\n")
		if !ok {
			return len(p), nil
		}
		s.part = rest
		s.lines <- line
	}
}

func (s *screen) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-s.lines:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is printed")
		return ""
	}
}

// natsServer knows two users: admin, who may do all, and desk, who may publish
// and look at the stream but not read it.
func natsServer(t *testing.T, jetStream bool, port int) *server.Server {
	t.Helper()
	all := &server.SubjectPermission{Allow: []string{">"}}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: jetStream, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{
			{Username: "admin", Password: "a", Permissions: &server.Permissions{Publish: all, Subscribe: all}},
			{Username: "desk", Password: "d", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{"idtap.v1.>", "$JS.API.STREAM.INFO.REGISTRATIONS"}},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

func as(s *server.Server, login string) string {
	return strings.Replace(s.ClientURL(), "nats://", "nats://"+login+"@", 1)
}

// withStream connects an administrator to s and makes the stream.
func withStream(t *testing.T, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(as(s, "admin:a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "REGISTRATIONS", Subjects: []string{"idtap.v1.>"}}); err != nil {
		t.Fatal(err)
	}
	return js
}

// startTail runs `idtap tail` until the test ends and waits until it follows.
func startTail(t *testing.T, args ...string) (out, notes *screen) {
	t.Helper()
	home := t.TempDir()
	out, notes = newScreen(), newScreen()
	a := &app{in: strings.NewReader(""), out: out, err: notes, environ: func() []string { return nil },
		getenv: func(k string) string { return map[string]string{"HOME": home, "LANG": "en_US.UTF-8"}[k] }}
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- a.execute(ctx, append([]string{"tail"}, args...)) }()
	t.Cleanup(func() {
		stop()
		select {
		case c := <-code:
			if c != exitOK {
				t.Errorf("tail ended with %d", c)
			}
		case <-time.After(10 * time.Second):
			t.Error("tail does not end")
		}
	})
	if line := notes.next(t); !strings.Contains(line, "following") {
		t.Fatal(line)
	}
	return out, notes
}

// registration is a recorded event of the package's own examples.
func registration(t *testing.T, seq uint64) (event.Envelope, []byte) {
	t.Helper()
	data, err := os.ReadFile("../../publisher/event/testdata/recorded-resident.json")
	if err != nil {
		t.Fatal(err)
	}
	id, err := event.NewID()
	if err != nil {
		t.Fatal(err)
	}
	place := event.Place{DeskDivision: "410105", DeskID: "jinshui-wenhualu-03", HukouDivision: "620422"}
	return event.Envelope{ID: id, Type: event.RecordedType, Source: event.Source(place.DeskID, "front"),
		Time: time.Date(2026, 11, 21, 9, 30, 0, 120e6, time.UTC), Seq: seq, Epoch: "e1",
		Subject: event.Subject(event.RecordedType, place), Content: event.ContentJSON}, data
}

func publish(t *testing.T, js jetstream.JetStream, env event.Envelope, body []byte) {
	t.Helper()
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: env.Subject, Header: env.Headers(), Data: body}); err != nil {
		t.Fatal(err)
	}
}

func TestTailFollows(t *testing.T) {
	s := natsServer(t, true, -1)
	js := withStream(t, s)
	before, data := registration(t, 1)
	publish(t, js, before, data)
	out, notes := startTail(t, "--server", as(s, "admin:a"))
	env, _ := registration(t, 2)
	publish(t, js, env, data)
	line := out.next(t)
	for _, want := range []string{"recorded  #2  jinshui-wenhualu-03/front", "测**", "110***********002X"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q misses %q", line, want)
		}
	}
	if strings.Contains(line, "测试甲") || strings.Contains(line, "11010519491231002X") {
		t.Errorf("not masked: %s", line)
	}
	// What is no event is passed over, and said.
	if _, err := js.Publish(t.Context(), env.Subject, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if line := notes.next(t); !strings.Contains(line, "passed over") {
		t.Error(line)
	}
	env, _ = registration(t, 3)
	publish(t, js, env, data)
	if line := out.next(t); !strings.Contains(line, "#3") {
		t.Error(line)
	}
}

func TestTailFiltersSubjects(t *testing.T) {
	s := natsServer(t, true, -1)
	js := withStream(t, s)
	out, _ := startTail(t, "--server", as(s, "admin:a"), "--subject", "idtap.v1.*.*.*.*.*.63.>")
	env, data := registration(t, 1)
	publish(t, js, env, data)
	env, _ = registration(t, 2)
	env.Subject = strings.Replace(env.Subject, "62.6204.620422", "63.6301._", 1)
	publish(t, js, env, data)
	if line := out.next(t); !strings.Contains(line, "#2") {
		t.Errorf("of another subject: %s", line)
	}
}

func TestTailOpensSealed(t *testing.T) {
	s := natsServer(t, true, -1)
	js := withStream(t, s)
	dir := t.TempDir()
	mine, other := filepath.Join(dir, "mine"), filepath.Join(dir, "other")
	for _, name := range []string{mine, other} {
		if code, _, errs := executeIn(t, dir, "keys", "generate", name); code != exitOK {
			t.Fatal(errs)
		}
	}
	text, err := os.ReadFile(mine + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	key, err := event.ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	server := as(s, "admin:a")
	without, _ := startTail(t, "--server", server, "--json")
	with, _ := startTail(t, "--server", server, "--json", "--decrypt-key", mine+".key")
	masked, _ := startTail(t, "--server", server, "--decrypt-key", mine+".key")
	foreign, notes := startTail(t, "--server", server, "--decrypt-key", other+".key")

	env, data := registration(t, 1841)
	body, err := event.Seal(data, env, []event.Recipient{{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	env.Content = event.ContentJOSE
	publish(t, js, env, body)

	var sealed, opened struct {
		ID, Subject, Sequence, Epoch, DataContentType string
		Data                                          struct {
			Ciphertext string
			Person     struct{ Name string }
			Document   struct{ Number string }
		}
	}
	line := without.next(t)
	if err := json.Unmarshal([]byte(line), &sealed); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if sealed.ID != env.ID || sealed.DataContentType != event.ContentJOSE || sealed.Data.Ciphertext == "" || strings.Contains(line, "测试甲") {
		t.Errorf("without the key: %s", line)
	}
	line = with.next(t)
	if err := json.Unmarshal([]byte(line), &opened); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if opened.Subject != env.Subject || opened.Sequence != "1841" || opened.Epoch != "e1" || opened.DataContentType != event.ContentJSON ||
		opened.Data.Person.Name != "测试甲" || opened.Data.Document.Number != "11010519491231002X" {
		t.Errorf("with the key: %s", line)
	}
	if line := masked.next(t); !strings.Contains(line, "测**") {
		t.Errorf("with the key, for people: %s", line)
	}
	if line := notes.next(t); !strings.Contains(line, "not sealed to this key") {
		t.Errorf("another key: %s", line)
	}
	if line := foreign.next(t); !strings.Contains(line, "sealed to 1 recipient") {
		t.Errorf("another key: %s", line)
	}
}

func TestTailFollowsReaders(t *testing.T) {
	s := natsServer(t, true, -1)
	out, _ := startTail(t, "--server", as(s, "admin:a"), "--subject", "idtap.status.v1.>")
	nc, err := nats.Connect(as(s, "admin:a"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	env, err := event.StatusEnvelope(event.Place{DeskID: "d"}, "front", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishMsg(&nats.Msg{Subject: env.Subject, Header: env.Headers(), Data: []byte(`{"desk":"d","reader":"front","state":"away"}`)}); err != nil {
		t.Fatal(err)
	}
	if line := out.next(t); !strings.Contains(line, "d/front  away") {
		t.Error(line)
	}
}

// A server that comes back is followed on from where it was left.
func TestTailOutlivesTheServer(t *testing.T) {
	s := natsServer(t, true, -1)
	withStream(t, s)
	out, notes := startTail(t, "--server", as(s, "admin:a"))
	addr := s.Addr().(*net.TCPAddr)
	store := s.StoreDir()
	s.Shutdown()
	s.WaitForShutdown()
	if line := notes.next(t); !strings.Contains(line, "lost") {
		t.Error(line)
	}
	again, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: addr.Port, JetStream: true, StoreDir: filepath.Dir(store), NoSigs: true, NoLog: true,
		Users: []*server.User{{Username: "admin", Password: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	again.Start()
	defer func() { again.Shutdown(); again.WaitForShutdown() }()
	nc, err := nats.Connect(as(s, "admin:a"), nats.RetryOnFailedConnect(true), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	env, data := registration(t, 7)
	publish(t, js, env, data)
	if line := notes.next(t); !strings.Contains(line, "connected again") {
		t.Error(line)
	}
	if line := out.next(t); !strings.Contains(line, "#7") {
		t.Error(line)
	}
}

func TestTailExplains(t *testing.T) {
	s := natsServer(t, true, -1)
	empty := natsServer(t, true, -1)
	plain := natsServer(t, false, -1)
	withStream(t, s)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	dir := t.TempDir()
	key := filepath.Join(dir, "k")
	executeIn(t, dir, "keys", "generate", key)
	for _, c := range []struct {
		name string
		code int
		says []string
		args []string
	}{
		{"nobody there", exitFailed, []string{"cannot reach", gone.Addr().String()}, []string{"--server", "nats://user:secret@" + gone.Addr().String()}},
		{"wrong password", exitFailed, []string{"login is refused"}, []string{"--server", as(s, "admin:secret")}},
		{"a desk's own login", exitFailed, []string{"no permission to read"}, []string{"--server", as(s, "desk:d")}},
		{"a desk's own login, readers", exitFailed, []string{"no permission to read"}, []string{"--server", as(s, "desk:d"), "--subject", "idtap.status.v1.>"}},
		{"no stream", exitFailed, []string{"REGISTRATIONS", "idtap bus init"}, []string{"--server", as(empty, "admin:a")}},
		{"no JetStream", exitFailed, []string{"no JetStream"}, []string{"--server", as(plain, "admin:a")}},
		{"no daemon", exitFailed, []string{"no daemon is running", "--server"}, nil},
		{"plaintext elsewhere", exitUsage, []string{"allow_plaintext"}, []string{"--server", "nats://192.0.2.1:4222"}},
		{"no server", exitUsage, []string{"want nats:// or tls://"}, []string{"--server", "http://127.0.0.1:4222"}},
		{"no subject", exitUsage, []string{"--subject"}, []string{"--server", as(s, "admin:a"), "--subject", "idtap..>"}},
		{"no key file", exitUsage, []string{"--decrypt-key"}, []string{"--decrypt-key", filepath.Join(dir, "none")}},
		{"the public key", exitUsage, []string{"private one"}, []string{"--decrypt-key", key + ".pub"}},
		{"an argument too many", exitUsage, []string{"idtap"}, []string{"now"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := executeIn(t, t.TempDir(), append([]string{"tail"}, c.args...)...)
			if code != c.code || out != "" {
				t.Errorf("%d, %q: %s", code, out, errs)
			}
			for _, s := range c.says {
				if !strings.Contains(errs, s) {
					t.Errorf("%q misses %q", errs, s)
				}
			}
			if strings.Contains(errs, "secret") {
				t.Errorf("a password is printed: %s", errs)
			}
		})
	}
}

// Without --server the daemon's runtime file says where it publishes.
func TestTailFindsTheDaemon(t *testing.T) {
	s := natsServer(t, true, -1)
	withStream(t, s)
	dir := t.TempDir()
	file := filepath.Join(dir, "desk.yaml")
	if err := os.WriteFile(file, []byte("outbox: {dir: "+dir+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runtime := filepath.Join(dir, "runtime.json")
	if err := daemon.WriteRuntime(runtime, daemon.Runtime{Access: bus.Access{Stream: "REGISTRATIONS"}}); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := executeIn(t, dir, "tail", "-c", file); code != exitFailed || !strings.Contains(errs, "nats.embedded.listen") {
		t.Errorf("a daemon without a port: %d %s", code, errs)
	}
	if err := daemon.WriteRuntime(runtime, daemon.Runtime{Access: bus.Access{URL: s.ClientURL(), User: "admin", Password: "a", Stream: "REGISTRATIONS"}}); err != nil {
		t.Fatal(err)
	}
	startTail(t, "-c", file)
}
