package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzDecode is a hostile publisher: headers, subject and data of any kind. What
// is accepted must say the same when it is written again.
func FuzzDecode(f *testing.F) {
	env := testEnvelope()
	for name := range goldens(f) {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(env.ID, typeOf(name), env.Source, env.TimeText(), "1841", env.Epoch, env.Subject, data)
	}
	f.Add(env.ID, RecordedType, `/idtap/d/"x`, "2026-11-21T09:30:00.120Z", "00", "", "idtap.v1.recorded._._._.d._._._", []byte(`{"document":{"valid_to":7}}`))
	f.Fuzz(func(t *testing.T, id, ceType, source, at, seq, epoch, subject string, data []byte) {
		header := map[string][]string{
			headerSpecVersion: {specVersion}, HeaderID: {id}, HeaderType: {ceType}, headerSource: {source}, headerTime: {at},
			HeaderSequence: {seq}, HeaderEpoch: {epoch}, headerDataSchema: {schemaURL(ceType)}, headerDataContentType: {ContentJSON},
		}
		env, err := ParseEnvelope(header, subject)
		switch {
		case err != nil && !errors.Is(err, ErrEnvelope):
			t.Fatalf("ParseEnvelope: %v, want ErrEnvelope", err)
		case err == nil:
			again, err := ParseEnvelope(env.Headers(), env.Subject)
			if err != nil || again != env {
				t.Fatalf("parsed, written and parsed: got %+v, %v\nwant %+v", again, err, env)
			}
			if text := authData(env); !json.Valid(text) || bytes.ContainsAny(text, `\`) {
				t.Fatalf("authData = %q, want JSON without escapes", text)
			}
		}
		if line := Line(env, data, "zh"); strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Fatalf("Line = %q, want printable characters only", line)
		}
		v, err := Decode(ceType, data)
		if err != nil {
			if !errors.Is(err, ErrData) {
				t.Fatalf("Decode: %v, want ErrData", err)
			}
			return
		}
		once, err := json.Marshal(v)
		if err != nil {
			return // a moment beyond the year 9999
		}
		if v, err = Decode(ceType, once); err != nil {
			t.Fatalf("Decode of what was decoded and encoded: %v, want none", err)
		}
		if twice, err := json.Marshal(v); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("decoded and encoded again: got %s, %v\nwant %s", twice, err, once)
		}
	})
}

// fuzzKey is fixed, so that the corpus stays meaningful.
const fuzzKey = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`

// FuzzOpen is a hostile sealed body: nothing but what was sealed ever opens.
func FuzzOpen(f *testing.F) {
	key, err := ParsePrivateKey([]byte(fuzzKey))
	if err != nil {
		f.Fatal(err)
	}
	env := testEnvelope()
	env.Content = ContentJOSE
	f.Add(sealTo(f, testData, env, key))
	f.Add(sealTo(f, testData, env, key, newKey(f)))
	f.Add(sealTo(f, testData, env, newKey(f)))
	f.Add([]byte(`{"protected":"e30","recipients":[{"encrypted_key":""}],"aad":"","iv":"","ciphertext":"","tag":""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		data, err := Open(body, env, key)
		if err == nil {
			if string(data) != testData {
				t.Fatalf("Open = %q, want %q or an error", data, testData)
			}
			return
		}
		for _, known := range []error{ErrSealForm, ErrSealSuite, ErrNotRecipient, ErrRebound, ErrTampered} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("Open: %v, want one of the documented errors", err)
	})
}
