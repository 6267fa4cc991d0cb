package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus"
	"idtap/publisher/bus/faulttest"
)

// runBus executes one command line as a user would.
func runBus(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &o, err: &e, getenv: func(string) string { return "" }, environ: func() []string { return nil }}
	code = a.execute(t.Context(), append([]string{"--lang", "en", "bus"}, args...))
	return code, o.String(), e.String()
}

func deskConfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "idtap.yaml")
	if err := os.WriteFile(path, []byte("desk: {id: d1, division: \"410105\"}\noutbox: {dir: /nowhere}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBusInitAndCheck(t *testing.T) {
	c, err := faulttest.NewCluster(t.TempDir(), 1, func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "secret"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := deskConfig(t)
	admin := []string{"-c", config, "--server", c.URL(), "--user", "admin", "--password-file", password}
	with := func(verb string, more ...string) []string { return append(append([]string{verb}, admin...), more...) }

	if code, _, errs := runBus(t, with("check")...); code != exitFailed || !strings.Contains(errs, string(bus.NoStream)) {
		t.Fatalf("without a stream: %d %s", code, errs)
	}
	if code, out, errs := runBus(t, with("init", "--create", "--max-age", "8760h", "--max-bytes", "1GiB")...); code != exitOK || !strings.Contains(out, "REGISTRATIONS") {
		t.Fatalf("create: %d %s", code, errs)
	}
	if code, _, errs := runBus(t, with("init", "--create", "--max-age", "forever")...); code != exitFailed || !strings.Contains(errs, "exists") {
		t.Fatalf("create again: %d %s", code, errs)
	}
	if code, out, errs := runBus(t, with("check")...); code != exitOK || !strings.Contains(out, "ok: ") {
		t.Fatalf("check: %d %s %s", code, out, errs)
	}
	code, out, _ := runBus(t, with("check", "--replicas", "3", "--json")...)
	var found bus.Inspection
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != exitFailed || len(found.Problems) != 1 || found.Problems[0].Code != bus.StreamReplicas {
		t.Fatalf("check for three replicas: %d %v %+v", code, err, found)
	}
	if code, out, _ := runBus(t, with("check", "--replicas", "3")...); code != exitFailed || !strings.Contains(out, "stream_replicas: ") {
		t.Fatalf("check in words: %d %s", code, out)
	}
	if code, _, errs := runBus(t, "check", "-c", config); code != exitUsage {
		t.Fatalf("no server: %d %s", code, errs)
	}
	if code, _, errs := runBus(t, "check", "-c", config, "--server", "nats://registry.example:4222"); code != exitUsage {
		t.Fatalf("plaintext: %d %s", code, errs)
	}
	if code, _, errs := runBus(t, "check", "-c", config, "--server", c.URL(), "--user", "admin"); code != exitFailed {
		t.Fatalf("wrong login: %d %s", code, errs)
	}
}

func TestBusInitPrints(t *testing.T) {
	config := deskConfig(t)
	if code, _, errs := runBus(t, "init", "-c", config); code != exitUsage || !strings.Contains(errs, "--max-age") {
		t.Errorf("init without --max-age = %d, %s; want a usage error that names it", code, errs)
	}
	code, out, errs := runBus(t, "init", "-c", config, "--replicas", "3", "--max-age", "1h")
	var stream jetstream.StreamConfig
	if err := json.Unmarshal([]byte(out), &stream); err != nil || code != exitOK {
		t.Fatalf("%d %v %s", code, err, errs)
	}
	if stream.Name != "REGISTRATIONS" || stream.Replicas != 3 || stream.Discard != jetstream.DiscardNew || stream.Duplicates != stream.MaxAge || !stream.AllowDirect {
		t.Fatalf("%+v", stream)
	}
	_, out, _ = runBus(t, "init", "-c", config, "--permissions")
	if !strings.Contains(out, `"$JS.API.DIRECT.GET.REGISTRATIONS.idtap.v1.*.41.4101.410105.d1.>"`) {
		t.Fatal(out)
	}
	_, out, _ = runBus(t, "init", "-c", config, "--template")
	if !strings.Contains(out, `"idtap.v1.*.{{tag(province)}}.{{tag(prefecture)}}.{{tag(county)}}.{{name()}}.>"`) {
		t.Fatal(out)
	}
	code, out, errs = runBus(t, "init", "-c", config, "--accounts", "--registry", "jinshui-wjw")
	file := filepath.Join(t.TempDir(), "accounts.conf")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil || code != exitOK || !strings.Contains(errs, "jinshui-wjw") {
		t.Fatalf("init --accounts = %d, %s; want a file, and the passwords beside it", code, errs)
	}
	if code, out, errs := runBus(t, "check", "-c", config, "--accounts", file); code != exitOK {
		t.Errorf("check --accounts of what init prints = %d, %s %s; want 0", code, out, errs)
	}
	if err := os.WriteFile(file, []byte("accounts { A { jetstream: enabled } }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runBus(t, "check", "-c", config, "--accounts", file); code != exitFailed || !strings.Contains(out, "accounts_missing") {
		t.Errorf("check --accounts of one account = %d, %s; want 1 and accounts_missing", code, out)
	}
	if _, out, _ := runBus(t, "init", "-c", config, "--accounts", "--nsc"); !strings.Contains(out, "nsc add import --account IDTAP_DESKS") {
		t.Errorf("--nsc prints %s", out)
	}
	if code, _, _ := runBus(t, "init", "-c", config, "--max-age", "soon"); code != exitUsage {
		t.Fatalf("--max-age soon: %d", code)
	}
	if code, _, _ := runBus(t, "init", "-c", config, "--create", "--template"); code != exitUsage {
		t.Fatalf("two at once: %d", code)
	}
}
