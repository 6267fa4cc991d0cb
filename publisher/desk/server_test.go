package desk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

const token = "0123456789abcdefghijklmnop"

// book is Decisions in memory: it writes down what it is asked to do.
type book struct {
	mu        sync.Mutex
	lines     []string
	operators []event.Operator
	refuse    error // the next decision
	auditErr  error
}

func (b *book) write(line string, op event.Operator) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuse; err != nil {
		b.refuse = nil
		return err
	}
	b.lines = append(b.lines, line)
	b.operators = append(b.operators, op)
	return nil
}

func (b *book) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

func (b *book) Confirm(_ context.Context, id string, op event.Operator) (publisher.FollowUp, error) {
	if strings.HasPrefix(id, "q") {
		return publisher.FollowUp{}, outbox.ErrNotFound
	}
	return publisher.FollowUp{ID: "f", Refers: id, Type: event.ConfirmedType}, b.write("confirm "+id, op)
}

func (b *book) Correct(_ context.Context, id string, op event.Operator, reason string, changes []event.FieldChange) (publisher.FollowUp, error) {
	line := "correct " + id + " " + reason
	for _, c := range changes {
		line += fmt.Sprintf(" %s %q %q", c.Field, c.Old, c.New)
	}
	return publisher.FollowUp{ID: "f", Refers: id, Type: event.CorrectedType}, b.write(line, op)
}

func (b *book) Cancel(_ context.Context, id string, op event.Operator, reason, note string) (publisher.FollowUp, error) {
	return publisher.FollowUp{ID: "f", Refers: id, Type: event.CancelledType}, b.write("cancel "+id+" "+reason+" "+note, op)
}

func (b *book) Release(_ context.Context, id string, op event.Operator) (publisher.Tapped, error) {
	return publisher.Tapped{ID: "r"}, b.write("release "+id, op)
}

func (b *book) Record(_ context.Context, id string) (event.Registration, error) {
	if id == "unknown" {
		return event.Registration{}, outbox.ErrNotFound
	}
	return registration(), nil
}

func (b *book) Audit(_ context.Context, who, what, id string) error {
	if b.auditErr != nil {
		return b.auditErr
	}
	return b.write("audit "+who+" "+what+" "+id, event.Operator{})
}

func (b *book) Todo(context.Context) ([]publisher.Tapped, error) { return nil, nil }

// testDesk is a running server.
type testDesk struct {
	*Server
	board *Board
	book  *book
	url   string
}

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func serve(t *testing.T, change func(*Options)) *testDesk {
	t.Helper()
	b, clock := newBoard(t)
	d := &testDesk{board: b, book: &book{}}
	o := Options{Listen: "127.0.0.1:0", Mask: true, TokenFile: secretFile(t, token+"\n"), Board: b, Decisions: d.book, Clock: clock,
		Operator: "desk", Log: zerolog.New(zerolog.NewTestWriter(t))}
	if change != nil {
		change(&o)
	}
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.Server, d.url = s, "http://"+addr.String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

// ask sends a request; headers are "Name: value" lines, Host among them.
func (d *testDesk) ask(t *testing.T, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r) // redirects would be seen
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(b)
}

func (d *testDesk) page() string { return ticketHeader + ": " + d.sessions.ticket() }

const bearer = "Authorization: Bearer " + token

