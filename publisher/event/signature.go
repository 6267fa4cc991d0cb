package event

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nkeys"
)

// Errors of signatures.
var (
	ErrUnsigned  = errors.New("the event is not signed")
	ErrSignature = errors.New("wrong signature: event and signature do not belong together")
	ErrSigner    = errors.New("wrong signature: the signer is not trusted for this desk at this time")
	ErrSeed      = errors.New("want an nkey seed (SU...) or a .creds file")
)

const maxSeedFile = 64 << 10

// Signer signs events with an nkey, an Ed25519 key in the form of NATS. It prints
// masked.
type Signer struct {
	public string
	key    ed25519.PrivateKey // kept ready: an nkeys.KeyPair derives it for each signature
}

// ParseSigner returns the signer of a user's nkey seed file or .creds file. Errors
// unwrap to ErrSeed and quote nothing of the file.
func ParseSigner(text []byte) (Signer, error) {
	s, err := parseSeed(text)
	if err == nil && !nkeys.IsValidPublicUserKey(s.public) {
		return Signer{}, fmt.Errorf("%w: this is the seed of an account or operator, which stays with the administrators", ErrSeed)
	}
	return s, err
}

func parseSeed(text []byte) (Signer, error) {
	if len(text) > maxSeedFile {
		return Signer{}, fmt.Errorf("%w: longer than %d bytes", ErrSeed, maxSeedFile)
	}
	pair, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return Signer{}, ErrSeed
	}
	public, err := pair.PublicKey()
	if err != nil {
		return Signer{}, ErrSeed
	}
	seed, err := pair.Seed()
	if err != nil {
		return Signer{}, ErrSeed
	}
	_, raw, err := nkeys.DecodeSeed(seed)
	if err != nil || len(raw) != ed25519.SeedSize {
		return Signer{}, ErrSeed
	}
	return Signer{public: public, key: ed25519.NewKeyFromSeed(raw)}, nil
}

// Public returns the public nkey: ce-signer of the events, U and 55 characters.
func (s Signer) Public() string { return s.public }

// Format implements fmt.Formatter: no verb prints the seed.
func (s Signer) Format(f fmt.State, _ rune) {
	io.WriteString(f, "event.Signer("+s.public+", masked)")
}

// MarshalJSON implements json.Marshaler: structured logs hold no seed.
func (s Signer) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Sign returns the envelope with the signature of an event: body is the message
// body as it is published, sealed or not. Whatever the signature covers must not be
// changed afterwards: the body and all that [Seal] binds to it.
func (s Signer) Sign(env Envelope, body []byte) Envelope {
	env.Signer, env.Signature = s.public, encode(ed25519.Sign(s.key, signedBytes(env, body)))
	return env
}

// signedBytes returns what an event's signature covers: 0xFF, "idtap.event.v1", LF,
// the additional authenticated data, LF, and the SHA-256 of the body as published.
//
// A NATS client signs the nonce of whatever server it connects to. A nonce is a
// string in JSON, which cannot hold the byte 0xFF: no server gets an event signed.
func signedBytes(env Envelope, body []byte) []byte {
	sum := sha256.Sum256(body)
	b := append([]byte{0xFF}, "idtap.event.v1\n"...)
	b = append(b, authData(env)...)
	b = append(b, '\n')
	return append(b, sum[:]...)
}

// CheckSignature reports whether the event was signed with the key that it names:
// nil, ErrUnsigned or ErrSignature. Anybody may name a key of their own: whether the
// key is the desk's is a question to a trust list, see [Verify].
func (e Envelope) CheckSignature(body []byte) error {
	if e.Signer == "" {
		return ErrUnsigned
	}
	key, err := nkeys.FromPublicKey(e.Signer)
	if err != nil {
		return ErrSignature
	}
	sig, err := unbase64(e.Signature)
	if err != nil || key.Verify(signedBytes(e, body), sig) != nil {
		return ErrSignature
	}
	return nil
}

// Verify reports whether the desk that an event names has signed it: one of the
// lists must name the signer for the desk id in ce-source at ce-time. body is the
// message body as received. Errors unwrap to ErrUnsigned, ErrSigner or ErrSignature.
func Verify(env Envelope, body []byte, lists ...Trust) error {
	if env.Signer == "" {
		return ErrUnsigned
	}
	desk, _, _ := ParseSource(env.Source)
	for _, list := range lists {
		if list.names(desk, env.Signer, env.Time) {
			return env.CheckSignature(body)
		}
	}
	return ErrSigner
}
