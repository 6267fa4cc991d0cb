package event

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"encoding/json"
)

const receiptSubject = "idtap.receipt.v1.41.4101.410105.jinshui-wenhualu-03.jinshui-wjw"

func TestParseReceipt(t *testing.T) {
	good := string(readFile(t, "testdata/receipt.json"))
	for _, tt := range []struct {
		name, subject, data string
		want                error
	}{
		{"as published", receiptSubject, good, nil},
		{"a state to come", receiptSubject, strings.Replace(good, `"received"`, `"forwarded"`, 1), nil},
		{"a member to come", receiptSubject, strings.Replace(good, `{`, `{"later": 1,`, 1), nil},
		{"another registry's name", strings.Replace(receiptSubject, "jinshui-wjw", "huining-wjw", 1), good, ErrData},
		{"an event's subject", "idtap.v1.recorded.41.4101.410105.d.62.6204.620422", good, ErrSubject},
		{"no registry", "idtap.receipt.v1.41.4101.410105.jinshui-wenhualu-03", good, ErrSubject},
		{"divisions that differ", strings.Replace(receiptSubject, "4101.", "4102.", 1), good, ErrSubject},
		{"a wild card", strings.Replace(receiptSubject, "jinshui-wjw", "*", 1), good, ErrSubject},
		{"no JSON", receiptSubject, "机密", ErrData},
		{"no event", receiptSubject, strings.Replace(good, "019372b4", "x", 1), ErrData},
		{"no state", receiptSubject, strings.Replace(good, `"received"`, `""`, 1), ErrData},
		{"no revision", receiptSubject, strings.Replace(good, `"revision": 1`, `"revision": 0`, 1), ErrData},
		{"below zero", receiptSubject, strings.Replace(good, `"revision": 1`, `"revision": -1`, 1), ErrData},
		{"endless", receiptSubject, good + strings.Repeat(" ", maxReceipt), ErrData},
	} {
		_, err := ParseReceipt(tt.subject, []byte(tt.data))
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: ParseReceipt = %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "机密") {
			t.Errorf("%s: the error quotes the data", tt.name)
		}
	}
}

// One receipt said twice is one message; another revision or state is another.
func TestReceiptID(t *testing.T) {
	r := Receipt{Refers: testID, Registry: Registry{ID: "jinshui-wjw"}, State: Received, Revision: 1}
	later, other := r, r
	later.Revision, other.State = 2, Rejected
	if a, b := ReceiptID(r), ReceiptID(r); a != b || a[14] != '5' {
		t.Errorf("ReceiptID = %s and %s, want one UUIDv5", a, b)
	}
	if ReceiptID(r) == ReceiptID(later) || ReceiptID(r) == ReceiptID(other) {
		t.Error("ReceiptID of another revision or state is the same, want another")
	}
	if !later.Supersedes(r) || r.Supersedes(r) || !r.Counts() || other.Counts() {
		t.Error("the higher revision stands and a rejected event does not count: want both so")
	}
}

func FuzzParseReceipt(f *testing.F) {
	f.Add(receiptSubject, []byte(`{"refers":"019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23","registry":{"id":"jinshui-wjw"},"state":"received","revision":1}`))
	f.Add("idtap.receipt.v1.", []byte(`{}`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		r, err := ParseReceipt(subject, data)
		if err == nil && !strings.HasSuffix(subject, "."+r.Registry.ID) {
			t.Errorf("ParseReceipt(%q) takes the name of %q", subject, r.Registry.ID)
		}
	})
}

// The commonest validator takes the schemas in its strict mode, and every event of
// this version and of 0.1.
func TestSchemasInStrictMode(t *testing.T) {
	cmd := node(t, "testdata/open/strict.mjs", "ajv")
	files, err := filepath.Glob("schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, path)
	}
	var events strings.Builder
	add := func(name, ceType string, data any) {
		line, err := json.Marshal(map[string]any{"name": name, "type": ceType, "data": data})
		if err != nil {
			t.Fatal(err)
		}
		events.Write(append(line, '\n'))
	}
	for _, pattern := range []string{"testdata/*.json", "testdata/v0.1/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			add(file, typeOf(strings.TrimSuffix(filepath.Base(file), ".json")), readJSON(t, file))
		}
	}
	add("empty", RecordedType, map[string]any{})
	cmd.Stdin = strings.NewReader(events.String())
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	if got := strings.TrimSpace(string(out)); !strings.HasPrefix(got, "empty ") || strings.Contains(got, "\n") {
		t.Errorf("refused: %s, want the empty event alone", got)
	}
}