func TestDecisions(t *testing.T) {
	d := serve(t, nil)
	page := d.page()
	const base = "/api/v1/registrations/"
	tests := []struct {
		name, path, body string
		caller           string
		refuse           error
		status           int
		want             []string // lines in the book; nil: none
	}{
		{"confirm", base + "a/confirm", `{}`, page, nil, 200, []string{"audit page:not signed in confirm a", "confirm a"}},
		{"confirm by a program", base + "a/confirm", `{"operator":"张三"}`, bearer, nil, 200, []string{"audit program:token confirm a", "confirm a"}},
		{"confirm a quarantined tap", base + "q1/confirm", `{}`, page, nil, 200, []string{"audit page:not signed in confirm q1", "release q1"}},
		{"correct", base + "a/correct", `{"reason":"r","changes":[{"field":"person.name","new":"样本䶮"}]}`, page, nil, 200,
			[]string{"audit page:not signed in correct a", `correct a r person.name "" "样本䶮"`}},
		{"cancel", base + "a/cancel", `{"reason":"test_tap","note":"n"}`, page, nil, 200, []string{"audit page:not signed in cancel a", "cancel a test_tap n"}},
		{"no caller", base + "a/confirm", `{}`, "X-Nobody: 1", nil, 403, nil},
		{"forged ticket", base + "a/confirm", `{}`, ticketHeader + ": " + strings.Repeat("A", 48), nil, 403, nil},
		{"no reason", base + "a/correct", `{"reason":" ","changes":[{"field":"person.name","new":"x"}]}`, page, nil, 400, nil},
		{"no changes", base + "a/correct", `{"reason":"r","changes":[]}`, page, nil, 400, nil},
		{"old value from outside", base + "a/correct", `{"reason":"r","changes":[{"field":"person.name","new":"x","old":"y"}]}`, page, nil, 400, nil},
		{"unknown key", base + "a/confirm", `{"id":"b"}`, page, nil, 400, nil},
		{"two values", base + "a/confirm", `{}{}`, page, nil, 400, nil},
		{"long note", base + "a/cancel", `{"reason":"test_tap","note":"` + strings.Repeat("n", 201) + `"}`, page, nil, 400, nil},
		{"control characters", base + "a/confirm", `{"operator":"a\u001b[2J"}`, page, nil, 400, nil},
		{"large body", base + "a/confirm", `{"operator":"` + strings.Repeat("n", maxBody) + `"}`, page, nil, 413, nil},
		{"strange id", base + "a%2F..%2Fb/confirm", `{}`, page, nil, 404, nil},
		{"no audit line", base + "a/cancel", `{"reason":"test_tap"}`, page, errors.New("disk full"), 500, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.refuse != nil {
				d.book.refuse = test.refuse
			}
			status, _, body := d.ask(t, "POST", test.path, test.body, test.caller)
			if status != test.status {
				t.Errorf("status %d, want %d: %s", status, test.status, body)
			}
			if got := d.book.take(); !slices.Equal(got, test.want) {
				t.Errorf("book: %q, want %q", got, test.want)
			}
		})
	}
}

