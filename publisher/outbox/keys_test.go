package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"idtap/publisher/outbox/journal"
)

// keyLine is a line of a key file.
func keyLine(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if _, err := journal.AddKey(file, testStart); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeyRotation(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	q := openTest(t, o)
	first := accept(t, q, draft(0))
	ref, store := string(q.RefKey()), q.EmbeddedStoreKey()
	if _, err := RotateKey(o); !errors.Is(err, ErrLocked) {
		t.Fatalf("rotated under a running daemon: %v", err)
	}
	q.Close()
	id, err := RotateKey(o)
	if err != nil {
		t.Fatal(err)
	}
	q = openTest(t, o)
	second := accept(t, q, draft(1))
	for n, a := range []Accepted{first, second} {
		if r, err := q.Get(t.Context(), a.ID); err != nil || !bytes.Equal(r.Body, body(n, a.Stamp)) {
			t.Fatalf("record %d after the rotation: %v", n, err)
		}
	}
	if q.keys.Newest() != id {
		t.Fatal("the new key does not seal")
	}
	var sealed []byte
	if err := q.View.db.QueryRow("SELECT body FROM bodies WHERE row = 2").Scan(&sealed); err != nil || fmt.Sprintf("%x", sealed[1:5]) != id {
		t.Fatalf("sealed with %x, want %s", sealed[1:5], id)
	}
	if string(q.RefKey()) != ref || q.EmbeddedStoreKey() != store {
		t.Fatal("a rotation changed the derived keys")
	}
	q.Close()

	// Taking the old line away is noticed while something needs it.
	path := filepath.Join(o.Dir, keyName)
	b, _ := os.ReadFile(path)
	lines := bytes.SplitAfter(bytes.TrimSpace(b), []byte("\n"))
	if err := os.WriteFile(path, lines[len(lines)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: o.Dir, MinFree: 1}); !errors.Is(err, ErrKey) {
		t.Fatalf("opened without the old key: %v", err)
	}
}

func TestWrongMissingAndDamagedKey(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"another": func(path string) error { return os.WriteFile(path, []byte(keyLine(t)), 0o600) },
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"damaged": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)-20] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), MinFree: 1}
			q := openTest(t, o)
			accept(t, q, draft(0))
			q.Close()
			path := filepath.Join(o.Dir, keyName)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			if _, err := Open(t.Context(), o); !errors.Is(err, ErrKey) {
				t.Fatalf("opened: %v", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Fatal("the key file was touched")
			}
			if a := journal.Asides(o.Dir); a != nil {
				t.Fatalf("a sound queue was set aside: %v", a)
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := verify(t, openTest(t, o)); r.Opened != 1 {
				t.Fatalf("with the key put back: %+v", r)
			}
		})
	}
}
