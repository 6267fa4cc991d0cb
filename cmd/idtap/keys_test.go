package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/publisher/event"
)

// execute runs one command line of a person in dir and gives what it printed.
func executeIn(t *testing.T, dir string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	a := &app{in: strings.NewReader(""), out: &o, err: &e, environ: func() []string { return nil },
		getenv: func(k string) string { return map[string]string{"HOME": dir, "LANG": "en_US.UTF-8"}[k] }}
	code = a.execute(context.Background(), args)
	return code, o.String(), e.String()
}

func TestKeysGenerateAndShow(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "gansu")
	code, out, errs := executeIn(t, dir, "keys", "generate", name)
	if code != exitOK || errs != "" {
		t.Fatalf("%d %s", code, errs)
	}
	for file, mode := range map[string]os.FileMode{name + ".key": 0o600, name + ".pub": 0o644} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	text, err := os.ReadFile(name + ".key")
	if err != nil {
		t.Fatal(err)
	}
	key, err := event.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(name + ".pub"); err != nil {
		t.Fatal(err)
	}
	if public, err := event.ParsePublicKey(text); err != nil || public.KeyID() != key.KeyID() {
		t.Fatalf("%s.pub is key %v (%v), want %s", name, public, err, key.KeyID())
	}
	if text, err = os.ReadFile(name + ".key"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, key.KeyID()) {
		t.Errorf("the key id is not said: %s", out)
	}
	for file, what := range map[string]string{".key": "private key", ".pub": "public key"} {
		code, out, errs := executeIn(t, dir, "keys", "show", name+file)
		if code != exitOK || errs != "" || !strings.Contains(out, what) || strings.Count(out, key.KeyID()) != 2 {
			t.Errorf("show %s: %d\n%s%s", file, code, out, errs)
		}
		if d := strings.Split(string(text), `"d":"`); strings.Contains(out, d[1][:20]) {
			t.Error("show prints the private key")
		}
	}
	// Never overwritten, whichever half is there, and no half left behind.
	code, _, errs = executeIn(t, dir, "keys", "generate", name)
	if code != exitFailed || !strings.Contains(errs, "never overwritten") {
		t.Errorf("again: %d %s", code, errs)
	}
	if err := os.Remove(name + ".key"); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := executeIn(t, dir, "keys", "generate", name); code != exitFailed {
		t.Errorf("over a public file alone: %d", code)
	}
	if _, err := os.Stat(name + ".key"); err == nil {
		t.Error("half a pair was left behind")
	}
}

func TestKeysShowComplains(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte(`{"kty":"EC","d":"secret"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := executeIn(t, dir, "keys", "show", bad)
	if code != exitFailed || out != "" || !strings.Contains(errs, bad) || strings.Contains(errs, "secret") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if code, _, _ := executeIn(t, dir, "keys", "show"); code != exitUsage {
		t.Errorf("without a file: %d", code)
	}
	if code, _, _ := executeIn(t, dir, "keys", "show", filepath.Join(dir, "none")); code != exitFailed {
		t.Errorf("a file that is not there: %d", code)
	}
	name := filepath.Join(dir, "open")
	executeIn(t, dir, "keys", "generate", name)
	if err := os.Chmod(name+".key", 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := executeIn(t, dir, "keys", "show", name+".key"); code != exitOK || !strings.Contains(errs, "chmod 600") {
		t.Errorf("a private key that others read: %d %q", code, errs)
	}
}
