package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/publisher/bus"
)

// TestRuntimeFile: a secret that comes back as it was and is printed by no verb.
func TestRuntimeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "runtime.json")
	want := Runtime{PID: 7, Access: bus.Access{URL: "nats://127.0.0.1:4222", User: "desk", Password: "secret", Stream: "REGISTRATIONS"}, Page: "http://127.0.0.1:7643/"}
	if err := WriteRuntime(path, want); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v, want 0600", info.Mode(), err)
	}
	got, err := ReadRuntime(path)
	if err != nil || got != want {
		t.Errorf("ReadRuntime = %v, %v, want what was written", got, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s %v", got, got, got, got, got.Access); strings.Contains(text, want.Password) {
		t.Errorf("the password shows in %q", text)
	}
}

func TestRuntimeFileErrorsDoNotRepeatIt(t *testing.T) {
	if _, err := ReadRuntime(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadRuntime of no file = %v, want fs.ErrNotExist", err)
	}
	path := filepath.Join(t.TempDir(), "r")
	writeFile(t, path, `{"password":"secret"`)
	if _, err := ReadRuntime(path); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("ReadRuntime of half a file = %v, want an error without what is in it", err)
	}
}
