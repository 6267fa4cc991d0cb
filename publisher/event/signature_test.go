package event

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// seed returns the seed of a fixed key, so that signatures are reproducible.
func seed(t testing.TB, kind nkeys.PrefixByte, n byte) []byte {
	t.Helper()
	pair, err := nkeys.FromRawSeed(kind, bytes.Repeat([]byte{n}, ed25519.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	text, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newSigner(t testing.TB, n byte) Signer {
	t.Helper()
	s, err := ParseSigner(seed(t, nkeys.PrefixByteUser, n))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s Signer, env Envelope, body []byte) Envelope {
	t.Helper()
	env = s.Sign(env, body)
	got, err := ParseEnvelope(env.Headers(), env.Subject)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func trust(t testing.TB, keys ...TrustedKey) Trust {
	t.Helper()
	list, err := NewTrust(keys)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var (
	desk     = "jinshui-wenhualu-03"
	signTime = testEnvelope().Time
)

// The form is a contract with consumers in any language: it is built here from its
// description, with the standard library only.
func TestSignatureForm(t *testing.T) {
	body := []byte(testData)
	env := sign(t, newSigner(t, 1), testEnvelope(), body)
	sum := sha256.Sum256(body)
	aad := `["` + testID + `","idtap.registration.recorded.v1","/idtap/jinshui-wenhualu-03/front","1841","` + testEpoch +
		`","2026-11-21T09:30:00.120Z","` + env.Subject + `"]`
	signed := "\xffidtap.event.v1\n" + aad + "\n" + string(sum[:])
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	if want := base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed))); env.Signature != want {
		t.Errorf("Signature = %s, want %s", env.Signature, want)
	}
	raw, err := nkeys.Decode(nkeys.PrefixByteUser, []byte(env.Signer))
	if err != nil || !bytes.Equal(raw, key.Public().(ed25519.PublicKey)) {
		t.Errorf("Signer = %s (%x, %v), want the nkey of %x", env.Signer, raw, err, key.Public())
	}
	h := env.Headers()
	if got := h["ce-signature"]; len(got) != 1 || got[0] != env.Signature {
		t.Errorf("ce-signature = %q, want %q", got, env.Signature)
	}
	if got := h["ce-signer"]; len(got) != 1 || got[0] != env.Signer {
		t.Errorf("ce-signer = %q, want %q", got, env.Signer)
	}
}

// A sealed body and a status, which has neither sequence nor epoch, are signed in
// the same form.
func TestSignedBodies(t *testing.T) {
	s := newSigner(t, 1)
	list := trust(t, TrustedKey{Desk: desk, Key: s.Public(), From: signTime})
	key := newKey(t)
	env := testEnvelope()
	body := sealTo(t, testData, env, key)
	env.Content = ContentJOSE
	env = sign(t, s, env, body)
	if data, err := Open(body, env, key, list); err != nil || string(data) != testData {
		t.Errorf("Open with trust = %q, %v, want %q", data, err, testData)
	}
	status, err := StatusEnvelope(Place{DeskDivision: "410105", DeskID: desk}, "front", signTime)
	if err != nil {
		t.Fatal(err)
	}
	status = sign(t, s, status, []byte(`{}`))
	if err := Verify(status, []byte(`{}`), list); err != nil {
		t.Errorf("Verify(status): %v, want none", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	s, other := newSigner(t, 1), newSigner(t, 2)
	body := []byte(testData)
	env := sign(t, s, testEnvelope(), body)
	list := trust(t, TrustedKey{Desk: desk, Key: s.Public(), From: signTime, To: signTime.Add(time.Hour)},
		TrustedKey{Desk: "d2", Key: other.Public(), From: signTime.Add(-time.Hour)})
	if err := Verify(env, body, Trust{}, list); err != nil {
		t.Fatalf("Verify with the second of two lists: %v, want none", err)
	}
	change := func(f func(*Envelope)) Envelope { e := env; f(&e); return e }
	at := func(d time.Duration) Envelope {
		e := testEnvelope()
		e.Time = e.Time.Add(d)
		return sign(t, s, e, body)
	}
	for name, c := range map[string]struct {
		env  Envelope
		body string
		want error
	}{
		"not signed":           {testEnvelope(), testData, ErrUnsigned},
		"body":                 {env, testData + " ", ErrSignature},
		"no body":              {env, "", ErrSignature},
		"id":                   {change(func(e *Envelope) { e.ID = testID2 }), testData, ErrSignature},
		"type":                 {change(func(e *Envelope) { e.Type = CancelledType }), testData, ErrSignature},
		"reader":               {change(func(e *Envelope) { e.Source = Source(desk, "side") }), testData, ErrSignature},
		"sequence":             {change(func(e *Envelope) { e.Seq++ }), testData, ErrSignature},
		"epoch":                {change(func(e *Envelope) { e.Epoch += "x" }), testData, ErrSignature},
		"time":                 {change(func(e *Envelope) { e.Time = e.Time.Add(time.Millisecond) }), testData, ErrSignature},
		"subject":              {change(func(e *Envelope) { e.Subject = strings.Replace(e.Subject, "620422", "620423", 1) }), testData, ErrSignature},
		"another's signature":  {change(func(e *Envelope) { e.Signature = sign(t, other, *e, body).Signature }), testData, ErrSignature},
		"no key":               {change(func(e *Envelope) { e.Signer = "U" }), testData, ErrSigner},
		"no signature":         {change(func(e *Envelope) { e.Signature = "" }), testData, ErrSignature},
		"another desk's key":   {sign(t, other, testEnvelope(), body), testData, ErrSigner},
		"another desk":         {change(func(e *Envelope) { e.Source = Source("d2", "front") }), testData, ErrSigner},
		"a moment too early":   {at(-121 * time.Millisecond), testData, ErrSigner},
		"the end":              {at(time.Hour - 120*time.Millisecond), testData, ErrSigner},
		"just before the end":  {at(time.Hour - 121*time.Millisecond), testData, nil},
		"an unknown key":       {sign(t, newSigner(t, 3), testEnvelope(), body), testData, ErrSigner},
		"another content type": {change(func(e *Envelope) { e.Content = ContentJOSE }), testData, nil}, // not covered: the body then does not parse
	} {
		if err := Verify(c.env, []byte(c.body), list); !errors.Is(err, c.want) {
			t.Errorf("Verify(%s): %v, want %v", name, err, c.want)
		}
	}
	if err := Verify(env, body); !errors.Is(err, ErrSigner) {
		t.Errorf("Verify without a list: %v, want ErrSigner", err)
	}
}

// With a trust list nothing is opened that its desk did not sign.
func TestOpenVerifiesFirst(t *testing.T) {
	s := newSigner(t, 1)
	key, env := newKey(t), testEnvelope()
	body := sealTo(t, testData, env, key)
	env = received(t, env)
	if data, err := Open(body, env, key, Trust{}); !errors.Is(err, ErrUnsigned) || data != nil {
		t.Errorf("Open(not signed) = %q, %v, want ErrUnsigned", data, err)
	}
	if data, err := Open(body, sign(t, s, env, body), key, Trust{}); !errors.Is(err, ErrSigner) || data != nil {
		t.Errorf("Open(unknown signer) = %q, %v, want ErrSigner", data, err)
	}
	if data, err := Open(body, sign(t, s, env, body), key); err != nil || string(data) != testData {
		t.Errorf("Open without a list = %q, %v, want %q", data, err, testData)
	}
}

// The two headers come together or not at all; old messages have none.
func TestSignatureHeaders(t *testing.T) {
	env := sign(t, newSigner(t, 1), testEnvelope(), []byte(testData))
	for name, change := range map[string]func(map[string][]string){
		"no signer":      func(h map[string][]string) { delete(h, HeaderSigner) },
		"no signature":   func(h map[string][]string) { delete(h, HeaderSignature) },
		"two signers":    func(h map[string][]string) { h[HeaderSigner] = append(h[HeaderSigner], env.Signer) },
		"two signatures": func(h map[string][]string) { h[HeaderSignature] = append(h[HeaderSignature], env.Signature) },
		"an account": func(h map[string][]string) {
			h[HeaderSigner] = []string{publicOf(t, seed(t, nkeys.PrefixByteAccount, 1))}
		},
		"padding":           func(h map[string][]string) { h[HeaderSignature][0] += "==" },
		"63 bytes":          func(h map[string][]string) { h[HeaderSignature][0] = h[HeaderSignature][0][:84] },
		"empty":             func(h map[string][]string) { h[HeaderSignature], h[HeaderSigner] = []string{""}, []string{""} },
		"stray bits at end": func(h map[string][]string) { h[HeaderSignature][0] = h[HeaderSignature][0][:85] + "_" },
	} {
		h := env.Headers()
		change(h)
		if got, err := ParseEnvelope(h, env.Subject); !errors.Is(err, ErrEnvelope) {
			t.Errorf("ParseEnvelope(%s) = %+v, %v, want ErrEnvelope", name, got, err)
		}
	}
}

func publicOf(t testing.TB, seed []byte) string {
	t.Helper()
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestParseSigner(t *testing.T) {
	user := string(seed(t, nkeys.PrefixByteUser, 1))
	creds := "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\n" +
		"-----BEGIN USER NKEY SEED-----\n" + user + "\n------END USER NKEY SEED------\n"
	for name, text := range map[string]string{"seed": user, "seed and newline": user + "\n", "creds": creds} {
		if s, err := ParseSigner([]byte(text)); err != nil || s.Public() != newSigner(t, 1).Public() {
			t.Errorf("ParseSigner(%s) = %s, %v, want %s", name, s.Public(), err, newSigner(t, 1).Public())
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "public": newSigner(t, 1).Public(), "cut": user[:50], "account": string(seed(t, nkeys.PrefixByteAccount, 1)),
		"operator": string(seed(t, nkeys.PrefixByteOperator, 1)), "JWK": fuzzKey, "endless": strings.Repeat(" ", maxSeedFile) + user,
	} {
		_, err := ParseSigner([]byte(text))
		if !errors.Is(err, ErrSeed) {
			t.Errorf("ParseSigner(%s): %v, want ErrSeed", name, err)
		} else if len(text) > 20 && strings.Contains(err.Error(), strings.TrimSpace(text)[5:20]) {
			t.Errorf("ParseSigner(%s): the error quotes the file", name)
		}
	}
	s := newSigner(t, 1)
	logged, err := json.Marshal(map[string]any{"signer": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{string(logged), fmt.Sprintf("%v %+v %#v %s %x %d", s, s, s, s, s, &s)} {
		if strings.Contains(printed, user[2:20]) || strings.Contains(printed, "0101010101") {
			t.Errorf("printed as %s, want it masked", printed)
		}
	}
}

// nonceServer is a hostile NATS server: it sends a nonce, as JSON text, and returns
// the signature that the client answers with.
func nonceServer(t *testing.T, nonce string, seed []byte) []byte {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answer := make(chan string, 1)
	go func() {
		defer close(answer)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, `INFO {"server_id":"x","version":"2.15.2","proto":1,"headers":true,"auth_required":true,"max_payload":1048576,"nonce":"%s"}`+"\r\n", nonce)
		line, _ := bufio.NewReader(conn).ReadString('\n')
		answer <- line
	}()
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	if nc, err := nats.Connect("nats://"+listener.Addr().String(), nats.Nkey(publicOf(t, seed), pair.Sign), nats.NoReconnect()); err == nil {
		nc.Close()
		t.Fatal("connected to a server that hangs up")
	}
	var connect struct {
		Sig string `json:"sig"`
	}
	text, ok := strings.CutPrefix(<-answer, "CONNECT ")
	if !ok || json.Unmarshal([]byte(text), &connect) != nil {
		return nil // the client refused the nonce
	}
	sig, err := base64.RawURLEncoding.DecodeString(connect.Sig)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// A server has the client sign any nonce it likes. None of them signs an event.
func TestNonceSignsNoEvent(t *testing.T) {
	s, body := newSigner(t, 1), []byte(testData)
	list := trust(t, TrustedKey{Desk: desk, Key: s.Public(), From: signTime})
	// A body whose digest happens to be valid UTF-8 is what a forger would look for;
	// here the text before it must do, which is all that the byte 0xFF guards.
	signed := signedBytes(testEnvelope(), body)
	quote := func(b []byte) string {
		text, err := json.Marshal(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Trim(string(text), `"`)
	}
	control := "idtap.event.v1\\n" + strings.ReplaceAll(string(authData(testEnvelope())), `"`, `\"`)
	for name, nonce := range map[string]string{
		"as JSON writes it":    quote(signed),
		"raw bytes":            strings.NewReplacer("\n", `\n`, `"`, `\"`, "\r", `\r`, `\`, `\\`).Replace(string(signed)),
		"escaped 00ff":         `\u00ff` + quote(signed[1:]),
		"escaped surrogate":    `\udcff` + quote(signed[1:]),
		"without the byte":     quote(signed[1:]),
		"the text only":        control,
		"two bytes C3 BF":      "\xc3\xbf" + quote(signed[1:]),
		"overlong 0xFF in hex": `\xff` + quote(signed[1:]),
	} {
		sig := nonceServer(t, nonce, seed(t, nkeys.PrefixByteUser, 1))
		env := testEnvelope()
		env.Signer, env.Signature = s.Public(), encode(sig)
		if err := Verify(env, body, list); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: Verify with the nonce's signature: %v, want ErrSignature", name, err)
		}
		if name != "the text only" {
			continue
		}
		// The attack is real: the client did sign what the server asked for.
		key, err := nkeys.FromPublicKey(s.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Verify(append([]byte("idtap.event.v1\n"), authData(testEnvelope())...), sig); err != nil {
			t.Errorf("the client did not sign the nonce: %v; the test proves nothing", err)
		}
	}
}

// A consumer that does not know signatures sees the message as it always was.
func TestSignatureIsAdditive(t *testing.T) {
	env := testEnvelope()
	got, want := newSigner(t, 1).Sign(env, []byte(testData)).Headers(), env.Headers()
	delete(got, HeaderSigner)
	delete(got, HeaderSignature)
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("headers but for the signature's = %v, want %v", got, want)
	}
}

func BenchmarkSign(b *testing.B) {
	s, env, body := newSigner(b, 1), testEnvelope(), bytes.Repeat([]byte("x"), 1024)
	for b.Loop() {
		s.Sign(env, body)
	}
}

func BenchmarkVerify(b *testing.B) {
	s, body := newSigner(b, 1), bytes.Repeat([]byte("x"), 1024)
	env := sign(b, s, testEnvelope(), body)
	list := trust(b, TrustedKey{Desk: desk, Key: s.Public(), From: signTime})
	for b.Loop() {
		if err := Verify(env, body, list); err != nil {
			b.Fatal(err)
		}
	}
}
