package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"idtap/driver/diagnosis"
	"idtap/publisher/bus"
)

// pretend answers on the bus as a desk does.
func pretend(t *testing.T, url, desk, division, version string, stats any, diag *diagnosis.Report) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	svc, err := micro.AddService(nc, micro.Config{Name: bus.ServiceName, Version: version, Metadata: map[string]string{"desk": desk, "division": division},
		StatsHandler: func(*micro.Endpoint) any { return stats }, QueueGroupDisabled: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stats", "diag"} {
		answer := micro.HandlerFunc(func(r micro.Request) {
			if name == "diag" && diag != nil {
				r.RespondJSON(diag)
			}
		})
		if err := svc.AddEndpoint(name, answer, micro.WithEndpointSubject(bus.ServiceSubject(division, desk, name))); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestFleet(t *testing.T) {
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	url := s.ClientURL()
	healthy := &diagnosis.Report{Level: diagnosis.OK}
	broken := &diagnosis.Report{Level: diagnosis.Critical, Results: []diagnosis.Result{{Findings: []diagnosis.Finding{
		{Entry: diagnosis.Entry{Code: "reader_away", Level: diagnosis.Critical}}}}}}
	pretend(t, url, "a", "410105", "1.2.0", map[string]any{"waiting": 3, "oldest": "2026-11-20T08:00:00+08:00", "last_tap": "2026-11-21T09:30:00+08:00"}, healthy)
	pretend(t, url, "b", "410105", "1.1.0", map[string]any{"waiting": 0}, broken)
	pretend(t, url, "c", "410105", "1.2.0", nil, healthy)
	pretend(t, url, "c", "410105", "1.2.0", nil, healthy)
	pretend(t, url, "z", "620402", "0.9.0", nil, healthy)
	dir := t.TempDir()
	table := filepath.Join(dir, "desks.csv")
	if err := os.WriteFile(table, []byte("id,name,division\na,甲,410105\nb,乙,410105\nc,,410105\nd,丁,410105\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fleet := func(args ...string) (int, string, string) {
		return executeIn(t, dir, append([]string{"fleet", "--desks", table, "--server", url, "--wait", "1s"}, args...)...)
	}
	code, out, errs := fleet("--format", "json")
	var list []fleetDesk
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitFailed {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	var states []string
	for _, d := range list {
		states = append(states, d.Desk+" "+d.State)
	}
	if want := []string{"a present", "b present", "c double", "d absent", "z unlisted"}; !slices.Equal(states, want) {
		t.Errorf("states %q, want %q", states, want)
	}
	if a := list[0]; a.Version != "1.2.0" || a.Waiting != 3 || a.Oldest == nil || a.LastTap == nil || len(a.Findings) != 0 {
		t.Errorf("desk a: %+v", a)
	}
	if b := list[1]; !slices.Equal(b.Findings, []string{"reader_away"}) {
		t.Errorf("desk b: findings %q", b.Findings)
	}
	_, out, _ = fleet("--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 6 || rows[0][6] != "last_tap" || rows[4][2] != "absent" {
		t.Errorf("csv %q, %v", rows, err)
	}
	_, out, _ = fleet("--lang", "zh")
	if !strings.Contains(out, "最近刷卡") || !strings.Contains(out, "丁") {
		t.Errorf("table:\n%s", out)
	}
	if err := os.WriteFile(table, []byte("id,division\na,410105\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := fleet(); code != exitOK {
		t.Errorf("every listed desk is well: exit %d\n%s%s", code, out, errs)
	}
	if code, _, _ := fleet("--format", "xml"); code != exitUsage {
		t.Errorf("--format xml: exit %d", code)
	}
}
