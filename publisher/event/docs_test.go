package event

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The integrators' guide names every type, header and member of the contract.
func TestGuideIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	named := func(what string) {
		t.Helper()
		if !strings.Contains(guide, "`"+what+"`") {
			t.Errorf("docs/events.md does not name %s", what)
		}
	}
	sealed := testEnvelope()
	sealed.Content = ContentJOSE
	for name := range newSigner(t, 1).Sign(sealed, []byte(testData)).Headers() {
		named(name)
	}
	named(HeaderRequeued)
	if !strings.Contains(guide, SuiteP256) || !strings.Contains(guide, Filter("410105", "jinshui-wenhualu-03")) {
		t.Error("docs/events.md does not give the suite or a desk's filter")
	}
	for ceType := range schemaTypes {
		named(ceType)
		doc := readJSON(t, filepath.Join("schema", ceType+".json")).(map[string]any)
		for name, p := range doc["properties"].(map[string]any) {
			members, nested := resolve(doc, p.(map[string]any))["properties"].(map[string]any)
			if !nested || ceType != RecordedType {
				named(name)
			}
			for member := range members {
				if ceType == RecordedType {
					named(name + "." + member)
				}
			}
		}
	}
}
