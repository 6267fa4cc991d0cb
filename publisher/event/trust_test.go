package event

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
)

func signedTrust(t testing.TB) (text []byte, by string) {
	t.Helper()
	admin := seed(t, nkeys.PrefixByteAccount, 9)
	text, err := trust(t,
		TrustedKey{Desk: desk, Key: newSigner(t, 1).Public(), From: signTime.Add(-time.Hour), To: signTime},
		TrustedKey{Desk: desk, Key: newSigner(t, 2).Public(), From: signTime.Add(-time.Minute)},
		TrustedKey{Desk: "a-desk", Key: newSigner(t, 3).Public(), From: signTime},
	).Sign(admin, signTime)
	if err != nil {
		t.Fatal(err)
	}
	return text, publicOf(t, admin)
}

func TestTrustRoundTrip(t *testing.T) {
	text, by := signedTrust(t)
	got, err := ParseTrust(text, by)
	if err != nil {
		t.Fatalf("ParseTrust: %v\n%s", err, text)
	}
	want := []TrustedKey{
		{Desk: "a-desk", Key: newSigner(t, 3).Public(), From: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)},
		{Desk: desk, Key: newSigner(t, 1).Public(), From: time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC), To: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)},
		{Desk: desk, Key: newSigner(t, 2).Public(), From: time.Date(2026, 11, 21, 9, 29, 0, 0, time.UTC)},
	}
	if !slices.Equal(got.Keys(), want) || got.Signer != by || !got.Made.Equal(time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)) {
		t.Errorf("ParseTrust = %+v\nwant %+v by %s", got, want, by)
	}
	again, err := got.Sign(seed(t, nkeys.PrefixByteAccount, 9), got.Made)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("Sign of what was parsed = %s, %v\nwant %s", again, err, text)
	}
	if _, err := ParseTrust(text, newSigner(t, 1).Public()); !errors.Is(err, ErrTrust) {
		t.Errorf("ParseTrust by another: %v, want ErrTrust", err)
	}
	if _, err := ParseTrust(text, ""); !errors.Is(err, ErrTrust) {
		t.Errorf("ParseTrust by nobody: %v, want ErrTrust", err)
	}
}

// No byte of a list can be changed, and nothing added or taken away.
func TestTrustTampered(t *testing.T) {
	text, by := signedTrust(t)
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, err := ParseTrust(changed, by); !errors.Is(err, ErrTrust) {
			t.Fatalf("ParseTrust with byte %d changed (%q): %v, want ErrTrust", i, text[i], err)
		}
	}
	lines := strings.SplitAfter(string(text), "\n")
	for name, changed := range map[string]string{
		"nothing": "", "no signature": strings.Join(lines[:4], ""), "a line less": lines[0] + lines[1] + lines[3] + lines[4],
		"a line twice": lines[0] + lines[1] + lines[1] + lines[2] + lines[3] + lines[4], "no last newline": strings.TrimSuffix(string(text), "\n"),
		"CRLF": strings.ReplaceAll(string(text), "\n", "\r\n"), "something behind": string(text) + "\n", "the signature only": lines[4],
		"two signatures": string(text) + lines[4], "endless": strings.Repeat("x", maxTrustFile+1),
	} {
		if got, err := ParseTrust([]byte(changed), by); !errors.Is(err, ErrTrust) || len(got.Keys()) > 0 {
			t.Errorf("ParseTrust(%s) = %d keys, %v, want ErrTrust", name, len(got.Keys()), err)
		}
	}
}

// A list in another form is refused even where its signature is right.
func TestTrustForm(t *testing.T) {
	admin, err := parseSeed(seed(t, nkeys.PrefixByteOperator, 9))
	if err != nil {
		t.Fatal(err)
	}
	key := newSigner(t, 1).Public()
	for name, head := range map[string]string{
		"another title": "idtap.trust.v2 2026-11-21T09:30:00Z\n", "no time": "idtap.trust.v1 -\n", "local time": "idtap.trust.v1 2026-11-21T09:30:00+08:00\n",
		"three words": "idtap.trust.v1 2026-11-21T09:30:00Z\nd " + key + " 2026-11-21T09:30:00Z\n",
		"no from":     "idtap.trust.v1 2026-11-21T09:30:00Z\nd " + key + " - -\n",
		"reversed":    "idtap.trust.v1 2026-11-21T09:30:00Z\nd " + key + " 2026-11-21T09:30:00Z 2026-11-21T09:30:00Z\n",
		"desk":        "idtap.trust.v1 2026-11-21T09:30:00Z\nD " + key + " 2026-11-21T09:30:00Z -\n",
		"key":         "idtap.trust.v1 2026-11-21T09:30:00Z\nd " + admin.public + " 2026-11-21T09:30:00Z -\n",
		"twice":       "idtap.trust.v1 2026-11-21T09:30:00Z\nd " + key + " 2026-11-21T09:30:00Z 2026-11-21T09:31:00Z\nd " + key + " 2026-11-21T09:32:00Z -\n",
	} {
		sig := ed25519.Sign(admin.key, append([]byte{0xFF}, head...))
		text := fmt.Sprintf("%ssignature %s %s\n", head, admin.public, encode(sig))
		if _, err := ParseTrust([]byte(text), admin.public); !errors.Is(err, ErrTrust) {
			t.Errorf("ParseTrust(%s): %v, want ErrTrust", name, err)
		}
	}
}

// FuzzReadTrust is a hostile list: what is accepted is written again byte for byte.
func FuzzReadTrust(f *testing.F) {
	text, _ := signedTrust(f)
	f.Add(string(text[:bytes.LastIndex(text, []byte("signature"))]))
	f.Add("idtap.trust.v1 2026-11-21T09:30:00Z\n")
	admin := seed(f, nkeys.PrefixByteAccount, 9)
	signer, err := parseSeed(admin)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, head string) {
		if !strings.HasSuffix(head, "\n") {
			head += "\n"
		}
		sig := ed25519.Sign(signer.key, append([]byte{0xFF}, head...))
		text := fmt.Sprintf("%ssignature %s %s\n", head, signer.public, encode(sig))
		got, err := ReadTrust([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrTrust) {
				t.Fatalf("ReadTrust: %v, want ErrTrust", err)
			}
			return
		}
		again, err := got.Sign(admin, got.Made)
		if err != nil {
			t.Fatal(err)
		}
		reread, err := ParseTrust(again, signer.public)
		if err != nil || !slices.Equal(reread.Keys(), got.Keys()) {
			t.Fatalf("read, written and read: %v, %v\nwant %v", reread.Keys(), err, got.Keys())
		}
	})
}
