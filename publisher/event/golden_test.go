package event

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var shanghai = time.FixedZone("CST", 8*3600)

// goldens returns the published examples in testdata by name, decoded. Package
// publisher makes them the way the daemon does.
func goldens(t testing.TB) map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples in testdata (%v), want some", len(files), err)
	}
	made := map[string]any{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		v, err := Decode(typeOf(name), readFile(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		made[name] = v
	}
	return made
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// typeOf is the event type that a golden's name begins with.
func typeOf(golden string) string {
	token, _, _ := strings.Cut(golden, "-")
	switch token {
	case "status":
		return StatusType
	case "receipt":
		return ReceiptType
	}
	return "idtap.registration." + token + ".v1"
}

// What was published reads back as the same event, byte for byte.
func TestGoldensDecode(t *testing.T) {
	for name, v := range goldens(t) {
		got, err := json.MarshalIndent(v, "", "  ")
		if want := readFile(t, filepath.Join("testdata", name+".json")); err != nil || !bytes.Equal(append(got, '\n'), want) {
			t.Errorf("%s decoded and encoded = %s, %v\nwant %s", name, got, err, want)
		}
	}
}

// Absent is absent: no empty strings but beside a change, no nulls but valid_to,
// findings a list.
func TestGoldensHoldNothingEmpty(t *testing.T) {
	for name, v := range goldens(t) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var data any
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		walk(data, "", func(path string, v any) {
			switch x := v.(type) {
			case string:
				if x == "" && path != ".changes[].old" && path != ".changes[].new" {
					t.Errorf("%s: %s is empty", name, path)
				}
			case nil:
				if !strings.HasSuffix(path, ".document.valid_to") {
					t.Errorf("%s: %s is null", name, path)
				}
			case []any:
				if len(x) == 0 && !strings.HasSuffix(path, ".quality.findings") {
					t.Errorf("%s: %s is empty", name, path)
				}
			}
		})
	}
}

func walk(v any, path string, visit func(string, any)) {
	visit(path, v)
	switch x := v.(type) {
	case map[string]any:
		for k, v := range x {
			walk(v, path+"."+k, visit)
		}
	case []any:
		for _, v := range x {
			walk(v, path+"[]", visit)
		}
	}
}

func TestValidTo(t *testing.T) {
	for text, want := range map[string]ValidTo{
		`{"valid_to":null}`:         {Null: true},
		`{"valid_to":"2030-01-01"}`: {Date: "2030-01-01"},
		`{}`:                        {},
	} {
		var d struct {
			ValidTo ValidTo `json:"valid_to,omitzero"`
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.ValidTo != want {
			t.Errorf("Unmarshal(%s) = %+v, %v, want %+v", text, d.ValidTo, err, want)
		}
		if again, err := json.Marshal(d); err != nil || string(again) != text {
			t.Errorf("Marshal(%+v) = %s, %v, want %s", want, again, err, text)
		}
	}
	var v ValidTo
	if err := json.Unmarshal([]byte(`7`), &v); err == nil {
		t.Error("Unmarshal(7) into a ValidTo: no error, want one")
	}
}

func TestDecodeRefuses(t *testing.T) {
	secret := "机密"
	for _, c := range []struct{ name, ceType, data, says string }{
		{"nothing", RecordedType, ``, "byte 0"},
		{"no object", RecordedType, `"` + secret + `"`, ""},
		{"null", RecordedType, `null`, "document.kind"},
		{"cut", RecordedType, `{"person":{"name":"` + secret, "byte"},
		{"two documents", ConfirmedType, `{}{}`, "byte"},
		{"text for a number", RecordedType, `{"desk":{"seq":"` + secret + `"}}`, "desk.seq"},
		{"no kind", RecordedType, `{"desk":{"id":"d","seq":1}}`, "document.kind"},
		{"no desk", RecordedType, `{"document":{"kind":"resident"}}`, "desk.id"},
		{"no seq", ConfirmedType, `{"refers":"x","desk":{"id":"d"}}`, "desk.seq"},
		{"no refers", CorrectedType, `{"desk":{"id":"d","seq":1}}`, "refers"},
		{"no refers", CancelledType, `{"desk":{"id":"d","seq":1}}`, "refers"},
		{"no state", StatusType, `{"desk":"d"}`, "state"},
		{"time", ConfirmedType, `{"at":"` + secret + `"}`, ""},
		{"unknown type", "idtap.registration.recorded.v2", `{}`, "type"},
		{"endless", RecordedType, strings.Repeat(" ", maxData+1), "longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Decode(c.ceType, []byte(c.data))
			if err == nil || v != nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), ErrData.Error()) {
				t.Fatalf("Decode = %v, %v, want ErrData with %q", v != nil, err, c.says)
			}
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("Decode: the error quotes the data, want none of it")
			}
		})
	}
	if _, err := Decode(RecordedType, []byte(`{"document":{"kind":"resident"},"desk":{"id":"d","seq":1},"later":{"x":1}}`)); err != nil {
		t.Errorf("Decode(a member of a later version): %v, want none", err)
	}
}
