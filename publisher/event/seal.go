package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

// SuiteP256 names how events are sealed: ECDH-ES+A256KW on P-256 (RFC 7518
// section 4.6) and A256GCM. It stands in ce-suite, so that another suite (SM2
// and SM4, say) can be told apart before anything is parsed.
const SuiteP256 = "ECDH-ES+A256KW.P-256.A256GCM"

// Why a sealed event is not opened, or an event not sealed.
var (
	ErrSealForm     = errors.New("not a sealed event")                                                   // not the JWE that Seal makes, too long, unknown members
	ErrSealSuite    = errors.New("sealed in a way that this program does not know")                      // suite, alg, enc, curve
	ErrNotRecipient = errors.New("the event is not sealed to this key")                                  // no recipient has the key's id
	ErrRebound      = errors.New("the sealed data belongs to another event or its headers were changed") // additional authenticated data differ
	ErrTampered     = errors.New("the sealed data does not verify")                                      // changed bytes, or another key under this key's id
	ErrNoRecipient  = errors.New("no recipient for this event")                                          // every key is limited to other hukou divisions
	ErrRecipients   = errors.New("the recipients cannot be used together")
)

// Bounds of what is sealed and opened.
const (
	MaxData       = 1 << 20 // nats-server's default max_payload
	maxSealed     = 2 << 20
	MaxRecipients = 32

	cekWrapped = 40 // A256KW of a 256-bit key
	gcmIV      = 12
	gcmTag     = 16
	p256Bytes  = 32
)

// Recipient is a key and the events it gets.
type Recipient struct {
	Key   PublicKey
	Hukou string // division prefix of 2 to 6 digits: only events about that place; "" means every event
}

// CheckRecipients says what is wrong with a list of recipients: too many, a key
// named twice, an impossible prefix. An empty list is fine: nothing is sealed.
func CheckRecipients(recipients []Recipient) error {
	if len(recipients) > MaxRecipients {
		return fmt.Errorf("%w: %d, at most %d", ErrRecipients, len(recipients), MaxRecipients)
	}
	seen := map[string]bool{}
	for _, r := range recipients {
		if r.Key.key == nil {
			return fmt.Errorf("%w: a recipient without a key", ErrRecipients)
		}
		if seen[r.Key.id] {
			return fmt.Errorf("%w: key %q stands twice", ErrRecipients, r.Key.id)
		}
		seen[r.Key.id] = true
		if n := len(r.Hukou); n != 0 && (n < 2 || n > 6 || !isDivision((r.Hukou + "0000")[:6])) {
			return fmt.Errorf("%w: hukou of key %q: want 2 to 6 digits of a division", ErrRecipients, r.Key.id)
		}
	}
	return nil
}

// sealed is the general JSON serialization of RFC 7516 section 7.2.1, as sealed
// events use it: one recipient too stands in recipients.
type sealed struct {
	Protected  string            `json:"protected"`
	Recipients []sealedRecipient `json:"recipients"`
	AAD        string            `json:"aad"`
	IV         string            `json:"iv"`
	Ciphertext string            `json:"ciphertext"`
	Tag        string            `json:"tag"`
}

type sealedRecipient struct {
	Header       json.RawMessage `json:"header,omitempty"`
	EncryptedKey string          `json:"encrypted_key"`
}

// flattened is RFC 7516 section 7.2.2, which go-jose writes for one recipient
// and reads when one has been picked.
type flattened struct {
	Protected    string          `json:"protected"`
	Header       json.RawMessage `json:"header,omitempty"`
	EncryptedKey string          `json:"encrypted_key"`
	AAD          string          `json:"aad"`
	IV           string          `json:"iv"`
	Ciphertext   string          `json:"ciphertext"`
	Tag          string          `json:"tag"`
}

