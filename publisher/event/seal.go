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

// SuiteP256 is the ce-suite of sealed events: ECDH-ES+A256KW on P-256 (RFC 7518
// section 4.6) and A256GCM. Another suite (SM2 and SM4, say) would have another name
// and is recognised before anything is parsed.
const SuiteP256 = "ECDH-ES+A256KW.P-256.A256GCM"

// Errors of Seal and Open.
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
	maxData       = 1 << 20 // nats-server's default max_payload
	maxSealed     = 2 << 20
	maxRecipients = 32

	cekWrapped = 40 // A256KW of a 256-bit key
	gcmIV      = 12
	gcmTag     = 16
	p256Bytes  = 32
)

// Recipient is a key that events are sealed to, and which events.
type Recipient struct {
	Key   PublicKey
	Hukou string // division prefix of 2 to 6 digits: only events about that place; "" means every event
}

// CheckRecipients reports what is wrong with a list of recipients: too many, a key
// twice, an impossible prefix. An empty list is valid: nothing is sealed. Errors
// unwrap to ErrRecipients.
func CheckRecipients(recipients []Recipient) error {
	if len(recipients) > maxRecipients {
		return fmt.Errorf("%w: %d, at most %d", ErrRecipients, len(recipients), maxRecipients)
	}
	seen := map[string]bool{}
	for _, r := range recipients {
		if r.Key.key == nil {
			return fmt.Errorf("%w: a recipient without a key", ErrRecipients)
		}
		if seen[r.Key.id] {
			return fmt.Errorf("%w: key %q is listed twice", ErrRecipients, r.Key.id)
		}
		seen[r.Key.id] = true
		if n := len(r.Hukou); n != 0 && (n < 2 || n > 6 || !isDivision((r.Hukou + "0000")[:6])) {
			return fmt.Errorf("%w: hukou of key %q: want 2 to 6 digits of a division", ErrRecipients, r.Key.id)
		}
	}
	return nil
}

// sealed is the general JSON serialization of RFC 7516 section 7.2.1, as sealed
// events use it: a single recipient is in recipients, too.
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

// Seal encrypts an event's data to the recipients whose hukou limit covers it and
// returns the message body of an event with ContentJOSE, or ErrNoRecipient. The
// divisions compared are the data's hukou.division (of a unit that was divided, any
// of its successors) or hukou_divisions, else the subject's.
//
// The envelope is bound to the data as additional authenticated data: a sealed body
// cannot be moved to another id, time, sequence or subject. Sealing does not prove
// who published the event: a signature does, see [Signer.Sign].
func Seal(data []byte, env Envelope, recipients []Recipient) ([]byte, error) {
	if len(data) > maxData {
		return nil, fmt.Errorf("seal: %d bytes of data, at most %d", len(data), maxData)
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

// general corrects what go-jose v4.1.8 writes: one recipient flattened, and with
// several a stray encrypted_key at the top.
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

// Open returns the data of a sealed event as it was received; env is from
// [ParseEnvelope]. It rebuilds the authenticated data from env and compares them
// before it decrypts anything. With trust lists it first verifies, like [Verify],
// that the desk signed the event. Errors unwrap to ErrEnvelope, ErrSealForm,
// ErrSealSuite, ErrNotRecipient, ErrRebound, ErrTampered, or those of Verify.
func Open(jwe []byte, env Envelope, key PrivateKey, trust ...Trust) ([]byte, error) {
	if err := env.Validate(); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if len(trust) > 0 {
		if err := Verify(env, jwe, trust...); err != nil {
			return nil, fmt.Errorf("open: %w", err)
		}
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

// authData returns the additional authenticated data: a compact JSON array of
// strings in UTF-8, [ce-id, ce-type, ce-source, ce-sequence, ce-epoch, ce-time,
// subject], each as the message has it. A valid envelope holds nothing that JSON
// would have to escape, so every JSON encoder writes the same bytes.
func authData(e Envelope) []byte {
	seq := strconv.FormatUint(e.Seq, 10)
	return []byte(`["` + strings.Join([]string{e.ID, e.Type, e.Source, seq, e.Epoch, e.TimeText(), e.Subject}, `","`) + `"]`)
}

// divisions returns the hukou divisions that an event concerns.
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

// parseSealed accepts exactly the form that general writes. go-jose's JSON package
// matches names exactly and refuses duplicate names.
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
	if n := len(in.Recipients); n == 0 || n > maxRecipients {
		return sealed{}, fmt.Errorf("%w: want 1 to %d recipients", ErrSealForm, maxRecipients)
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

// joseHeader holds the header parameters that Seal writes. Others (zip, b64, crit,
// jku, ...) are refused.
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

// recipient returns the key's own entry. It checks the headers of all entries: an
// unknown parameter in any of them refuses the event.
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
				return sealedRecipient{}, fmt.Errorf("%w: a recipient is listed twice", ErrSealForm)
			}
			found = i
		}
	}
	if found < 0 {
		return sealedRecipient{}, ErrNotRecipient
	}
	return s.Recipients[found], nil
}

// check compares one recipient's merged header with the only suite there is.
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

// readObject decodes a JSON object into v and refuses members other than names.
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

// encode returns base64url without padding.
func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unbase64 decodes base64url without padding, strictly: every changed character
// counts.
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
