package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"idtap/publisher/event"
)

// pair makes an nkey; its seed is in the file.
func pair(t *testing.T, make func() (nkeys.KeyPair, error), file string) (kp nkeys.KeyPair, public string) {
	t.Helper()
	kp, err := make()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := kp.Seed()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = kp.PublicKey(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, string(seed)+"\n")
	return kp, public
}

// credentials writes NAME.creds and NAME.jwt of a user of an account.
func credentials(t *testing.T, dir, name string, account nkeys.KeyPair) (public string) {
	t.Helper()
	kp, public := pair(t, nkeys.CreateUser, filepath.Join(dir, name+".seed"))
	claims := jwt.NewUserClaims(public)
	claims.Name = name
	token, err := claims.Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := kp.Seed()
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, name+".creds"), string(creds))
	writeFile(t, filepath.Join(dir, name+".jwt"), token)
	return public
}

func TestBusTrust(t *testing.T) {
	dir := t.TempDir()
	admin, list := filepath.Join(dir, "admin.nk"), filepath.Join(dir, "desks.trust")
	account, by := pair(t, nkeys.CreateAccount, admin)
	d1, d2 := credentials(t, dir, "desk-1", account), credentials(t, dir, "desk-2", account)
	_, d3 := pair(t, nkeys.CreateUser, filepath.Join(dir, "desk-3.nk"))
	writeFile(t, filepath.Join(dir, "desk-3.pub"), d3+"\n")
	run := func(want int, args ...string) string {
		t.Helper()
		code, out, errs := executeIn(t, dir, append([]string{"bus", "trust"}, args...)...)
		if code != want {
			t.Fatalf("bus trust %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
		return out + errs
	}
	run(exitOK, "add", list, filepath.Join(dir, "desk-1.creds"), filepath.Join(dir, "desk-2.jwt"), "--key", admin)
	run(exitOK, "add", list, filepath.Join(dir, "desk-3.pub"), "--desk", "desk-3", "--from", "2026-11-01", "--key", admin)
	run(exitOK, "add", list, d2, "--desk", "desk-1", "--from", "2026-11-02T09:00:00Z", "--to", "2026-12-01", "--key", admin)
	out := run(exitOK, "list", list, "--by", by)
	for _, want := range []string{
		fmt.Sprintf("%-40s  %s  2026-11-02T09:00:00Z  2026-12-01T00:00:00Z", "desk-1", d2),
		fmt.Sprintf("%-40s  %s  2026-11-01T00:00:00Z  -", "desk-3", d3),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("list = %s\nwant %s", out, want)
		}
	}
	if out := run(exitOK, "verify", list, "--by", by); !strings.Contains(out, "3 desks, 4 keys") {
		t.Errorf("verify = %s, want 3 desks, 4 keys", out)
	}
	run(exitOK, "end", list, d1, "--at", "2099-01-01", "--key", admin)
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := event.ParseTrust(text, by)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range trust.Keys() {
		if k.Key == d1 && (k.Desk != "desk-1" || time.Since(k.From) > time.Minute || k.To.Year() != 2099) {
			t.Errorf("key of desk-1 = %+v, want it from its issue until 2099", k)
		}
	}

	// What is refused changes nothing.
	_, other := pair(t, nkeys.CreateUser, filepath.Join(dir, "other.nk"))
	for name, args := range map[string][]string{
		"no key":               {"add", list, d3, "--desk", "x"},
		"a key twice":          {"add", list, d3, "--desk", "desk-3", "--key", admin},
		"no desk":              {"add", list, d3, "--key", admin},
		"no such file":         {"add", list, filepath.Join(dir, "none"), "--desk", "x", "--key", admin},
		"a seed":               {"add", list, filepath.Join(dir, "desk-3.nk"), "--desk", "x", "--key", admin},
		"an account's key":     {"add", list, by, "--desk", "x", "--key", admin},
		"a date":               {"add", list, d1, "--desk", "x", "--from", "yesterday", "--key", admin},
		"reversed":             {"add", list, d1, "--desk", "x", "--from", "2026-12-02", "--to", "2026-12-01", "--key", admin},
		"another's signature":  {"add", list, d1, "--desk", "x", "--key", filepath.Join(dir, "other.nk")},
		"end of an absent one": {"end", list, other, "--key", admin},
		"end of no list":       {"end", filepath.Join(dir, "none"), d1, "--key", admin},
		"verify of another":    {"verify", list, "--by", other},
		"verify of nobody":     {"verify", list},
	} {
		if code, out, _ := executeIn(t, dir, append([]string{"bus", "trust"}, args...)...); code == exitOK {
			t.Errorf("%s: exit 0, want a refusal: %s", name, out)
		}
		if again, err := os.ReadFile(list); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s: the list changed (%v)", name, err)
		}
	}
	writeFile(t, list, strings.Replace(string(text), "desk-3", "desk-4", 1))
	if out := run(exitFailed, "list", list); !strings.Contains(out, "changed after it was signed") {
		t.Errorf("list of a changed list = %s, want it refused", out)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".trust-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestKeysGenerateSigning(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "desk")
	code, out, errs := executeIn(t, dir, "keys", "generate", "--signing", name)
	if code != exitOK {
		t.Fatal(errs)
	}
	text, err := os.ReadFile(name + ".nk")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := event.ParseSigner(text)
	if err != nil || !strings.Contains(out, signer.Public()) || strings.Contains(out, strings.TrimSpace(string(text))) {
		t.Errorf("generate = %s, %v, want it to say the public key only", out, err)
	}
	if info, err := os.Stat(name + ".nk"); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if code, out, errs = executeIn(t, dir, "keys", "show", name+".nk"); code != exitOK || !strings.Contains(out, signer.Public()) {
		t.Errorf("show = %d %s%s, want %s", code, out, errs, signer.Public())
	}
	if code, _, _ = executeIn(t, dir, "keys", "generate", "--signing", name); code == exitOK {
		t.Error("generate over an existing key: exit 0, want a refusal")
	}
}

// tail says of each event whether its desk signed it.
func TestTailVerifies(t *testing.T) {
	s := natsServer(t, true, -1)
	js := withStream(t, s)
	dir := t.TempDir()
	admin, list := filepath.Join(dir, "admin.nk"), filepath.Join(dir, "desks.trust")
	_, by := pair(t, nkeys.CreateUser, admin)
	_, public := pair(t, nkeys.CreateUser, filepath.Join(dir, "desk.nk"))
	pair(t, nkeys.CreateUser, filepath.Join(dir, "rogue.nk"))
	if code, _, errs := executeIn(t, dir, "bus", "trust", "add", list, public, "--desk", "jinshui-wenhualu-03", "--from", "2026-11-01", "--key", admin); code != exitOK {
		t.Fatal(errs)
	}
	signer := func(name string) event.Signer {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s, err := event.ParseSigner(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	server := as(s, "admin:a")
	with, _ := startTail(t, "--server", server, "--trust", list, "--trust-by", by)
	without, _ := startTail(t, "--server", server)
	whole, notes := startTail(t, "--server", server, "--json", "--trust", list, "--trust-by", by)
	for i, c := range []struct {
		sign, change   string
		trusted, plain string
	}{
		{"desk.nk", "", "", "[signer not checked]"},
		{"", "", "[not signed]", "[not signed]"},
		{"rogue.nk", "", "[wrong signature: the list does not name the signer for this desk then]", "[signer not checked]"},
		{"desk.nk", " ", "[wrong signature: the event was changed]", "[wrong signature: the event was changed]"},
	} {
		env, data := registration(t, uint64(i+1))
		if c.sign != "" {
			env = signer(c.sign).Sign(env, data)
		}
		publish(t, js, env, append(data, c.change...))
		line := with.next(t)
		if got := strings.Contains(line, "["); got != (c.trusted != "") || !strings.HasSuffix(strings.TrimSpace(line), c.trusted) {
			t.Errorf("event %d with --trust: %s, want it to end in %q", i+1, line, c.trusted)
		}
		if line := without.next(t); !strings.HasSuffix(strings.TrimSpace(line), c.plain) {
			t.Errorf("event %d without: %s, want it to end in %q", i+1, line, c.plain)
		}
		if line := whole.next(t); strings.Contains(line, `"signer"`) != (c.sign != "") {
			t.Errorf("event %d as JSON: %s, want a signer: %v", i+1, line, c.sign != "")
		}
		if c.trusted == "" {
			continue
		}
		if line := notes.next(t); !strings.Contains(line, env.ID+": "+strings.Trim(c.trusted, "[]")) {
			t.Errorf("note on event %d: %s, want %s", i+1, line, c.trusted)
		}
	}
	for _, args := range [][]string{{"--trust", list}, {"--trust-by", by}, {"--trust", list, "--trust-by", public}, {"--trust", admin, "--trust-by", by}} {
		if code, _, errs := executeIn(t, dir, append([]string{"tail", "--server", server}, args...)...); code != exitUsage {
			t.Errorf("tail %v: exit %d, want %d: %s", args, code, exitUsage, errs)
		}
	}
}
