package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/driver/diagnosis"
	"idtap/driver/simcard"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// TestMain lets a test run the whole command in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const asCommand = "TEST_AS_IDTAP"

// mockReader is a desk's reader with which all is well.
const mockReader = "readers: [{name: front, driver: mock}]\n"

// deskFile writes a configuration with a queue and a page port of its own.
func deskFile(t *testing.T, lines string) (file, queue string) {
	t.Helper()
	dir := t.TempDir()
	file, queue = filepath.Join(dir, "desk.yaml"), filepath.Join(dir, "queue")
	text := "desk: {id: d1, division: \"410105\"}\n" + lines
	if !strings.Contains(lines, "outbox:") {
		text += "\noutbox: {dir: " + queue + "}\n"
	}
	if !strings.Contains(lines, "desk_page:") {
		text += "desk_page: {listen: \"" + freeAddress(t) + "\"}\n"
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "QUEUE", queue)), 0o644); err != nil {
		t.Fatal(err)
	}
	return file, queue
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// diagnose runs `idtap diag --json` as its user would.
func diagnose(t *testing.T, file string, args ...string) (diagnosis.Report, int) {
	t.Helper()
	code, out, errs := executeIn(t, t.TempDir(), append([]string{"diag", "-c", file, "--json"}, args...)...)
	if out == "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	return parseReport(t, []byte(out)), code
}

