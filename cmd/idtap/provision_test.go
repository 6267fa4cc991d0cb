package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/publisher/bus"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// Two hundred desks in one command: a bundle and a permission set each, which let
// each desk publish in its own place only. Nothing is written if one is wrong.
func TestProvision(t *testing.T) {
	dir := t.TempDir()
	table, fleet := filepath.Join(dir, "desks.csv"), filepath.Join(dir, "fleet.yaml")
	var rows strings.Builder
	rows.WriteString("id,name,division,driver,port,system\n")
	for i := range 200 {
		fmt.Fprintf(&rows, "desk-%03d,服务台 %d,%s,serial,%s,%s\n", i, i, []string{"410105", "620402"}[i%2], []string{"/dev/ttyUSB0", "COM3"}[i%2], []string{"linux", "windows"}[i%2])
	}
	for path, content := range map[string]string{table: rows.String(), fleet: "nats: {url: tls://bus.example.cn:4222, stream: TOWN}\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "bundles")
	code, said, errs := executeIn(t, dir, "provision", "--desks", table, "--fleet", fleet, "--out", out)
	if code != exitOK || !strings.Contains(said, "200 desks") {
		t.Fatalf("exit %d: %s%s", code, said, errs)
	}
	bundles, err := filepath.Glob(filepath.Join(out, "*.zip"))
	if err != nil || len(bundles) != 200 {
		t.Errorf("%d bundles, %v", len(bundles), err)
	}
	raw, err := os.ReadFile(filepath.Join(out, "permissions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Desks []struct {
			ID          string
			Permissions bus.Permissions
		}
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list.Desks) != 200 {
		t.Fatalf("%d permission sets, %v", len(list.Desks), err)
	}
	if p := list.Desks[1].Permissions.Publish; !strings.Contains(strings.Join(p, " "), "idtap.v1.*."+event.DeskTokens("620402", "desk-001")+".>") || !strings.Contains(strings.Join(p, " "), "$JS.API.") {
		t.Errorf("desk-001 may publish %q", p)
	}
	users, err := os.ReadFile(filepath.Join(out, "users.sh"))
	if err != nil || strings.Count(string(users), "nsc add user") != 200 || !strings.Contains(string(users), "--tag province:62 --tag prefecture:6204 --tag county:620402") {
		t.Errorf("users.sh: %v", err)
	}

	rows.WriteString("desk-007,again,410105,,,\n")
	if err := os.WriteFile(table, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(dir, "second")
	code, _, errs = executeIn(t, dir, "provision", "--desks", table, "--fleet", fleet, "--out", out, "--lang", "zh")
	if _, err := os.Stat(out); code != exitUsage || !strings.Contains(errs, "desk-007") || !os.IsNotExist(err) {
		t.Errorf("a double id: exit %d, %s, folder %v", code, errs, err)
	}
}

// applied runs provision apply on a desk whose package keeps its settings in dir.
func applied(t *testing.T, dir, bundle string) (code int, said string, restarts int) {
	t.Helper()
	var out strings.Builder
	a := &app{out: &out, err: &out, packaged: filepath.Join(dir, "idtap.yaml"), getenv: func(string) string { return "" }, environ: func() []string { return nil },
		restart: func(context.Context) error { restarts++; return nil }}
	code = a.execute(t.Context(), []string{"provision", "apply", bundle})
	return code, out.String(), restarts
}

func TestProvisionApply(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "desks.csv")
	if err := os.WriteFile(table, []byte("id,division,driver,port\na,410105,tcp,\"127.0.0.1:1\"\nb,410105,,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bundles := filepath.Join(dir, "bundles")
	if code, _, errs := executeIn(t, dir, "provision", "--desks", table, "--out", bundles); code != exitOK {
		t.Fatal(errs)
	}
	etc, state := filepath.Join(dir, "etc"), filepath.Join(dir, "state")
	if err := os.Mkdir(etc, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(etc, "idtap.yaml"), []byte("outbox: {dir: "+state+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, said, restarts := applied(t, etc, filepath.Join(bundles, "a.zip"))
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; restarts != 1 || !strings.HasPrefix(last, ">>> a | ") || len(last) > 70 {
		t.Errorf("%d restarts, last line %q", restarts, last)
	}
	if b, err := os.ReadFile(filepath.Join(etc, "conf.d", "50-desk.yaml")); err != nil || !strings.Contains(string(b), `"127.0.0.1:1"`) {
		t.Errorf("settings %q, %v", b, err)
	}

	// A queue with records is another desk's: a clone, or a desk renamed too early.
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	_, err = q.Accept(t.Context(), outbox.Draft{Type: event.RecordedType, Source: "/idtap/a/front", Subject: "idtap.v1.recorded._._._.a._._._",
		Filter: event.Filter("410105", "a"), Kind: "resident", Status: "clean", Body: func(outbox.Stamp) ([]byte, error) { return []byte("{}"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	code, said, restarts := applied(t, etc, filepath.Join(bundles, "b.zip"))
	if code != exitFailed || restarts != 0 || !strings.Contains(said, "the queue here is of desk a and holds 1 records") {
		t.Errorf("another desk's bundle: exit %d, %d restarts, %s", code, restarts, said)
	}
	if b, err := os.ReadFile(filepath.Join(etc, "conf.d", "50-desk.yaml")); err != nil || strings.Contains(string(b), `"b"`) {
		t.Errorf("settings were written: %q, %v", b, err)
	}
	if code, _, restarts := applied(t, etc, filepath.Join(bundles, "a.zip")); code == exitUsage || restarts != 1 {
		t.Errorf("the same desk's bundle again: exit %d, %d restarts", code, restarts)
	}
	if code, said, _ := applied(t, etc, table); code != exitUsage || !strings.Contains(said, "not a file made by idtap provision") {
		t.Errorf("no bundle: exit %d, %s", code, said)
	}
}
