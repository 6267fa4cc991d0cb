package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const testData = `{"hukou":{"division":"620422"},"person":{"name":"测试"}}`

func newKey(t testing.TB) PrivateKey {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealTo(t testing.TB, data string, env Envelope, keys ...PrivateKey) []byte {
	t.Helper()
	var to []Recipient
	for _, k := range keys {
		to = append(to, Recipient{Key: k.Public()})
	}
	jwe, err := Seal([]byte(data), env, to)
	if err != nil {
		t.Fatal(err)
	}
	return jwe
}

// received is the envelope of the sealed event as a subscriber gets it.
func received(t testing.TB, env Envelope) Envelope {
	t.Helper()
	env.Content = ContentJOSE
	got, err := ParseEnvelope(env.Headers(), env.Subject)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSealOpen(t *testing.T) {
	keys := []PrivateKey{newKey(t), newKey(t), newKey(t), newKey(t), newKey(t)}
	env := testEnvelope()
	for _, n := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			jwe := sealTo(t, testData, env, keys[:n]...)
			for i, k := range keys {
				data, err := Open(jwe, received(t, env), k)
				if i < n && (err != nil || string(data) != testData) {
					t.Errorf("Open with key %d = %q, %v, want %q", i, data, err, testData)
				}
				if i >= n && !errors.Is(err, ErrNotRecipient) {
					t.Errorf("Open with key %d: %v, want ErrNotRecipient", i, err)
				}
			}
			if bytes.Contains(jwe, []byte("测试")) {
				t.Error("the sealed body holds readable data, want none")
			}
		})
	}
}

// The true general form of RFC 7516 section 7.2.1, one recipient too.
func TestSealedForm(t *testing.T) {
	keys := []PrivateKey{newKey(t), newKey(t)}
	for n := 1; n <= 2; n++ {
		jwe := sealTo(t, testData, testEnvelope(), keys[:n]...)
		var m map[string]json.RawMessage
		if err := json.Unmarshal(jwe, &m); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"protected", "recipients", "aad", "iv", "ciphertext", "tag"} {
			if m[name] == nil {
				t.Errorf("%d recipients: no %s", n, name)
			}
			delete(m, name)
		}
		if len(m) > 0 {
			t.Errorf("%d recipients: %d members too many at the top", n, len(m))
		}
		s, err := parseSealed(jwe)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Recipients) != n {
			t.Errorf("%d entries in recipients, want %d", len(s.Recipients), n)
		}
		var kids []string
		for _, r := range s.Recipients {
			text := r.Header
			if n == 1 {
				text, _ = unbase64(s.Protected)
			}
			var h joseHeader
			if err := json.Unmarshal(text, &h); err != nil {
				t.Fatal(err)
			}
			if h.Alg != "ECDH-ES+A256KW" || h.EPK.Crv != "P-256" {
				t.Errorf("header = %s, want alg, enc, kid and epk only", text)
			}
			kids = append(kids, h.Kid)
		}
		for i, k := range keys[:n] {
			if kids[i] != k.KeyID() {
				t.Errorf("kid %d = %q, want %q", i, kids[i], k.KeyID())
			}
		}
	}
}

