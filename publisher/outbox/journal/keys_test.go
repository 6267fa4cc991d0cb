package journal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
)

func keyLine(n byte) string {
	k, err := newQueueKey(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s %s 2026-11-21 %s\n", keyPrefix, k.id, base64.StdEncoding.EncodeToString(k.secret))
}

func testKeys(t testing.TB) *Keyring {
	t.Helper()
	keys, err := parseKeys([]byte(keyLine(1)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSealIsTied(t *testing.T) {
	keys := testKeys(t)
	e := Entry{Row: 1, ID: "i", Epoch: "e", Seq: 1, AcceptedAt: 2, Type: "t", Source: "s", Subject: "u", Filter: "f", Kind: "k", Status: "c", Codes: "x,y"}
	sealed := keys.Seal([]byte("body"), e.clear())
	for name, change := range map[string]func(*Entry){
		"id": func(e *Entry) { e.ID = "j" }, "epoch": func(e *Entry) { e.Epoch = "" }, "seq": func(e *Entry) { e.Seq++ },
		"time": func(e *Entry) { e.AcceptedAt++ }, "type": func(e *Entry) { e.Type = "r" }, "source": func(e *Entry) { e.Source = "" },
		"subject": func(e *Entry) { e.Subject = "v" }, "filter": func(e *Entry) { e.Filter = "g" }, "refers": func(e *Entry) { e.Refers = "r" },
		"kind": func(e *Entry) { e.Kind = "" }, "status": func(e *Entry) { e.Status = "" }, "codes": func(e *Entry) { e.Codes = "x" },
		"place": func(e *Entry) { e.Place = 2 }, "shifted": func(e *Entry) { e.ID, e.Epoch = "ie", "" },
	} {
		changed := e
		change(&changed)
		if _, err := keys.Open(sealed, changed.clear()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s changed and opened: %v", name, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := keys.Open(bad, e.clear()); err == nil {
			t.Errorf("byte %d flipped and opened", i)
		}
	}
	if b, err := keys.Open(sealed, e.clear()); err != nil || string(b) != "body" {
		t.Fatalf("Open(sealed) = %q, %v, want %q", b, err, "body")
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
		sealed := r.Seal([]byte("x"), nil)
		if p, err := r.Open(sealed, nil); err != nil || string(p) != "x" {
			t.Fatal(err)
		}
	})
}