// What the queue refuses is told by a code.
func TestRefusals(t *testing.T) {
	tests := []struct {
		err    error
		status int
		code   string
	}{
		{outbox.ErrNotFound, 404, "not_found"}, {publisher.ErrErased, 410, "erased"}, {publisher.ErrCancelled, 409, "cancelled"},
		{fmt.Errorf("%w: person.name", publisher.ErrField), 400, "bad_field"}, {publisher.ErrReason, 400, "bad_reason"},
		{outbox.ErrFull, 507, "queue_full"}, {errors.New("disk on fire"), 500, "queue_failed"},
	}
	for _, test := range tests {
		var out bytes.Buffer
		s := &Server{o: Options{Log: zerolog.New(&out)}}
		w := &recorder{header: http.Header{}}
		s.failed(w, test.err)
		if w.status != test.status || !strings.Contains(w.body.String(), `"`+test.code+`"`) {
			t.Errorf("%v: %d %s", test.err, w.status, w.body.String())
		}
		if logged := out.Len() > 0; logged != (test.status == 500) {
			t.Errorf("%v: logged %v", test.err, logged)
		}
	}
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(s int)           { r.status = s }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func TestRevealIsAuditedFirst(t *testing.T) {
	d := serve(t, nil)
	d.board.tapped("a")
	status, _, body := d.ask(t, "POST", "/api/v1/registrations/a/reveal", `{}`, d.page())
	if status != 200 || !strings.Contains(body, "11010519491231002X") {
		t.Errorf("%d %s", status, body)
	}
	if got := d.book.take(); !slices.Equal(got, []string{"audit page:not signed in reveal a"}) {
		t.Errorf("%q", got)
	}
	d.book.auditErr = errors.New("disk full")
	status, _, body = d.ask(t, "POST", "/api/v1/registrations/a/reveal", `{}`, d.page())
	if status != 500 || strings.Contains(body, "1101") {
		t.Errorf("without an audit line: %d %s", status, body)
	}
}

// A program that receives whole bodies is written down, and gets none if it cannot be.
func TestProgramsAreAudited(t *testing.T) {
	d := serve(t, nil)
	d.board.tapped("a")
	for range 3 {
		status, _, body := d.ask(t, "GET", "/api/v1/state", "", bearer)
		if status != 200 || !strings.Contains(body, "11010519491231002X") {
			t.Fatalf("state for a program: %d %s, want the whole body", status, body)
		}
	}
	if got, want := d.book.take(), []string{"audit program:token state "}; !slices.Equal(got, want) {
		t.Errorf("three questions in an hour left %q, want %q", got, want)
	}
	if status, _, _ := d.ask(t, "GET", "/api/v1/state", "", d.page()); status != 200 {
		t.Errorf("state for a page: %d, want 200", status)
	}
	if got := d.book.take(); len(got) != 0 {
		t.Errorf("a page left %q, want nothing", got)
	}
	d.book.auditErr = errors.New("disk full")
	status, _, body := d.ask(t, "GET", "/api/v1/events", "", bearer)
	if status != 500 || strings.Contains(body, "1101") {
		t.Errorf("stream without an audit line: %d %s, want 500 and nothing", status, body)
	}
}

func TestSignIn(t *testing.T) {
	pins := secretFile(t, "# operators\n张敏:482913\nLi Wei：7731\n")
	d := serve(t, func(o *Options) { o.PINFile = pins })
	page := d.page()
	if status, _, _ := d.ask(t, "POST", "/api/v1/registrations/a/reveal", `{}`, page); status != 403 {
		t.Errorf("reveal before signing in: %d", status)
	}
	if status, _, body := d.ask(t, "POST", "/api/v1/registrations/a/confirm", `{"operator":"x"}`, page); status != 200 || !strings.Contains(body, `"authenticated":false`) {
		t.Errorf("confirm before signing in: %d %s", status, body)
	}
	if status, _, body := d.ask(t, "POST", "/api/v1/session", `{"pin":"0000"}`, page); status != 403 || !strings.Contains(body, "wrong_pin") {
		t.Errorf("wrong PIN: %d %s", status, body)
	}
	if status, _, body := d.ask(t, "POST", "/api/v1/session", `{"pin":"482913"}`, page); status != 200 || !strings.Contains(body, "张敏") {
		t.Fatalf("right PIN: %d %s", status, body)
	}
	d.book.take()
	d.book.operators = nil
	if status, _, _ := d.ask(t, "POST", "/api/v1/registrations/a/confirm", `{"operator":"somebody else"}`, page); status != 200 {
		t.Errorf("confirm: %d", status)
	}
	if got := d.book.operators[1]; got != (event.Operator{Name: "张敏", Authenticated: true}) {
		t.Errorf("operator %+v", got)
	}
	if got := d.book.take(); got[0] != "audit operator:张敏 confirm a" {
		t.Errorf("%q", got)
	}
	if status, _, body := d.ask(t, "GET", "/api/v1/session", "", d.page()); status != 200 || strings.Contains(body, "张敏") {
		t.Errorf("another page: %d %s", status, body)
	}
	d.ask(t, "DELETE", "/api/v1/session", `{}`, page)
	if status, _, _ := d.ask(t, "POST", "/api/v1/registrations/a/reveal", `{}`, page); status != 403 {
		t.Errorf("reveal after signing out: %d", status)
	}
}

func TestGuessingPINsIsSlow(t *testing.T) {
	d := serve(t, func(o *Options) { o.PINFile = secretFile(t, "a:4829\n") })
	page := d.page()
	statuses := map[int]int{}
	for range 20 {
		status, _, _ := d.ask(t, "POST", "/api/v1/session", `{"pin":"0000"}`, page)
		statuses[status]++
	}
	if statuses[403] != 5 || statuses[429] != 15 {
		t.Errorf("%v", statuses)
	}
}

func TestSessionsEnd(t *testing.T) {
	_, clock := newBoard(t)
	s := newSessions(clock)
	ticket := s.ticket()
	s.enter(ticket, "张敏")
	clock.Advance(signedInFor)
	if _, ok := s.operator(ticket); !ok {
		t.Error("signed out too early")
	}
	clock.Advance(signedInFor + time.Second)
	if _, ok := s.operator(ticket); ok {
		t.Error("still signed in after half an hour")
	}
	for range 2 * maxSessions {
		s.enter(s.ticket(), "x")
	}
	if len(s.in) > maxSessions {
		t.Errorf("%d sessions", len(s.in))
	}
}

func TestSecretFiles(t *testing.T) {
	open := secretFile(t, token)
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*Options)
	}{
		{"token readable by others", func(o *Options) { o.TokenFile = open }},
		{"token too short", func(o *Options) { o.TokenFile = secretFile(t, "short") }},
		{"token of two lines", func(o *Options) { o.TokenFile = secretFile(t, token+"\n"+token) }},
		{"no token file", func(o *Options) { o.TokenFile = filepath.Join(t.TempDir(), "none") }},
		{"PIN readable by others", func(o *Options) { o.PINFile = open }},
		{"PIN without a name", func(o *Options) { o.PINFile = secretFile(t, "482913\n") }},
		{"PIN too short", func(o *Options) { o.PINFile = secretFile(t, "张敏:123\n") }},
		{"one PIN for two", func(o *Options) { o.PINFile = secretFile(t, "a:4829\nb:4829\n") }},
		{"empty PIN file", func(o *Options) { o.PINFile = secretFile(t, "# nobody\n") }},
		{"beyond loopback without TLS", func(o *Options) { o.Listen = "0.0.0.0:7643" }},
		{"beyond loopback without token", func(o *Options) {
			o.Listen, o.TokenFile, o.CertFile, o.KeyFile = "192.0.2.1:7643", "", "cert", "key"
		}},
		{"a name that may be anything", func(o *Options) { o.Listen = "desk.example:7643" }},
		{"every address", func(o *Options) { o.Listen = ":7643" }},
		{"origins without a token", func(o *Options) { o.TokenFile, o.Origins = "", []string{"https://registry.example"} }},
		{"half a key pair", func(o *Options) { o.CertFile = "cert" }},
		{"origin with a path", func(o *Options) { o.Origins = []string{"https://registry.example/x"} }},
		{"origin *", func(o *Options) { o.Origins = []string{"*"} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Listen: "127.0.0.1:0", TokenFile: secretFile(t, token)}
			test.change(&o)
			if _, err := NewServer(o); err == nil {
				t.Error("taken")
			} else if strings.Contains(err.Error(), "4829") || strings.Contains(err.Error(), token) {
				t.Errorf("the error says the secret: %v", err)
			}
		})
	}
}

