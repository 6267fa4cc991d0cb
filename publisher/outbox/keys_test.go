package outbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func keyLine(n byte) string {
	k, err := newQueueKey(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s %s 2026-11-21 %s\n", keyPrefix, k.id, base64.StdEncoding.EncodeToString(k.secret))
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
	if q.keys.newest().String() != id {
		t.Fatal("the new key does not seal")
	}
	var sealed []byte
	if err := q.View.db.QueryRow("SELECT body FROM bodies WHERE row = 2").Scan(&sealed); err != nil || keyID(sealed[1:5]).String() != id {
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
		"another": func(path string) error { return os.WriteFile(path, []byte(keyLine(9)), 0o600) },
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
			if a := asides(o.Dir); a != nil {
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

func TestSealIsTied(t *testing.T) {
	keys, err := parseKeys([]byte(keyLine(1)))
	if err != nil {
		t.Fatal(err)
	}
	e := entry{row: 1, id: "i", epoch: "e", seq: 1, acceptedAt: 2, typ: "t", source: "s", subject: "u", filter: "f", kind: "k", status: "c", codes: "x,y"}
	sealed := keys.seal([]byte("body"), e.clear())
	for name, change := range map[string]func(*entry){
		"id": func(e *entry) { e.id = "j" }, "epoch": func(e *entry) { e.epoch = "" }, "seq": func(e *entry) { e.seq++ },
		"time": func(e *entry) { e.acceptedAt++ }, "type": func(e *entry) { e.typ = "r" }, "source": func(e *entry) { e.source = "" },
		"subject": func(e *entry) { e.subject = "v" }, "filter": func(e *entry) { e.filter = "g" }, "refers": func(e *entry) { e.refers = "r" },
		"kind": func(e *entry) { e.kind = "" }, "status": func(e *entry) { e.status = "" }, "codes": func(e *entry) { e.codes = "x" },
		"place": func(e *entry) { e.place = 2 }, "shifted": func(e *entry) { e.id, e.epoch = "ie", "" },
	} {
		changed := e
		change(&changed)
		if _, err := keys.open(sealed, changed.clear()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s changed and opened: %v", name, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := keys.open(bad, e.clear()); err == nil {
			t.Errorf("byte %d flipped and opened", i)
		}
	}
	if b, err := keys.open(sealed, e.clear()); err != nil || string(b) != "body" {
		t.Fatal(err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(keyNotice + keyLine(1) + keyLine(2)))
	f.Add([]byte(keyPrefix))
	f.Add([]byte(keyPrefix + " 00000000 2026-11-21 AAAA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseKeys(b)
		if err != nil {
			return
		}
		sealed := r.seal([]byte("x"), nil)
		if p, err := r.open(sealed, nil); err != nil || string(p) != "x" {
			t.Fatal(err)
		}
	})
}