// The authenticated data is public knowledge: receivers rebuild it.
func TestAuthData(t *testing.T) {
	env := testEnvelope()
	want := `["` + testID + `","idtap.registration.recorded.v1","/idtap/jinshui-wenhualu-03/front","1841","` + testEpoch +
		`","2026-11-21T09:30:00.120Z","idtap.v1.recorded.41.4101.410105.jinshui-wenhualu-03.62.6204.620422"]`
	if got := string(authData(env)); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	h := env.Headers()
	encoded, err := json.Marshal([]string{h[HeaderID][0], h[HeaderType][0], h[headerSource][0], h[HeaderSequence][0],
		h[HeaderEpoch][0], h[headerTime][0], env.Subject})
	if err != nil || string(encoded) != want {
		t.Fatalf("a JSON encoder writes %s, %v, want %s", encoded, err, want)
	}
	s, err := parseSealed(sealTo(t, testData, env, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	if aad, _ := unbase64(s.AAD); string(aad) != want {
		t.Fatalf("aad of the sealed body = %s, want %s", aad, want)
	}
}

// A body belongs to one message: nothing that names it can be changed.
func TestOpenRefusesAnotherEnvelope(t *testing.T) {
	key := newKey(t)
	env := testEnvelope()
	jwe := sealTo(t, testData, env, key)
	for name, change := range map[string]func(*Envelope){
		"replayed under another id": func(e *Envelope) { e.ID = testID2 },
		"another type": func(e *Envelope) {
			e.Type = CancelledType
			e.Subject = Subject(CancelledType, jinshui)
		},
		"another reader":   func(e *Envelope) { e.Source = Source("jinshui-wenhualu-03", "side") },
		"another sequence": func(e *Envelope) { e.Seq++ },
		"another epoch":    func(e *Envelope) { e.Epoch = "other" },
		"another time":     func(e *Envelope) { e.Time = e.Time.Add(time.Millisecond) },
		"another hukou": func(e *Envelope) {
			p := jinshui
			p.HukouDivision = "620423"
			e.Subject = Subject(RecordedType, p)
		},
		"another desk": func(e *Envelope) {
			p := jinshui
			p.DeskID = "other"
			e.Source, e.Subject = Source("other", "front"), Subject(RecordedType, p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := testEnvelope()
			change(&e)
			if _, err := Open(jwe, received(t, e), key); !errors.Is(err, ErrRebound) {
				t.Fatalf("Open: %v, want ErrRebound", err)
			}
		})
	}
	if _, err := Open(jwe, env, key); !errors.Is(err, ErrSealForm) {
		t.Errorf("Open(announced as plain JSON): %v, want ErrSealForm", err)
	}
	if _, err := Open(jwe, Envelope{}, key); !errors.Is(err, ErrEnvelope) {
		t.Errorf("Open(no envelope): %v, want ErrEnvelope", err)
	}
	e := received(t, env)
	e.Suite = "SM2.SM4"
	if _, err := Open(jwe, e, key); !errors.Is(err, ErrSealSuite) {
		t.Errorf("Open(another suite): %v, want ErrSealSuite", err)
	}
}

// Another key under the same kid is not the recipient's key.
func TestOpenWithForgedKeyID(t *testing.T) {
	key, other := newKey(t), newKey(t)
	jwe := sealTo(t, testData, testEnvelope(), key)
	other.id = key.id
	if _, err := Open(jwe, received(t, testEnvelope()), other); !errors.Is(err, ErrTampered) {
		t.Fatalf("Open: %v, want ErrTampered", err)
	}
}

// Every changed character of a sealed event is noticed, whichever it is.
func TestOpenRefusesEveryChangedByte(t *testing.T) {
	env := testEnvelope()
	key, second := newKey(t), newKey(t)
	for name, jwe := range map[string][]byte{
		"one recipient":  sealTo(t, testData, env, key),
		"two recipients": sealTo(t, testData, env, key, second),
	} {
		t.Run(name, func(t *testing.T) {
			rcv := received(t, env)
			foreign := otherRecipient(jwe, second)
			for i := range jwe {
				changed := bytes.Clone(jwe)
				changed[i] ^= 1
				data, err := Open(changed, rcv, key)
				if err == nil && foreign.holds(i) && string(data) == testData {
					continue // the other recipient's entry is not ours to check beyond its form
				}
				if err == nil {
					t.Fatalf("Open with byte %d changed (%q -> %q): opened, want refused", i, jwe[i], changed[i])
				}
			}
		})
	}
}

type span struct{ from, to int }

func (s span) holds(i int) bool { return i >= s.from && i < s.to }

// otherRecipient is the span of the second recipient's entry.
func otherRecipient(jwe []byte, second PrivateKey) span {
	kid := bytes.Index(jwe, []byte(second.KeyID()))
	if kid < 0 {
		return span{}
	}
	return span{bytes.LastIndex(jwe[:kid], []byte(`{"header"`)), bytes.Index(jwe, []byte(`],"aad"`))}
}

func TestOpenIsStrict(t *testing.T) {
	env := testEnvelope()
	key, second := newKey(t), newKey(t)
	one := string(sealTo(t, testData, env, key))
	two := string(sealTo(t, testData, env, key, second))
	protected := func(jwe string, header string) string {
		s, err := parseSealed([]byte(jwe))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(jwe, s.Protected, base64.RawURLEncoding.EncodeToString([]byte(header)), 1)
	}
	s, err := parseSealed([]byte(one))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := unbase64(s.Protected)
	if err != nil {
		t.Fatal(err)
	}
	with := func(extra string) string {
		return protected(one, strings.Replace(string(plain), "{", "{"+extra+",", 1))
	}
	changed := func(old, new string) string { return protected(one, strings.Replace(string(plain), old, new, 1)) }
	for _, c := range []struct {
		name string
		jwe  string
		want error
	}{
		{"empty", "", ErrSealForm},
		{"compact form", s.Protected + "." + s.Recipients[0].EncryptedKey + "." + s.IV + "." + s.Ciphertext + "." + s.Tag, ErrSealForm},
		{"no object", `[]`, ErrSealForm},
		{"null", `null`, ErrSealForm},
		{"cut", one[:len(one)-2], ErrSealForm},
		{"two documents", one + one, ErrSealForm},
		{"flattened", strings.Replace(one, `"recipients":[{`, `"encrypted_key":"`+s.Recipients[0].EncryptedKey+`","x":[{`, 1), ErrSealForm},
		{"stray encrypted_key", strings.Replace(one, `{`, `{"encrypted_key":"AAAA",`, 1), ErrSealForm},
		{"unprotected header", strings.Replace(one, `{`, `{"unprotected":{"alg":"dir"},`, 1), ErrSealForm},
		{"name twice", strings.Replace(one, `{`, `{"tag":"AAAA",`, 1), ErrSealForm},
		{"name in capitals", strings.Replace(one, `"tag"`, `"TAG"`, 1), ErrSealForm},
		{"no recipients", strings.Replace(one, `"recipients":[{"encrypted_key":"`+s.Recipients[0].EncryptedKey+`"}]`, `"recipients":[]`, 1), ErrSealForm},
		{"recipients null", strings.Replace(one, `"recipients":[{"encrypted_key":"`+s.Recipients[0].EncryptedKey+`"}]`, `"recipients":null`, 1), ErrSealForm},
		{"recipient with more", strings.Replace(one, `{"encrypted_key"`, `{"p2c":1,"encrypted_key"`, 1), ErrSealForm},
		{"short iv", strings.Replace(one, s.IV, s.IV[:15], 1), ErrSealForm},
		{"short tag", strings.Replace(one, s.Tag, s.Tag[:8], 1), ErrSealForm},
		{"no ciphertext", strings.Replace(one, s.Ciphertext, "", 1), ErrTampered},
		{"padded base64", strings.Replace(one, s.Tag, s.Tag+"==", 1), ErrSealForm},
		{"line break in base64", strings.Replace(one, s.Ciphertext, s.Ciphertext[:4]+`\n`+s.Ciphertext[4:], 1), ErrSealForm},
		{"zip", with(`"zip":"DEF"`), ErrSealForm},
		{"b64", with(`"b64":false`), ErrSealForm},
		{"crit", with(`"crit":["exp"]`), ErrSealForm},
		{"jku", with(`"jku":"https://example.com"`), ErrSealForm},
		{"apu", with(`"apu":"QQ"`), ErrSealForm},
		{"alg twice", with(`"alg":"dir"`), ErrSealForm},
		{"alg dir", changed("ECDH-ES+A256KW", "dir"), ErrSealSuite},
		{"alg PBES2", changed("ECDH-ES+A256KW", "PBES2-HS256+A128KW"), ErrSealSuite},
		{"enc A128CBC-HS256", changed("A256GCM", "A128CBC-HS256"), ErrSealSuite},
		{"curve P-384", changed("P-256", "P-384"), ErrSealSuite},
		{"curve OKP", changed(`"EC"`, `"OKP"`), ErrSealSuite},
		{"protected header is no object", protected(one, `7`), ErrSealForm},
		{"shared alg with two recipients", protected(two, `{"alg":"ECDH-ES+A256KW","enc":"A256GCM"}`), ErrSealForm},
		{"shared kid with two recipients", protected(two, `{"enc":"A256GCM","kid":"k"}`), ErrSealForm},
		{"no enc", protected(two, `{}`), ErrSealSuite},
		{"same recipient twice", strings.Replace(two, second.KeyID(), key.KeyID(), 1), ErrSealForm},
		{"recipient header with zip", strings.Replace(two, `"alg"`, `"zip":"DEF","alg"`, 1), ErrSealForm},
		{"recipient header null", strings.Replace(one, `{"encrypted_key"`, `{"header":null,"encrypted_key"`, 1), ErrSealForm},
		{"too many recipients", strings.Replace(one, `[{"encrypted_key"`, `[`+strings.Repeat(`{"encrypted_key":"`+s.Recipients[0].EncryptedKey+`"},`, maxRecipients)+`{"encrypted_key"`, 1), ErrSealForm},
		{"endless", `{"protected":"` + strings.Repeat("A", maxSealed) + `"}`, ErrSealForm},
		{"deep", strings.Repeat(`{"protected":`, 100_000), ErrSealForm},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, err := Open([]byte(c.jwe), received(t, env), key)
			if !errors.Is(err, c.want) {
				t.Fatalf("Open: %v, want %v", err, c.want)
			}
			if data != nil {
				t.Fatal("Open: data beside an error, want none")
			}
		})
	}
}