// Seal encrypts an event's data to those of the recipients whose hukou limit
// covers it (for a unit that was divided, any of its successors); ErrNoRecipient if there are none. The result is the message body
// of an event with ContentJOSE. Whose division counts: the data's
// hukou.division or hukou_divisions, else the subject's.
//
// The envelope is bound to the data as additional authenticated data: a sealed
// body cannot be moved to another id, time, sequence or subject. Sealing is not
// a signature; who may publish is the bus's business.
func Seal(data []byte, env Envelope, recipients []Recipient) ([]byte, error) {
	if len(data) > MaxData {
		return nil, fmt.Errorf("seal: %d bytes of data, at most %d", len(data), MaxData)
	}
	env.Content = ContentJOSE
	if err := env.Validate(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if env.suite() != SuiteP256 {
		return nil, fmt.Errorf("seal: %w", ErrSealSuite)
	}
	if err := CheckRecipients(recipients); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	var to []jose.Recipient
	about := divisions(data, env)
	for _, r := range recipients {
		if r.covers(about) {
			to = append(to, jose.Recipient{Algorithm: jose.ECDH_ES_A256KW, Key: r.Key.key, KeyID: r.Key.id})
		}
	}
	if len(to) == 0 {
		return nil, fmt.Errorf("seal: %w", ErrNoRecipient)
	}
	encrypter, err := jose.NewMultiEncrypter(jose.A256GCM, to, nil)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	obj, err := encrypter.EncryptWithAuthData(data, authData(env))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return general(obj.FullSerialize())
}

// general puts right what go-jose v4.1.8 writes: one recipient flattened, and
// with several a stray encrypted_key at the top.
func general(text string) ([]byte, error) {
	var in struct {
		sealed
		EncryptedKey string `json:"encrypted_key"`
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if len(in.Recipients) == 0 {
		in.Recipients = []sealedRecipient{{EncryptedKey: in.EncryptedKey}}
	}
	out, err := json.Marshal(in.sealed)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out, nil
}

// Open gives the data of a sealed event as it was received: env from
// ParseEnvelope. The authenticated data are rebuilt from env and compared
// before anything is decrypted. Errors unwrap to ErrEnvelope, ErrSealForm,
// ErrSealSuite, ErrNotRecipient, ErrRebound or ErrTampered.
func Open(jwe []byte, env Envelope, key PrivateKey) ([]byte, error) {
	if err := env.Validate(); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if env.Content != ContentJOSE {
		return nil, fmt.Errorf("open: %w: its content type is %s", ErrSealForm, env.Content)
	}
	if env.suite() != SuiteP256 {
		return nil, fmt.Errorf("open: %w", ErrSealSuite)
	}
	s, err := parseSealed(jwe)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	r, err := s.recipient(key)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	aad, err := unbase64(s.AAD)
	if err != nil {
		return nil, fmt.Errorf("open: aad: %w", err)
	}
	if !bytes.Equal(aad, authData(env)) {
		return nil, fmt.Errorf("open: %w", ErrRebound)
	}
	one, err := json.Marshal(flattened{Protected: s.Protected, Header: r.Header, EncryptedKey: r.EncryptedKey,
		AAD: s.AAD, IV: s.IV, Ciphertext: s.Ciphertext, Tag: s.Tag})
	if err != nil {
		return nil, fmt.Errorf("open: %w", ErrSealForm)
	}
	obj, err := jose.ParseEncryptedJSON(string(one), []jose.KeyAlgorithm{jose.ECDH_ES_A256KW}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return nil, fmt.Errorf("open: %w", ErrSealForm)
	}
	data, err := obj.Decrypt(key.key)
	if err != nil {
		return nil, fmt.Errorf("open: %w", ErrTampered)
	}
	return data, nil
}

// authData is the additional authenticated data: a compact JSON array of
// strings in UTF-8, [ce-id, ce-type, ce-source, ce-sequence, ce-epoch, ce-time,
// subject] exactly as they stand on the message. A valid envelope holds nothing
// that JSON would have to escape, so every JSON encoder writes the same bytes.
func authData(e Envelope) []byte {
	seq := strconv.FormatUint(e.Seq, 10)
	return []byte(`["` + strings.Join([]string{e.ID, e.Type, e.Source, seq, e.Epoch, e.TimeText(), e.Subject}, `","`) + `"]`)
}

// divisions are the hukou divisions that an event is about.
func divisions(data []byte, env Envelope) []string {
	var d struct {
		Hukou          *Hukou   `json:"hukou"`
		HukouDivisions []string `json:"hukou_divisions"`
	}
	if json.Unmarshal(data, &d) == nil {
		if about := d.Hukou.Divisions(); len(about) > 0 {
			return about
		}
		if len(d.HukouDivisions) > 0 {
			return d.HukouDivisions
		}
	}
	if _, place, err := ParseSubject(env.Subject); err == nil && place.HukouDivision != "" {
		return []string{place.HukouDivision}
	}
	return nil
}

func (r Recipient) covers(divisions []string) bool {
	if r.Hukou == "" {
		return true
	}
	for _, d := range divisions {
		if strings.HasPrefix(d, r.Hukou) {
			return true
		}
	}
	return false
}

// parseSealed reads exactly the form that general writes. go-jose's JSON
// package matches names exactly and refuses a name that stands twice.
func parseSealed(jwe []byte) (sealed, error) {
	if len(jwe) > maxSealed {
		return sealed{}, fmt.Errorf("%w: longer than %d bytes", ErrSealForm, maxSealed)
	}
	var in struct {
		sealed
		Recipients []josejson.RawMessage `json:"recipients"`
	}
	if err := readObject(jwe, &in, "protected", "recipients", "aad", "iv", "ciphertext", "tag"); err != nil {
		return sealed{}, err
	}
	if n := len(in.Recipients); n == 0 || n > MaxRecipients {
		return sealed{}, fmt.Errorf("%w: want 1 to %d recipients", ErrSealForm, MaxRecipients)
	}
	s := in.sealed
	for _, text := range in.Recipients {
		var r sealedRecipient
		if err := readObject(text, &r, "header", "encrypted_key"); err != nil {
			return sealed{}, err
		}
		if err := wantBytes("encrypted_key", r.EncryptedKey, cekWrapped); err != nil {
			return sealed{}, err
		}
		s.Recipients = append(s.Recipients, r)
	}
	if err := wantBytes("iv", s.IV, gcmIV); err != nil {
		return sealed{}, err
	}
	if err := wantBytes("tag", s.Tag, gcmTag); err != nil {
		return sealed{}, err
	}
	if _, err := unbase64(s.Ciphertext); err != nil {
		return sealed{}, fmt.Errorf("ciphertext: %w", err)
	}
	return s, nil
}

// joseHeader are the header parameters that Seal writes; no others (zip, b64,
// crit, jku, ...) are accepted.
type joseHeader struct {
	Alg string `json:"alg"`
	Enc string `json:"enc"`
	Kid string `json:"kid"`
	EPK epk    `json:"epk"`
}

type epk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// recipient finds the key's own entry. The headers of all entries are checked:
// one unknown thing anywhere and the event is none of ours.
func (s sealed) recipient(key PrivateKey) (sealedRecipient, error) {
	protected, err := unbase64(s.Protected)
	if err != nil {
		return sealedRecipient{}, fmt.Errorf("protected: %w", err)
	}
	var shared joseHeader
	if err := readObject(protected, &shared, "enc", "alg", "kid", "epk"); err != nil {
		return sealedRecipient{}, err
	}
	// One recipient has all its parameters in the protected header, several
	// have their own and share enc only.
	alone := shared.Alg != ""
	if alone && len(s.Recipients) > 1 {
		return sealedRecipient{}, fmt.Errorf("%w: several recipients share one key agreement", ErrSealForm)
	}
	own := key.Public().Thumbprint()
	found := -1
	for i, r := range s.Recipients {
		h := shared
		if alone == (len(r.Header) > 0) {
			return sealedRecipient{}, fmt.Errorf("%w: recipient header", ErrSealForm)
		}
		if !alone {
			if shared != (joseHeader{Enc: shared.Enc}) {
				return sealedRecipient{}, fmt.Errorf("%w: protected header", ErrSealForm)
			}
			if err := readObject(r.Header, &h, "alg", "kid", "epk"); err != nil {
				return sealedRecipient{}, err
			}
		}
		if err := h.check(); err != nil {
			return sealedRecipient{}, err
		}
		if h.Kid == key.id || h.Kid == own {
			if found >= 0 {
				return sealedRecipient{}, fmt.Errorf("%w: a recipient stands twice", ErrSealForm)
			}
			found = i
		}
	}
	if found < 0 {
		return sealedRecipient{}, ErrNotRecipient
	}
	return s.Recipients[found], nil
}

// check holds one recipient's merged header against the only suite there is.
func (h joseHeader) check() error {
	if h.Alg != string(jose.ECDH_ES_A256KW) || h.Enc != string(jose.A256GCM) || h.EPK.Kty != "EC" || h.EPK.Crv != "P-256" {
		return ErrSealSuite
	}
	if h.Kid == "" || len(h.Kid) > maxKeyID {
		return fmt.Errorf("%w: kid", ErrSealForm)
	}
	if err := wantBytes("epk", h.EPK.X, p256Bytes); err != nil {
		return err
	}
	return wantBytes("epk", h.EPK.Y, p256Bytes)
}

// readObject reads a JSON object into v and refuses members beside those named.
func readObject(text []byte, v any, names ...string) error {
	var m map[string]josejson.RawMessage
	if err := josejson.Unmarshal(text, &m); err != nil || m == nil {
		return fmt.Errorf("%w: not a JSON object", ErrSealForm)
	}
	for _, n := range names {
		delete(m, n)
	}
	if len(m) > 0 {
		return fmt.Errorf("%w: unknown members", ErrSealForm)
	}
	if err := josejson.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: a member of the wrong kind", ErrSealForm)
	}
	return nil
}

// unbase64 decodes base64url without padding and without stray bits, so that
// every changed character counts.
func unbase64(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%w: not base64url", ErrSealForm)
	}
	return b, nil
}

func wantBytes(name, text string, n int) error {
	if b, err := unbase64(text); err != nil || len(b) != n {
		return fmt.Errorf("%w: %s: want %d bytes", ErrSealForm, name, n)
	}
	return nil
}
