package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"idtap/driver/simcard"
	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/reader"
)

// monitored is a daemon with a page and a server that listens, and a card read.
func monitored(t *testing.T) *running {
	t.Helper()
	d := runDesk(t, "readers: [{name: front, driver: mock, port: \"seed:5\"}]\nnats: {embedded: {listen: \"127.0.0.1:0\"}}\ndesk_page: {listen: \"127.0.0.1:0\"}\n")
	if tap := <-d.taps; tap.Outcome != publisher.Accepted {
		t.Fatalf("the first tap is %s, want accepted", tap.Outcome)
	}
	return d
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestMetrics: Prometheus' own linter takes them, docs/alerts.yaml uses none
// that is not there, and nothing personal is in them.
func TestMetrics(t *testing.T) {
	page := monitored(t).at.Page
	code, text := fetch(t, page+"metrics")
	if code != http.StatusOK {
		t.Fatal(code, text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, line := range []string{`idtap_reader_up{reader="front"} 1`, `idtap_bus_local 1`, `idtap_queue_full 0`, `idtap_taps_total{outcome="full"} 0`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing in\n%s", line, text)
		}
	}
	impersonal(t, text, simcard.Generate(5, 50))

	rules, err := os.ReadFile("../../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Remedy string }
			}
		}
	}
	if err := yaml.Unmarshal(rules, &parsed); err != nil {
		t.Fatal(err)
	}
	// Only some of these are there without certificates, or without a problem.
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range parsed.Groups[0].Rules {
		if r.Alert == "" || r.Annotations.Summary == "" || r.Annotations.Remedy == "" {
			t.Errorf("%+v", r)
		}
		for _, name := range regexp.MustCompile(`idtap_([a-z_]+)`).FindAllStringSubmatch(r.Expr, -1) {
			if metric := strings.TrimSuffix(name[1], "_bucket"); !strings.Contains(string(source), `"`+metric+`"`) && !strings.Contains(string(source), `"idtap_`+metric+`"`) {
				t.Errorf("%s: there is no idtap_%s", r.Alert, metric)
			}
		}
	}
}

// TestProbes: alive and ready while a tap would count.
func TestProbes(t *testing.T) {
	page := monitored(t).at.Page
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := fetch(t, page+path[1:]); code != http.StatusOK || !strings.Contains(text, `"ok"`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// TestNotReadyWithoutAReader: alive, but a tap would not count.
func TestNotReadyWithoutAReader(t *testing.T) {
	d := runDesk(t, "readers: [{name: front, driver: serial, port: /dev/no-such-port}]\ndesk_page: {listen: \"127.0.0.1:0\"}\n")
	for s := range d.states {
		if s.Phase == reader.Away {
			break
		}
	}
	if code, text := fetch(t, d.at.Page+"healthz"); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if code, text := fetch(t, d.at.Page+"readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "reader_none") {
		t.Errorf("%d %s", code, text)
	}
}

// TestMicroService: what `nats micro` asks is answered, without anything of the
// cards that were read.
func TestMicroService(t *testing.T) {
	d := monitored(t)
	runtime, err := ReadRuntime(d.runtimeFile)

	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(runtime.URL, nats.UserInfo(runtime.User, runtime.Password))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ask := func(subject string, into any) {
		t.Helper()
		m, err := nc.Request(subject, nil, 5*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		if err := json.Unmarshal(m.Data, into); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		impersonal(t, string(m.Data), simcard.Generate(5, 50))
	}
	var ping micro.Ping
	ask("$SRV.PING", &ping)
	ask("$SRV.PING.idtap", &ping)
	if ping.Name != "idtap" || ping.Metadata["desk"] != "d1" {
		t.Errorf("%+v", ping)
	}
	var info micro.Info
	ask("$SRV.INFO.idtap", &info)
	if len(info.Endpoints) != 3 {
		t.Errorf("%+v", info.Endpoints)
	}
	var stats micro.Stats
	ask("$SRV.STATS.idtap", &stats)
	if len(stats.Endpoints) != 3 || !strings.Contains(string(stats.Endpoints[0].Data), `"accepted":`) {
		t.Errorf("%+v", stats)
	}
	var readers []readerHealth
	ask(bus.ServiceSubject("410105", "d1", "readers"), &readers)
	if len(readers) != 1 || readers[0].Reader != "front" || readers[0].State != "ready" || readers[0].SAM == "" || readers[0].Since.IsZero() {
		t.Errorf("%+v", readers)
	}
	var desk deskStats
	ask(bus.ServiceSubject("410105", "d1", "stats"), &desk)
	if desk.Taps["accepted"] == 0 || !desk.Bus.Local {
		t.Errorf("%+v", desk)
	}
	var report struct {
		Level, Via string
		Results    []struct{ Check string }
	}
	ask(bus.ServiceSubject("410105", "d1", "diag"), &report)
	if report.Level != "ok" || report.Via != "daemon" || len(report.Results) == 0 {
		t.Errorf("%s", fmt.Sprint(report))
	}
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