func recipients(t testing.TB, jwe []byte) int {
	t.Helper()
	s, err := parseSealed(jwe)
	if err != nil {
		t.Fatal(err)
	}
	return len(s.Recipients)
}

// Keys limited to a hukou division get what is about it and nothing else.
func TestSealHukouLimits(t *testing.T) {
	desk, gansu, baiyin, huining, henan := newKey(t), newKey(t), newKey(t), newKey(t), newKey(t)
	to := []Recipient{
		{Key: desk.Public()}, {Key: gansu.Public(), Hukou: "62"}, {Key: baiyin.Public(), Hukou: "6204"},
		{Key: huining.Public(), Hukou: "620422"}, {Key: henan.Public(), Hukou: "41"},
	}
	none := jinshui
	none.HukouDivision = ""
	for _, c := range []struct {
		name, data string
		place      Place
		gets       []PrivateKey
	}{
		{"county", `{"hukou":{"division":"620422"}}`, none, []PrivateKey{desk, gansu, baiyin, huining}},
		{"another county of the prefecture", `{"hukou":{"division":"620423"}}`, none, []PrivateKey{desk, gansu, baiyin}},
		{"province only", `{"hukou":{"division":"620000"}}`, none, []PrivateKey{desk, gansu}},
		{"divided unit, one successor is the key's", `{"hukou":{"division":"620400","successors":["620422","620423"]}}`, none, []PrivateKey{desk, gansu, baiyin, huining}},
		{"divided across prefectures", `{"hukou":{"division":"620000","successors":["620422","621102"]}}`, none, []PrivateKey{desk, gansu, baiyin, huining}},
		{"unresolved", `{"hukou":{"confidence":"none"}}`, none, []PrivateKey{desk}},
		{"no hukou", `{"document":{"kind":"foreign_pr_2023"}}`, none, []PrivateKey{desk}},
		{"correction that moves the hukou", `{"hukou_divisions":["620422","410105"]}`, none, []PrivateKey{desk, gansu, baiyin, huining, henan}},
		{"the data goes before the subject", `{"hukou":{"division":"410105"}}`, jinshui, []PrivateKey{desk, henan}},
		{"the subject where the data is silent", `{"refers":"x"}`, jinshui, []PrivateKey{desk, gansu, baiyin, huining}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testEnvelope()
			env.Subject = Subject(RecordedType, c.place)
			jwe, err := Seal([]byte(c.data), env, to)
			if err != nil {
				t.Fatal(err)
			}
			if got := recipients(t, jwe); got != len(c.gets) {
				t.Errorf("%d recipients, want %d", got, len(c.gets))
			}
			for _, k := range []PrivateKey{desk, gansu, baiyin, huining, henan} {
				_, err := Open(jwe, received(t, env), k)
				wanted := slices.Contains(c.gets, k)
				if wanted != (err == nil) || !wanted && !errors.Is(err, ErrNotRecipient) {
					t.Errorf("Open: %v, want opened: %v", err, wanted)
				}
			}
		})
	}
	nowhere := testEnvelope()
	nowhere.Subject = Subject(RecordedType, none)
	if _, err := Seal([]byte(`{}`), nowhere, to[1:]); !errors.Is(err, ErrNoRecipient) {
		t.Errorf("Seal to keys of other divisions: %v, want ErrNoRecipient", err)
	}
	if _, err := Seal([]byte(`{}`), testEnvelope(), nil); !errors.Is(err, ErrNoRecipient) {
		t.Errorf("Seal to nobody: %v, want ErrNoRecipient", err)
	}
}
