package event

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// ErrTrust reports a text that is not a trust list, or not one that the given key
// signed.
var ErrTrust = errors.New("not a trust list")

const (
	trustTitle   = "idtap.trust.v1"
	maxTrustFile = 8 << 20
)

// TrustedKey is a public nkey that signs for a desk from a moment on, and until
// another one unless To is zero. Old keys stay on the list: events of their time are
// still verified.
type TrustedKey struct {
	Desk string    `json:"desk"`
	Key  string    `json:"key"`
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
}

func (k TrustedKey) covers(at time.Time) bool {
	return !at.Before(k.From) && (k.To.IsZero() || at.Before(k.To))
}

func (k TrustedKey) validate() error {
	switch {
	case !ValidDeskID(k.Desk):
		return fmt.Errorf("%w: desk id: want 1 to %d of a-z, 0-9 and -", ErrTrust, maxDeskID)
	case !nkeys.IsValidPublicUserKey(k.Key):
		return fmt.Errorf("%w: key of desk %s: want a public user nkey (U...)", ErrTrust, k.Desk)
	case k.From.IsZero() || !k.To.IsZero() && !k.From.Before(k.To):
		return fmt.Errorf("%w: key of desk %s: want a beginning, and an end after it or none", ErrTrust, k.Desk)
	}
	return nil
}

// Trust is a list of the keys that sign for desks, itself signed by an
// administrator. The zero Trust names nobody.
type Trust struct {
	Made   time.Time // when the list was signed; of two lists the later one counts
	Signer string    // the administrator's public nkey

	keys   []TrustedKey
	byDesk map[string][]TrustedKey
}

// NewTrust returns an unsigned list of keys, sorted by desk and time. A desk may
// have several keys at a time. Errors unwrap to ErrTrust.
func NewTrust(keys []TrustedKey) (Trust, error) {
	t := Trust{keys: slices.Clone(keys), byDesk: map[string][]TrustedKey{}}
	for i, k := range t.keys {
		k.From, k.To = k.From.UTC().Truncate(time.Second), k.To.UTC().Truncate(time.Second)
		if err := k.validate(); err != nil {
			return Trust{}, err
		}
		t.keys[i] = k
	}
	slices.SortFunc(t.keys, func(a, b TrustedKey) int {
		if c := strings.Compare(a.Desk, b.Desk); c != 0 {
			return c
		}
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	for _, k := range t.keys {
		for _, other := range t.byDesk[k.Desk] {
			if other.Key == k.Key {
				return Trust{}, fmt.Errorf("%w: desk %s: a key is listed twice", ErrTrust, k.Desk)
			}
		}
		t.byDesk[k.Desk] = append(t.byDesk[k.Desk], k)
	}
	return t, nil
}

// Keys returns the list's keys, sorted by desk and time.
func (t Trust) Keys() []TrustedKey { return slices.Clone(t.keys) }

// names reports whether a key signs for a desk at a time.
func (t Trust) names(desk, key string, at time.Time) bool {
	for _, k := range t.byDesk[desk] {
		if k.Key == key && k.covers(at) {
			return true
		}
	}
	return false
}

// Sign returns the list as a file, signed at a time with the seed of an
// administrator's nkey of any kind. The file is text, one line a key:
//
//	idtap.trust.v1 2026-11-25T10:00:00Z
//	jinshui-wenhualu-03 UAGX... 2026-11-01T00:00:00Z -
//	signature AB3Q... 5q1y...
//
// The signature (Ed25519, base64url) covers the byte 0xFF and all lines before its
// own. As with events, 0xFF keeps a server from having its nonce signed as a list.
func (t Trust) Sign(seed []byte, at time.Time) ([]byte, error) {
	s, err := parseSeed(seed)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", trustTitle, trustTime(at))
	for _, k := range t.keys {
		fmt.Fprintf(&b, "%s %s %s %s\n", k.Desk, k.Key, trustTime(k.From), trustTime(k.To))
	}
	sig := ed25519.Sign(s.key, append([]byte{0xFF}, b.Bytes()...))
	fmt.Fprintf(&b, "signature %s %s\n", s.public, encode(sig))
	return b.Bytes(), nil
}

// ParseTrust returns the list of a file that [Trust.Sign] wrote, if by signed it: an
// administrator's public nkey, which reached the reader another way than the list.
// Errors unwrap to ErrTrust.
func ParseTrust(text []byte, by string) (Trust, error) {
	t, err := ReadTrust(text)
	if err == nil && t.Signer != by {
		return Trust{}, fmt.Errorf("%w of %s: it is signed by %s", ErrTrust, by, t.Signer)
	}
	return t, err
}

// ReadTrust is [ParseTrust] for a list of whichever signer: it proves that the list
// is whole, not whose it is. For showing a list only.
func ReadTrust(text []byte) (Trust, error) {
	if len(text) > maxTrustFile {
		return Trust{}, fmt.Errorf("%w: longer than %d bytes", ErrTrust, maxTrustFile)
	}
	head, last, ok := cutLastLine(text)
	word := strings.Split(last, " ")
	if !ok || len(word) != 3 || word[0] != "signature" {
		return Trust{}, fmt.Errorf("%w: the last line is not its signature", ErrTrust)
	}
	sig, err := unbase64(word[2])
	key, keyErr := nkeys.FromPublicKey(word[1])
	if err != nil || keyErr != nil || key.Verify(append([]byte{0xFF}, head...), sig) != nil {
		return Trust{}, fmt.Errorf("%w: wrong signature: it was changed after it was signed", ErrTrust)
	}
	title, rest, _ := strings.Cut(string(head), "\n")
	name, made, _ := strings.Cut(title, " ")
	at, err := parseTrustTime(made)
	if name != trustTitle || err != nil || at.IsZero() {
		return Trust{}, fmt.Errorf("%w: line 1: want %s and a time", ErrTrust, trustTitle)
	}
	var keys []TrustedKey
	for line := range strings.Lines(rest) {
		k, err := parseTrustedKey(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return Trust{}, fmt.Errorf("%w: line %d: %w", ErrTrust, len(keys)+2, err)
		}
		keys = append(keys, k)
	}
	t, err := NewTrust(keys)
	t.Made, t.Signer = at, word[1]
	return t, err
}

// cutLastLine cuts a text of whole lines before its last one.
func cutLastLine(text []byte) (head []byte, last string, ok bool) {
	body, ok := bytes.CutSuffix(text, []byte("\n"))
	i := bytes.LastIndexByte(body, '\n')
	if !ok || i < 0 {
		return nil, "", false
	}
	return body[:i+1], string(body[i+1:]), true
}

func parseTrustedKey(line string) (k TrustedKey, err error) {
	word := strings.Split(line, " ")
	if len(word) != 4 {
		return k, errors.New("want desk, key, from, to")
	}
	k.Desk, k.Key = word[0], word[1]
	if k.From, err = parseTrustTime(word[2]); err != nil {
		return k, err
	}
	k.To, err = parseTrustTime(word[3])
	return k, err
}

func trustTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func parseTrustTime(text string) (time.Time, error) {
	if text == "-" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || trustTime(t) != text {
		return time.Time{}, errors.New("want times in UTC, like 2026-11-25T10:00:00Z, or -")
	}
	return t, nil
}
