package event

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Errors of key files. They never quote the file.
var (
	ErrKeyForm    = errors.New("want a P-256 key as JWK or PEM")
	ErrKeyPrivate = errors.New("this is the private key: desks get the public one only")
	ErrKeyPublic  = errors.New("this is the public key: opening takes the private one")
)

const (
	maxKeyFile = 16 << 10
	maxKeyID   = 128
)

// PublicKey is a registry's key that events are sealed to. Its id is the JWK's
// kid, else the key's thumbprint (RFC 7638, SHA-256, base64url).
type PublicKey struct {
	id  string
	key *ecdsa.PublicKey
}

// PrivateKey opens sealed events. It prints masked.
type PrivateKey struct {
	id  string
	key *ecdsa.PrivateKey
}

// GenerateKey returns a new P-256 key pair whose id is its thumbprint.
func GenerateKey() (PrivateKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate key: %w", err)
	}
	return PrivateKey{id: thumbprint(&k.PublicKey), key: k}, nil
}

// ParsePublicKey returns the key of a public key file: a JWK, or PEM ("PUBLIC KEY").
// Errors unwrap to ErrKeyForm or ErrKeyPrivate.
func ParsePublicKey(text []byte) (PublicKey, error) {
	k, err := parseKey(text)
	if err != nil {
		return PublicKey{}, err
	}
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		id, err := keyID(k.KeyID, key)
		return PublicKey{id: id, key: key}, err
	case *ecdsa.PrivateKey:
		return PublicKey{}, ErrKeyPrivate
	}
	return PublicKey{}, ErrKeyForm
}

// ParsePrivateKey returns the key of a private key file: a JWK, or PEM ("PRIVATE
// KEY" or "EC PRIVATE KEY", not encrypted). Errors unwrap to ErrKeyForm or
// ErrKeyPublic.
func ParsePrivateKey(text []byte) (PrivateKey, error) {
	k, err := parseKey(text)
	if err != nil {
		return PrivateKey{}, err
	}
	switch key := k.Key.(type) {
	case *ecdsa.PrivateKey:
		id, err := keyID(k.KeyID, &key.PublicKey)
		return PrivateKey{id: id, key: key}, err
	case *ecdsa.PublicKey:
		return PrivateKey{}, ErrKeyPublic
	}
	return PrivateKey{}, ErrKeyForm
}

// KeyID returns the kid under which events are sealed to the key.
func (k PublicKey) KeyID() string { return k.id }

// Thumbprint returns the key's RFC 7638 thumbprint, SHA-256 in base64url.
func (k PublicKey) Thumbprint() string { return thumbprint(k.key) }

// JWK returns the public key file (RFC 7517).
func (k PublicKey) JWK() ([]byte, error) { return encodeKey(k.id, k.key) }

// KeyID returns the kid of the events that the key opens.
func (k PrivateKey) KeyID() string { return k.id }

// Public returns the public key, for the desks.
func (k PrivateKey) Public() PublicKey { return PublicKey{id: k.id, key: &k.key.PublicKey} }

// JWK returns the private key file (RFC 7517): a secret.
func (k PrivateKey) JWK() ([]byte, error) { return encodeKey(k.id, k.key) }

// Format implements fmt.Formatter: no verb prints a private key.
func (k PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "event.PrivateKey(%s, masked)", k.id) }

// MarshalJSON implements json.Marshaler: structured logs hold no private key.
func (k PrivateKey) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

func encodeKey(id string, key any) ([]byte, error) {
	text, err := jose.JSONWebKey{Key: key, KeyID: id, Use: "enc", Algorithm: string(jose.ECDH_ES_A256KW)}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return append(text, '\n'), nil
}

// parseKey reads JWK or PEM. Errors never repeat the file: it may be a secret.
func parseKey(text []byte) (jose.JSONWebKey, error) {
	if len(text) > maxKeyFile {
		return jose.JSONWebKey{}, fmt.Errorf("%w: longer than %d bytes", ErrKeyForm, maxKeyFile)
	}
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("{")) {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(text); err != nil {
			return jose.JSONWebKey{}, fmt.Errorf("%w: not a valid JWK", ErrKeyForm)
		}
		if k.Use != "" && k.Use != "enc" {
			return jose.JSONWebKey{}, fmt.Errorf(`%w: its use is not "enc"`, ErrKeyForm)
		}
		if k.Algorithm != "" && k.Algorithm != string(jose.ECDH_ES_A256KW) {
			return jose.JSONWebKey{}, fmt.Errorf("%w: its alg is not %s", ErrKeyForm, jose.ECDH_ES_A256KW)
		}
		return k, nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return jose.JSONWebKey{}, ErrKeyForm
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return jose.JSONWebKey{}, fmt.Errorf("%w: PEM block of another kind", ErrKeyForm)
	}
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("%w: damaged PEM block", ErrKeyForm)
	}
	return jose.JSONWebKey{Key: key}, nil
}

// keyID checks the curve and returns the kid, or the thumbprint if kid is "".
func keyID(kid string, key *ecdsa.PublicKey) (string, error) {
	if key.Curve != elliptic.P256() {
		return "", fmt.Errorf("%w: it is on another curve", ErrKeyForm)
	}
	if len(kid) > maxKeyID {
		return "", fmt.Errorf("%w: its kid is longer than %d bytes", ErrKeyForm, maxKeyID)
	}
	if kid == "" {
		kid = thumbprint(key)
	}
	return kid, nil
}

// thumbprint cannot fail for a P-256 key, the only kind this package holds.
func thumbprint(key *ecdsa.PublicKey) string {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}
