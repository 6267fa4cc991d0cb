package event

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

func TestKeyFiles(t *testing.T) {
	key := newKey(t)
	private, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(public), `"d"`) {
		t.Fatal("the public file holds the private key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key.key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	jwe := sealTo(t, testData, testEnvelope(), key)
	for name, text := range map[string][]byte{"JWK": private, "PKCS 8": block("PRIVATE KEY", der), "SEC 1": block("EC PRIVATE KEY", sec1)} {
		k, err := ParsePrivateKey(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if data, err := Open(jwe, received(t, testEnvelope()), k); err != nil || string(data) != testData {
			t.Errorf("ParsePublicKey(%s): %v, want none", name, err)
		}
		if _, err := ParsePublicKey(text); !errors.Is(err, ErrKeyPrivate) {
			t.Errorf("ParsePublicKey(private %s): %v, want ErrKeyPrivate", name, err)
		}
	}
	for name, text := range map[string][]byte{"JWK": public, "SPKI": block("PUBLIC KEY", spki)} {
		k, err := ParsePublicKey(text)
		if err != nil || k.KeyID() != key.KeyID() || k.Thumbprint() != key.KeyID() {
			t.Errorf("%s: %v, kid %s", name, err, k.KeyID())
		}
		if _, err := ParsePrivateKey(text); !errors.Is(err, ErrKeyPublic) {
			t.Errorf("ParsePrivateKey(public %s): %v, want ErrKeyPublic", name, err)
		}
	}
}

// A registry's own kid is kept, and the thumbprint finds the key all the same.
func TestOwnKeyID(t *testing.T) {
	key := newKey(t)
	private, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	named, err := ParsePrivateKey([]byte(strings.Replace(string(private), key.KeyID(), "gansu-2026", 1)))
	if err != nil || named.KeyID() != "gansu-2026" || named.Public().Thumbprint() != key.KeyID() {
		t.Fatalf("%v, kid %s", err, named.KeyID())
	}
	for name, pair := range map[string][2]PrivateKey{"sealed by kid": {named, named}, "sealed by thumbprint": {key, named}} {
		jwe := sealTo(t, testData, testEnvelope(), pair[0])
		if _, err := Open(jwe, received(t, testEnvelope()), pair[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RFC 7638 over {"crv","kty","x","y"}: the example key of RFC 7517 appendix A.1.
func TestThumbprint(t *testing.T) {
	k, err := ParsePublicKey([]byte(`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Thumbprint(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"; got != want || k.KeyID() != "1" {
		t.Errorf("Thumbprint() = %s, want %s; kid %s", got, want, k.KeyID())
	}
}

func TestKeyRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&p384.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := newKey(t).Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"rubbish":        "-----BEGIN",
		"another curve":  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"certificate":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"damaged PEM":    string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[:20]})),
		"symmetric":      `{"kty":"oct","k":"c2VjcmV0"}`,
		"RSA":            `{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
		"off the curve":  `{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`,
		"for signatures": strings.Replace(string(public), `"enc"`, `"sig"`, 1),
		"another alg":    strings.Replace(string(public), `ECDH-ES+A256KW`, `ECDH-ES`, 1),
		"endless kid":    strings.Replace(string(public), `"kid":"`, `"kid":"`+strings.Repeat("k", 129), 1),
		"endless":        strings.Repeat(" ", maxKeyFile+1),
	} {
		if _, err := ParsePublicKey([]byte(text)); !errors.Is(err, ErrKeyForm) {
			t.Errorf("ParsePublicKey(%s): %v, want ErrKeyForm", name, err)
		}
		if _, err := ParsePrivateKey([]byte(text)); !errors.Is(err, ErrKeyForm) && !errors.Is(err, ErrKeyPublic) {
			t.Errorf("ParsePrivateKey(%s): %v, want ErrKeyForm", name, err)
		}
	}
}

// A private key and what a person's events hold print masked, whatever the verb.
func TestSecretsPrintMasked(t *testing.T) {
	key := newKey(t)
	private, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	var jwk struct{ D string }
	if err := json.Unmarshal(private, &jwk); err != nil {
		t.Fatal(err)
	}
	logged, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{jwk.D, new(big.Int).SetBytes(raw).String(), fmt.Sprintf("%x", raw), "测试甲", "11010519491231002X"}
	golden := goldens(t)
	for _, printed := range []string{
		string(logged), fmt.Sprintf("%v %+v %#v %s %q %x %d", key, key, key, key, key, key, key),
		fmt.Sprintf("%v %+v %#v %s %x", golden["recorded-resident"], golden["recorded-resident"], golden["recorded-resident"], golden["recorded-resident"], golden["recorded-resident"]),
		fmt.Sprintf("%v %+v %#v %s %x", golden["corrected"], golden["corrected"], golden["corrected"], golden["corrected"], golden["corrected"]),
		fmt.Sprintf("%v %+v %#v", golden["corrected"].(*Corrected).Changes, golden["corrected"].(*Corrected).Changes, golden["corrected"].(*Corrected).Changes[0]),
	} {
		for _, s := range secrets {
			if strings.Contains(printed, s) {
				t.Errorf("%.60s... shows a secret", printed)
			}
		}
	}
}

func TestCheckRecipients(t *testing.T) {
	a, b := newKey(t).Public(), newKey(t).Public()
	many := make([]Recipient, maxRecipients+1)
	for i := range many {
		many[i] = Recipient{Key: newKey(t).Public()}
	}
	for name, c := range map[string]struct {
		to []Recipient
		ok bool
	}{
		"none":           {nil, true},
		"two":            {[]Recipient{{Key: a}, {Key: b, Hukou: "62"}}, true},
		"county":         {[]Recipient{{Key: a, Hukou: "620422"}}, true},
		"a key twice":    {[]Recipient{{Key: a, Hukou: "62"}, {Key: a, Hukou: "41"}}, false},
		"no key":         {[]Recipient{{}}, false},
		"one digit":      {[]Recipient{{Key: a, Hukou: "6"}}, false},
		"seven digits":   {[]Recipient{{Key: a, Hukou: "6204221"}}, false},
		"letters":        {[]Recipient{{Key: a, Hukou: "6x"}}, false},
		"as many as may": {many[1:], true},
		"one too many":   {many, false},
	} {
		if err := CheckRecipients(c.to); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrRecipients) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	to := []Recipient{{Key: newKey(t).Public()}}
	if _, err := Seal(make([]byte, maxData+1), testEnvelope(), to); err == nil {
		t.Errorf("Seal(%d bytes): no error, want one", maxData+1)
	}
	bad := testEnvelope()
	bad.Source = `/idtap/"/x`
	if _, err := Seal([]byte(testData), bad, to); !errors.Is(err, ErrEnvelope) {
		t.Errorf("Seal(bad envelope): %v, want ErrEnvelope", err)
	}
	other := testEnvelope()
	other.Suite = "SM2.SM4"
	if _, err := Seal([]byte(testData), other, to); !errors.Is(err, ErrSealSuite) {
		t.Errorf("Seal(another suite): %v, want ErrSealSuite", err)
	}
	if _, err := Seal([]byte(testData), testEnvelope(), []Recipient{to[0], to[0]}); !errors.Is(err, ErrRecipients) {
		t.Errorf("Seal(a key twice): %v, want ErrRecipients", err)
	}
	if largest, err := Seal(make([]byte, maxData), testEnvelope(), to); err != nil || len(largest) > maxSealed {
		t.Errorf("the largest data seals to %d bytes: %v", len(largest), err)
	}
}