func parseReport(t *testing.T, text []byte) diagnosis.Report {
	t.Helper()
	var r diagnosis.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

// beside returns what diag finds beside daemon_stopped, which comes first and is
// critical where no daemon runs, and the exit code of that.
func beside(t *testing.T, r diagnosis.Report, exit int) ([]diagnosis.Finding, int) {
	t.Helper()
	found := r.Findings()
	if r.Via == "daemon" || len(found) == 0 || found[0].Code != "daemon_stopped" {
		if r.Via != "daemon" && exit == 0 {
			t.Error("no daemon runs, and diag finds nothing")
		}
		return found, exit
	}
	if exit != 2 {
		t.Errorf("exit %d, want 2 where no daemon runs", exit)
	}
	level := diagnosis.OK
	for _, f := range found[1:] {
		if f.Level.ExitCode() > level.ExitCode() {
			level = f.Level
		}
	}
	list := append(found[0].Also, found[1:]...)
	for _, f := range found[0].Also {
		if f.Level.ExitCode() > level.ExitCode() {
			level = f.Level
		}
	}
	return list, level.ExitCode()
}

// fault is what diag has to say: one finding, who mends it, and nothing beside,
// but that no daemon runs where none does.
type fault struct {
	code    string
	who     diagnosis.Who
	exit    int
	details string // in the finding's subject or detail
}

func (f fault) check(t *testing.T, r diagnosis.Report, exit int) {
	t.Helper()
	found, exit := beside(t, r, exit)
	if len(found) != 1 || found[0].Code != f.code {
		var list []string
		for _, o := range found {
			list = append(list, fmt.Sprintf("%s %s (%s)", o.Code, o.Subject, o.Detail))
		}
		t.Fatalf("found %q, want %s alone", list, f.code)
	}
	got := found[0]
	if got.Who != f.who || exit != f.exit {
		t.Errorf("%s is the %s's, exit %d, want the %s's and %d", got.Code, got.Who, exit, f.who, f.exit)
	}
	if !strings.Contains(got.Subject+" "+got.Detail+" "+got.What.En, f.details) {
		t.Errorf("%q (%q) does not say %q", got.Subject, got.Detail, f.details)
	}
	for what, text := range map[string]diagnosis.Text{"what": got.What, "why": got.Why, "do": got.Do} {
		if text.Zh == "" || text.En == "" {
			t.Errorf("%s: %s is missing", got.Code, what)
		}
	}
	if took := time.Duration(r.Took); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestDiagHealthyDesk: a desk on which all is well prints no warning at all.
func TestDiagHealthyDesk(t *testing.T) {
	file, _ := deskFile(t, mockReader)
	r, exit := diagnose(t, file)
	if found, exit := beside(t, r, exit); len(found) != 0 || exit != 0 {
		t.Errorf("exit %d, %+v, want nothing beside that no daemon runs", exit, found)
	}
	if took := time.Duration(r.Took); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	if r.Via != "direct" || r.Version == "" {
		t.Errorf("%+v", r)
	}
	seen := map[diagnosis.Group]bool{}
	for _, result := range r.Results {
		seen[result.Group] = true
		if result.Check == "daemon" {
			continue // none runs
		}
		if result.Level == diagnosis.Warning || result.Level == diagnosis.Critical || result.Level == diagnosis.Unknown {
			t.Errorf("%s: %s", result.Check, result.Level)
		}
	}
	for _, g := range diagnosis.Groups {
		if !seen[g] {
			t.Errorf("nothing was said of %s", g)
		}
	}
}

// centralServer is a NATS server with the users admin, desk (the documented
// permissions) and mute (who may publish nothing).
func centralServer(t *testing.T) (url string, js jetstream.JetStream) {
	t.Helper()
	all := &server.SubjectPermission{Allow: []string{">"}}
	user := func(name string, publish, subscribe *server.SubjectPermission) *server.User {
		return &server.User{Username: name, Password: name + "-pw", Permissions: &server.Permissions{Publish: publish, Subscribe: subscribe}}
	}
	filter := event.Filter("410105", "d1")
	inbox := &server.SubjectPermission{Allow: []string{"_INBOX_d1.>"}}
	look := []string{"$JS.API.STREAM.INFO.REGISTRATIONS", "$JS.API.DIRECT.GET.REGISTRATIONS." + filter}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{user("admin", all, all), user("desk", &server.SubjectPermission{Allow: append(look, filter)}, inbox),
			user("mute", &server.SubjectPermission{Allow: look}, inbox)}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("admin", "admin-pw"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return s.ClientURL(), js
}

func login(t *testing.T, url, user, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("nats: {url: %q, user: %s, password_file: %s}\n", url, user, file)
}

// TestDiagBusFaults: each fault of the bus, made with a real server.
func TestDiagBusFaults(t *testing.T) {
	good := jetstream.StreamConfig{Name: "REGISTRATIONS", Subjects: []string{"idtap.v1.>"}, AllowDirect: true, Discard: jetstream.DiscardNew}
	memory, interest, narrow := good, good, good
	memory.Storage, interest.Retention, narrow.Subjects = jetstream.MemoryStorage, jetstream.InterestPolicy, []string{"idtap.v1.*.11.>"}
	for name, tt := range map[string]struct {
		stream *jetstream.StreamConfig
		nats   func(t *testing.T, url string) string
		want   fault
	}{
		"unreachable":    {nil, func(t *testing.T, _ string) string { return login(t, "nats://"+freeAddress(t), "desk", "x") }, fault{"bus_unreachable", "technician", 2, ""}},
		"wrong password": {&good, func(t *testing.T, u string) string { return login(t, u, "desk", "wrong") }, fault{"bus_auth", "administrator", 2, ""}},
		"no password": {&good, func(t *testing.T, u string) string {
			return "nats: {url: \"" + u + "\", user: desk, password_file: /nowhere}\n"
		}, fault{"bus_creds_unreadable", "technician", 2, "/nowhere"}},
		"no stream":       {nil, func(t *testing.T, u string) string { return login(t, u, "desk", "desk-pw") }, fault{"bus_no_stream", "administrator", 2, "REGISTRATIONS"}},
		"memory stream":   {&memory, func(t *testing.T, u string) string { return login(t, u, "desk", "desk-pw") }, fault{"stream_memory", "administrator", 1, ""}},
		"interest stream": {&interest, func(t *testing.T, u string) string { return login(t, u, "desk", "desk-pw") }, fault{"stream_retention", "administrator", 1, ""}},
		"others' stream":  {&narrow, func(t *testing.T, u string) string { return login(t, u, "desk", "desk-pw") }, fault{"stream_subjects", "administrator", 2, ""}},
		"may not publish": {&good, func(t *testing.T, u string) string { return login(t, u, "mute", "mute-pw") }, fault{"bus_publish_denied", "administrator", 2, "idtap.v1.*.41.4101.410105.d1.>"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, js := centralServer(t)
			if tt.stream != nil {
				if _, err := js.CreateStream(t.Context(), *tt.stream); err != nil {
					t.Fatal(err)
				}
			}
			file, _ := deskFile(t, mockReader+tt.nats(t, url))
			r, exit := diagnose(t, file)
			tt.want.check(t, r, exit)
		})
	}
}

// TestDiagStoresNothing: asking whether events would be taken leaves no message.
func TestDiagStoresNothing(t *testing.T) {
	url, js := centralServer(t)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "REGISTRATIONS", Subjects: []string{"idtap.v1.>"}, AllowDirect: true, Discard: jetstream.DiscardNew})
	if err != nil {
		t.Fatal(err)
	}
	file, _ := deskFile(t, mockReader+login(t, url, "desk", "desk-pw"))
	r, exit := diagnose(t, file)
	if found, exit := beside(t, r, exit); exit != 0 {
		t.Errorf("exit %d, %+v, want nothing beside that no daemon runs", exit, found)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.LastSeq != 0 {
		t.Errorf("%d messages were stored, %v", info.State.LastSeq, err)
	}
}

// fillQueue makes a queue with 20 events that were accepted at a time.
func fillQueue(t *testing.T, dir string, at time.Time) {
	t.Helper()
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: dir, Clock: clockwork.NewFakeClockAt(at)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for range 20 {
		if _, err := q.Accept(t.Context(), outbox.Draft{Type: event.RecordedType, Source: "/idtap/d1/front", Subject: "idtap.v1.recorded.41.4101.410105.d1._._._",
			Filter: event.Filter("410105", "d1"), Kind: "resident", Status: "clean", Body: func(outbox.Stamp) ([]byte, error) { return make([]byte, 3000), nil }}); err != nil {
			t.Fatal(err)
		}
	}
}

// damageQueue overwrites the middle of the file.
func damageQueue(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "outbox.db")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b)/2+6000; i++ {
		b[i] ^= 0x5A
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDiagQueueFaults: each fault of the queue, made with the real one.
func TestDiagQueueFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		config string
		spoil  func(t *testing.T, dir string)
		want   fault
	}{
		"old": {"", func(t *testing.T, dir string) { fillQueue(t, dir, time.Now().Add(-3*time.Hour)) }, fault{"queue_old", "technician", 1, "20 events"}},
		"damaged": {"", func(t *testing.T, dir string) {
			fillQueue(t, dir, time.Now())
			damageQueue(t, dir)
		}, fault{"queue_damaged", "technician", 2, "outbox.db"}},
		"key gone": {"", func(t *testing.T, dir string) {
			fillQueue(t, dir, time.Now())
			if err := os.Remove(filepath.Join(dir, "outbox.key")); err != nil {
				t.Fatal(err)
			}
		}, fault{"queue_key", "technician", 2, "outbox.key"}},
		"disk nearly full": {"outbox: {dir: QUEUE, max_bytes: 1048576GiB}\n", func(t *testing.T, dir string) { fillQueue(t, dir, time.Now()) },
			fault{"disk_low", "technician", 1, "MiB free"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, queue := deskFile(t, mockReader+tt.config)
			tt.spoil(t, queue)
			r, exit := diagnose(t, file)
			tt.want.check(t, r, exit)
		})
	}
}