// The stream begins with a snapshot, goes on with changes, beats when quiet,
// and is masked unless the caller holds the token.
func TestStream(t *testing.T) {
	d := serve(t, nil)
	clock := d.o.Clock.(*clockwork.FakeClock)
	open := func(headers ...string) func() (string, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", d.url+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		in := bufio.NewReader(answer.Body)
		return func() (id, event string) {
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				line = strings.TrimSuffix(line, "\n")
				switch {
				case strings.HasPrefix(line, "id: "):
					id = line[4:]
				case strings.HasPrefix(line, "event: "):
					event = line[7:]
				case strings.HasPrefix(line, "data: "):
					return id, event + " " + line[6:]
				}
			}
		}
	}
	anybody, program := open(), open(bearer)
	for _, next := range []func() (string, string){anybody, program} {
		if id, e := next(); !strings.HasPrefix(e, "snapshot {") || !strings.HasPrefix(id, d.board.boot+"-") {
			t.Fatalf("first: %s %s", id, e)
		}
	}
	d.board.tapped("a")
	if _, e := anybody(); !strings.HasPrefix(e, "change {") || strings.Contains(e, "1949") || !strings.Contains(e, "样**") {
		t.Errorf("masked: %s", e)
	}
	if _, e := program(); !strings.HasPrefix(e, "change {") || !strings.Contains(e, "11010519491231002X") {
		t.Errorf("with the token: %s", e)
	}
	clock.Advance(beatEvery)
	if _, e := anybody(); e != "beat {}" {
		t.Errorf("quiet: %s", e)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	d := serve(t, nil)
	for i := range maxStreams + 1 {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", d.url+"/api/v1/events", nil)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if want := map[bool]int{true: 200, false: 503}[i < maxStreams]; answer.StatusCode != want {
			t.Fatalf("stream %d: %d", i+1, answer.StatusCode)
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	d := serve(t, nil)
	over := false
	for range 1000 {
		if status, _, _ := d.ask(t, "GET", "/api/v1/session", ""); status == http.StatusTooManyRequests {
			over = true
			break
		}
	}
	if !over {
		t.Error("a thousand requests at once were all served")
	}
}

// Handlers of cmd are behind the same checks.
func TestMountedHandlers(t *testing.T) {
	d := serve(t, func(o *Options) {
		o.Handlers = map[string]http.Handler{"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
	})
	if status, _, body := d.ask(t, "GET", "/healthz", ""); status != 200 || body != "ok" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := d.ask(t, "GET", "/healthz", "", "Host: rebound.example:80"); status != http.StatusMisdirectedRequest {
		t.Errorf("rebound: %d", status)
	}
}
