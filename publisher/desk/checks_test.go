package desk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"idtap/driver/diagnosis"
	"idtap/publisher/bus"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// refused finds the codes that the API's source answers with.
var refused = regexp.MustCompile(`(?:refuse\(w, [^"]*|http\.Status\w+, |Problem\{|code := |code = )"([a-z_]+)"`)

// TestEveryAnswerIsExplained: what the source refuses with has an entry, here or
// with the queue and the bus, and no entry is idle.
func TestEveryAnswerIsExplained(t *testing.T) {
	elsewhere := map[string]bool{}
	for _, e := range append(bus.Entries(), outbox.Entries()...) {
		elsewhere[e.Code] = true
	}
	used := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "checks") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range refused.FindAllStringSubmatch(string(b), -1) {
			if !elsewhere[m[1]] {
				used[m[1]] = true
			}
		}
	}
	if len(used) < 15 {
		t.Fatalf("only %d codes found in the source", len(used))
	}
	explained(t, Answers(), used)
}

// TestEveryStateIsExplained: every face of the page has an entry, here or among
// the readers' phases.
func TestEveryStateIsExplained(t *testing.T) {
	b, err := os.ReadFile("assets/faces.json")
	if err != nil {
		t.Fatal(err)
	}
	var faces map[string]json.RawMessage
	if err := json.Unmarshal(b, &faces); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for f := range faces {
		used[f] = true
	}
	for _, e := range reader.Entries() {
		delete(used, e.Code)
	}
	explained(t, States(), used)
}

func explained(t *testing.T, list []diagnosis.Entry, used map[string]bool) {
	t.Helper()
	for _, e := range list {
		if !used[e.Code] {
			t.Errorf("%s is explained but never shown, or twice", e.Code)
		}
		delete(used, e.Code)
	}
	for code := range used {
		t.Errorf("%s is not explained", code)
	}
}