// TestDiagFoldsTheQueueIntoTheBus: a queue that grows old because the server is
// away is told once.
func TestDiagFoldsTheQueueIntoTheBus(t *testing.T) {
	file, queue := deskFile(t, mockReader+login(t, "nats://"+freeAddress(t), "desk", "x"))
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: queue, Clock: clockwork.NewFakeClockAt(time.Now().Add(-time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Accept(t.Context(), outbox.Draft{Type: event.RecordedType, Source: "/idtap/d1/front", Subject: "idtap.v1.recorded._._._.d1._._._",
		Filter: "idtap.v1.*._._._.d1.>", Body: func(outbox.Stamp) ([]byte, error) { return []byte("{}"), nil }}); err != nil {
		t.Fatal(err)
	}
	q.Close()
	r, exit := diagnose(t, file)
	fault{"bus_unreachable", "technician", 2, ""}.check(t, r, exit)
	found, _ := beside(t, r, exit)
	if also := found[0].Also; len(also) != 1 || also[0].Code != "queue_old" {
		t.Errorf("%+v", also)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDiagWarnsOfTheConfiguration: what run warns of, diag warns of.
func TestDiagWarnsOfTheConfiguration(t *testing.T) {
	file, _ := deskFile(t, mockReader)
	writeFile(t, file, mockReader+"desk_page: {listen: \"\"}\noutbox: {dir: "+t.TempDir()+"}\n")
	r, exit := diagnose(t, file)
	fault{"config_warning", "technician", 1, "division"}.check(t, r, exit)
}

// TestDiagWrongUse: exit code 3 and a word on stderr.
func TestDiagWrongUse(t *testing.T) {
	file, _ := deskFile(t, mockReader)
	for name, args := range map[string][]string{
		"flag":      {"diag", "--no-such"},
		"argument":  {"diag", "front"},
		"language":  {"diag", "--lang", "fr"},
		"config":    {"diag", "-c", "/nowhere.yaml"},
		"two modes": {"diag", "--watch", "--tap"},
		"personal":  {"diag", "--with-personal-data"},
		"reader":    {"diag", "-c", file, "--reader", "back"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := executeIn(t, t.TempDir(), args...)
			if code != diagUnknown || out != "" || errs == "" {
				t.Errorf("%d, %q, %q", code, out, errs)
			}
		})
	}
}

// TestDiagSpeaks: both languages, plain where nobody watches.
func TestDiagSpeaks(t *testing.T) {
	file, _ := deskFile(t, "readers: [{name: front, driver: serial, port: /dev/no-such-port}]\n")
	for lang, words := range map[string][]string{"en": {"what", "why", "who", "clerk", "critical"}, "zh": {"现象", "原因", "由谁", "窗口人员", "严重"}} {
		code, out, _ := executeIn(t, t.TempDir(), "diag", "-c", file, "--lang", lang)
		for _, w := range append(words, "port_missing", "/dev/no-such-port") {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is missing in\n%s", lang, w, out)
			}
		}
		if code != 2 || strings.Contains(out, "\x1b") {
			t.Errorf("%s: exit %d\n%s", lang, code, out)
		}
	}
}

// TestDiagPrintsForTerminals: aligned, with colours.
func TestDiagPrintsForTerminals(t *testing.T) {
	var b strings.Builder
	p := sheetPrinter{w: &b, lang: "zh", terminal: true}
	p.print(diagnosis.Report{Level: diagnosis.Critical, Results: []diagnosis.Result{{Check: "queue", Group: diagnosis.Queue, Level: diagnosis.Critical,
		Findings: []diagnosis.Finding{diagnosis.NewFinding(outbox.DiskFull, "", "3 MiB")}}}})
	if out := b.String(); !strings.Contains(out, "队列     queue") || !strings.Contains(out, "\x1b[31m✗") {
		t.Errorf("%q", out)
	}
}

// TestDiagTestTap: measured, judged, and nothing of the card but its kind.
func TestDiagTestTap(t *testing.T) {
	file, _ := deskFile(t, "readers: [{name: front, driver: mock, port: \"seed:5\"}]\n")
	r, exit := diagnose(t, file, "--tap")
	facts := map[string]string{}
	for _, result := range r.Results {
		if result.Check == "test-tap" {
			for _, f := range result.Facts {
				facts[f.What.En] = f.Value
			}
		}
	}
	_, exit = beside(t, r, exit)
	if exit != 0 || facts["verdict"] != "ok" || facts["find"] == "" || facts["select"] == "" || !strings.Contains(facts["read text and photo"], "wire 113 ms") {
		t.Errorf("exit %d, %v, %+v", exit, facts, r.Findings())
	}
	impersonal(t, fmt.Sprintf("%+v", r), simcard.Generate(5, 50))
}

// impersonal fails if text holds anything that one of the cards carries.
func impersonal(t *testing.T, text string, cards []simcard.Card) {
	t.Helper()
	for i, c := range cards {
		for _, s := range append([]string{c.Name, c.NameEn, c.Number, c.Address}, c.Appended...) {
			if len(s) > 3 && strings.Contains(text, s) {
				t.Errorf("card %d shows", i)
			}
		}
	}
}
