package event

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var schemaTypes = map[string]reflect.Type{
	RecordedType:  reflect.TypeFor[Registration](),
	ConfirmedType: reflect.TypeFor[Confirmed](),
	CorrectedType: reflect.TypeFor[Corrected](),
	CancelledType: reflect.TypeFor[Cancelled](),
	StatusType:    reflect.TypeFor[ReaderStatus](),
	ReceiptType:   reflect.TypeFor[Receipt](),
}

const sealedSchema = "idtap.sealed.v1"

func readJSON(t testing.TB, path string) any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// compile compiles the schema of a type as it is, or closed: with members that
// it does not name forbidden, so that a test notices one that is not documented.
func compile(t testing.TB, name string, closed bool) *jsonschema.Schema {
	t.Helper()
	doc := readJSON(t, filepath.Join("schema", name+".json")).(map[string]any)
	if closed {
		closeObjects(doc)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	url := doc["$id"].(string)
	if err := c.AddResource(url, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeObjects(v any) {
	switch x := v.(type) {
	case map[string]any:
		if x["type"] == "object" && x["$ref"] == nil {
			x["additionalProperties"] = false
		}
		for name, v := range x {
			if name != "allOf" && name != "anyOf" { // conditions name what they are about only
				closeObjects(v)
			}
		}
	case []any:
		for _, v := range x {
			closeObjects(v)
		}
	}
}

func TestSchemasAcceptRealEvents(t *testing.T) {
	for name := range goldens(t) {
		data := readJSON(t, filepath.Join("testdata", name+".json"))
		for _, closed := range []bool{false, true} {
			if err := compile(t, typeOf(name), closed).Validate(data); err != nil {
				t.Errorf("%s (closed %v): %v", name, closed, err)
			}
		}
	}
}

// What version 0.1 published still validates and reads back.
func TestEventsOfVersion01(t *testing.T) {
	files, err := filepath.Glob("testdata/v0.1/*.json")
	if err != nil || len(files) != 11 {
		t.Fatalf("%d events of version 0.1, want 11 (%v)", len(files), err)
	}
	for _, file := range files {
		ceType := typeOf(strings.TrimSuffix(filepath.Base(file), ".json"))
		if err := compile(t, ceType, true).Validate(readJSON(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := Decode(ceType, readFile(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Values to come pass: the list of a kind, a relation or a state is open.
func TestSchemasAreOpen(t *testing.T) {
	for _, c := range []struct{ golden, path, value string }{
		{"recorded-resident", "source", "booklet"},
		{"recorded-resident", "document.status", "lost"},
		{"recorded-resident", "residence.direction", "transit"},
		{"recorded-resident", "residence.relation", "neighbour"},
		{"recorded-resident", "later", "member"},
		{"cancelled", "reason", "erased"},
		{"receipt", "state", "forwarded"},
		{"status-away", "state", "asleep"},
	} {
		data := readJSON(t, filepath.Join("testdata", c.golden+".json"))
		set(t, data, c.path, c.value)
		if err := compile(t, typeOf(c.golden), false).Validate(data); err != nil {
			t.Errorf("%s with %s = %s: %v, want valid", c.golden, c.path, c.value, err)
		}
	}
}

// The record in a correction is a recorded event's data, to the letter.
func TestCorrectedHoldsTheRecordedSchema(t *testing.T) {
	recorded := readJSON(t, "schema/"+RecordedType+".json").(map[string]any)
	inside := readJSON(t, "schema/"+CorrectedType+".json").(map[string]any)["$defs"].(map[string]any)["registration"]
	for _, name := range []string{"$schema", "$id", "$defs"} {
		delete(recorded, name)
	}
	if !reflect.DeepEqual(inside, any(recorded)) {
		t.Error("$defs/registration of the corrected schema is not the recorded schema")
	}
}

// The schemas are complete: every member of the Go types, and no other.
func TestSchemasCoverTheTypes(t *testing.T) {
	for ceType, goType := range schemaTypes {
		doc := readJSON(t, filepath.Join("schema", ceType+".json")).(map[string]any)
		if want := schemaURL(ceType); doc["$id"] != want {
			t.Errorf("%s: $id = %v, want %s", ceType, doc["$id"], want)
		}
		if doc["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: $schema = %v, want draft 2020-12", ceType, doc["$schema"])
		}
		compareMembers(t, ceType, doc, doc, goType)
	}
}

// fromQueue are members that a registration has only once the queue has
// accepted it, as every published one has.
var fromQueue = map[string]bool{"desk.epoch": true, "desk.seq": true, "timing.accepted_at": true}

func compareMembers(t *testing.T, path string, root, node map[string]any, goType reflect.Type) {
	t.Helper()
	for goType.Kind() == reflect.Pointer || goType.Kind() == reflect.Slice && goType.Elem().Kind() != reflect.Uint8 {
		if goType.Kind() == reflect.Slice {
			node, _ = node["items"].(map[string]any)
		}
		goType = goType.Elem()
	}
	node = resolve(root, node)
	if goType.Kind() != reflect.Struct || goType == reflect.TypeFor[Time]() || goType == reflect.TypeFor[ValidTo]() {
		return
	}
	properties, _ := node["properties"].(map[string]any)
	seen := map[string]bool{}
	for i := range goType.NumField() {
		name, options, _ := strings.Cut(goType.Field(i).Tag.Get("json"), ",")
		seen[name] = true
		property, ok := properties[name].(map[string]any)
		if !ok {
			t.Errorf("%s.%s is in the Go type but not in the schema", path, name)
			continue
		}
		required := false
		list, _ := node["required"].([]any)
		for _, r := range list {
			required = required || r == name
		}
		// person is required with no member of its own that is.
		optional := strings.HasPrefix(options, "omit") && !fromQueue[path[strings.LastIndexByte(path, '.')+1:]+"."+name]
		if optional == required {
			t.Errorf("%s.%s: optional in Go %v, required in the schema %v", path, name, optional, required)
		}
		if described := resolve(root, property)["description"] != nil || property["description"] != nil; !described &&
			property["type"] != "array" && property["type"] != "boolean" && property["type"] != "object" && property["pattern"] == nil && property["enum"] == nil {
			t.Errorf("%s.%s has no description", path, name)
		}
		compareMembers(t, path+"."+name, root, property, goType.Field(i).Type)
	}
	for name := range properties {
		if !seen[name] {
			t.Errorf("%s.%s is in the schema but not in the Go type", path, name)
		}
	}
}

func resolve(root, node map[string]any) map[string]any {
	if ref, ok := node["$ref"].(string); ok {
		defs := root["$defs"].(map[string]any)
		return defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	return node
}

// Each schema stands alone, so definitions are repeated: they must not drift.
func TestSchemaDefinitionsAgree(t *testing.T) {
	files, err := filepath.Glob("schema/*.json")
	if err != nil || len(files) != len(schemaTypes)+1 {
		t.Fatalf("%d schemas, want %d (%v)", len(files), len(schemaTypes)+1, err)
	}
	first := map[string]any{}
	for _, path := range files {
		for name, def := range readJSON(t, path).(map[string]any)["$defs"].(map[string]any) {
			if before, ok := first[name]; ok && !reflect.DeepEqual(before, def) {
				t.Errorf("%s: $defs/%s differs from the other schemas'", path, name)
			}
			first[name] = def
		}
	}
}

func TestSchemasRefuse(t *testing.T) {
	for _, c := range []struct {
		golden, path string
		value        any // removed stands for none
	}{
		{"recorded-resident", "source", "Typed by hand"},
		{"recorded-resident", "source", removed},
		{"recorded-resident", "test", "no"},
		{"recorded-resident", "document", removed},
		{"recorded-resident", "document.number", ""},
		{"recorded-resident", "document.number", nil},
		{"recorded-resident", "document.valid_from", "20100101"},
		{"recorded-resident", "document.valid_from", "2010-02-30"},
		{"recorded-resident", "document.valid_to", "2030-01-01"}, // long-term
		{"recorded-resident", "document.valid_to", removed},      // long-term
		{"recorded-hmt_permit", "document.valid_to", nil},        // not long-term
		{"recorded-hmt_permit", "document.valid_to", "长期"},
		{"recorded-resident", "document.pass_number", "H12345678"},
		{"recorded-resident", "document.old_number", "ZZZ320085010107"},
		{"recorded-resident", "document.number", "123"},
		{"recorded-resident", "document.number", "11010519491231002x"},
		{"recorded-resident", "document.number", removed},
		{"recorded-foreign_pr_2017", "document.number", "ZZZ41008501010"},
		{"recorded-resident", "person", removed},
		{"recorded-resident", "person", map[string]any{}},
		{"recorded-resident", "person.name", removed},
		{"recorded-resident", "person.birth_date", removed},
		{"recorded-resident", "person.sex.code", "7"},
		{"recorded-resident", "person.ethnic.code", "汉"},
		{"recorded-resident", "person.under_14", true}, // of 76 years
		{"recorded-resident", "person.age", 13},        // without under_14
		{"recorded-resident", "hukou.division", removed},
		{"recorded-resident", "hukou.division", "620400"}, // full
		{"recorded-resident", "hukou.confidence", "none"}, // with a division
		{"recorded-unresolved", "hukou.confidence", "full"},
		{"recorded-resident", "person.ref", "11010519491231002X"},
		{"recorded-resident", "person.name", ""},
		{"recorded-resident", "person.name_raw", "6D4"},
		{"recorded-resident", "person.name_en", "TEST"},
		{"recorded-resident", "person.nationality", "ZZZ"},
		{"recorded-resident", "person.sex", "2"},
		{"recorded-resident", "person.sex.code", removed},
		{"recorded-resident", "person.birth_date", "1949-13-01"},
		{"recorded-resident", "person.age", -1},
		{"recorded-resident", "person.under_14", false},
		{"recorded-resident", "hukou", removed},
		{"recorded-hmt_permit", "hukou", map[string]any{"confidence": "none"}},
		{"recorded-foreign_pr_2017", "hukou", map[string]any{"confidence": "none"}},
		{"recorded-resident", "hukou.confidence", "sure"},
		{"recorded-resident", "hukou.division", "6204"},
		{"recorded-resident", "hukou.appended_addresses", []any{}},
		{"recorded-resident", "hukou.path", nil},
		{"recorded-resident", "residence.card_address", "x"},
		{"recorded-foreign_pr_2023", "residence.card_address", "x"},
		{"recorded-resident", "residence.groups", []any{"a", "a"}},
		{"recorded-resident", "desk.id", "Jinshui"},
		{"recorded-resident", "desk.seq", 0},
		{"recorded-resident", "desk.epoch", removed},
		{"recorded-resident", "desk.unit", ""},
		{"recorded-resident", "basis", map[string]any{}},
		{"recorded-resident", "quality.status", "good"},
		{"recorded-resident", "quality.findings", nil},
		{"recorded-resident", "quality.findings", removed},
		{"recorded-resident", "quality.status", "flagged"}, // without a finding
		{"recorded-foreign_pr_2023", "quality.status", "clean"},
		{"recorded-resident", "timing.accepted_at", "2026-11-21T17:30:00+08:00"},
		{"recorded-resident", "timing.accepted_at", "2026-11-21T17:30:00.120"},
		{"recorded-resident", "timing.read_ms", 1.5},
		{"recorded-resident", "timing.clock", "wrong"},
		{"recorded-everything", "photo.wlt", ""},
		{"recorded-everything", "stay.arrived_on", "yesterday"},
		{"confirmed", "refers", "1841"},
		{"confirmed", "refers", removed},
		{"confirmed", "operator.authenticated", removed},
		{"confirmed", "hukou_divisions", []any{"62"}},
		{"corrected", "changes", []any{}},
		{"corrected", "changes", []any{map[string]any{"field": "person.name", "old": "x"}}},
		{"corrected", "changes", []any{map[string]any{"field": "name", "old": "x", "new": "y"}}},
		{"corrected", "reason", removed},
		{"cancelled", "reason", "because I say so"},
		{"cancelled", "copy_of", "1842"},
		{"corrected", "record", nil},
		{"corrected", "record.document.number", "123"},
		{"corrected", "changes", []any{map[string]any{"field": "desk.id", "old": "x", "new": "y"}}},
		{"cancelled", "at", removed},
		{"receipt", "state", ""},
		{"receipt", "revision", 0},
		{"receipt", "refers", "1841"},
		{"receipt", "registry.id", "Jinshui"},
		{"receipt", "duplicate_of", "r-1"}, // received
		{"receipt-look", "text", strings.Repeat("长", 201)},
		{"status-away", "state", ""},
		{"status-away", "desk", "a.b"},
		{"status-away", "since", removed},
	} {
		data := readJSON(t, filepath.Join("testdata", c.golden+".json"))
		set(t, data, c.path, c.value)
		if err := compile(t, typeOf(c.golden), false).Validate(data); err == nil {
			t.Errorf("%s with %s = %v: valid, want refused", c.golden, c.path, c.value)
		}
	}
	if err := compile(t, RecordedType, true).Validate(map[string]any{"sources": "chip"}); err == nil {
		t.Error("closed schema with a misspelt member: valid, want refused")
	}
}

type absent struct{}

var removed absent

// set changes one member of decoded JSON by its path.
func set(t testing.TB, data any, path string, value any) {
	t.Helper()
	names := strings.Split(path, ".")
	node := data.(map[string]any)
	for _, n := range names[:len(names)-1] {
		node = node[n].(map[string]any)
	}
	last := names[len(names)-1]
	if value == removed {
		if _, ok := node[last]; !ok {
			t.Fatalf("%s is not there", path)
		}
		delete(node, last)
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if node[last], err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

// What Seal makes, for one recipient and for several, fits its schema too.
func TestSealedSchema(t *testing.T) {
	schema := compile(t, sealedSchema, true)
	a, b := newKey(t), newKey(t)
	for _, keys := range [][]PrivateKey{{a}, {a, b}} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(sealTo(t, testData, testEnvelope(), keys...)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("sealed to %d recipients: %v, want valid", len(keys), err)
		}
		doc.(map[string]any)["encrypted_key"] = "AAAA"
		if schema.Validate(doc) == nil {
			t.Error("a top-level encrypted_key: valid, want refused")
		}
	}
}
