package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// object is decoded JSON; at follows names down into it.
type object map[string]any

func (o object) at(t testing.TB, path ...string) object {
	t.Helper()
	node := map[string]any(o)
	for _, name := range path {
		next, ok := node[name].(map[string]any)
		if !ok {
			t.Fatalf("%s is not there", strings.Join(path, "/"))
		}
		node = next
	}
	return node
}

func asyncAPI(t testing.TB) object {
	t.Helper()
	text, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// headerSchema is one of the document's header schemas.
func headerSchema(t testing.TB, doc object, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:asyncapi", map[string]any(doc)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:asyncapi#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAsyncAPIMessages(t *testing.T) {
	doc := asyncAPI(t)
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("asyncapi = %v, want 3.0.0", doc["asyncapi"])
	}
	messages := doc.at(t, "components", "messages")
	if len(messages) != len(schemaTypes)+1 {
		t.Errorf("%d messages, want %d: one per type and the sealed one", len(messages), len(schemaTypes)+1)
	}
	for ceType := range schemaTypes {
		token := Token(ceType)
		switch ceType {
		case StatusType:
			token = "status"
		case ReceiptType:
			token = "receipt"
		}
		m := messages.at(t, token)
		if m["name"] != ceType {
			t.Errorf("%s: name %v, want %s", token, m["name"], ceType)
		}
		file := m.at(t, "payload", "schema")["$ref"].(string)
		if id := readJSON(t, file).(map[string]any)["$id"]; id != schemaURL(ceType) {
			t.Errorf("%s: schema = %v, want %s", token, id, schemaURL(ceType))
		}
		subject := strings.Replace(exampleSubject(t, doc, ceType), "{event}", token, 1)
		examples := m["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("%s has no example", token)
		}
		for _, e := range examples {
			example := object(e.(map[string]any))
			if err := compile(t, ceType, true).Validate(example["payload"]); err != nil {
				t.Errorf("%s: the example's payload: %v", token, err)
			}
			golden := token
			if name := example["name"].(string); name != token {
				golden += "-" + name
			}
			if !reflect.DeepEqual(example["payload"], readJSON(t, filepath.Join("testdata", golden+".json"))) {
				t.Errorf("%s: the example is not testdata/%s.json", token, golden)
			}
			header := map[string][]string{}
			for name, v := range example.at(t, "headers") {
				header[name] = []string{v.(string)}
			}
			if env, err := parseExample(ceType, header, subject); err != nil || env.Type != ceType {
				t.Errorf("%s: the example's headers on %s: %v", token, subject, err)
			}
			schema := strings.TrimPrefix(m.at(t, "headers")["$ref"].(string), "#/components/schemas/")
			if err := headerSchema(t, doc, schema).Validate(map[string]any(example.at(t, "headers"))); err != nil {
				t.Errorf("%s: the example's headers: %v", token, err)
			}
		}
	}
	sealed := messages.at(t, "sealed")
	if file := sealed.at(t, "payload", "schema")["$ref"]; file != "schema/"+sealedSchema+".json" || sealed["contentType"] != ContentJOSE {
		t.Errorf("sealed: schema %v, content type %v", file, sealed["contentType"])
	}
}

// parseExample reads the headers of an example; those of a receipt are as a registry
// makes them.
func parseExample(ceType string, header map[string][]string, subject string) (Envelope, error) {
	if ceType != ReceiptType {
		return ParseEnvelope(header, subject)
	}
	text, err := os.ReadFile("testdata/receipt.json")
	if err != nil {
		return Envelope{}, err
	}
	r, err := ParseReceipt(subject, text)
	if want := ReceiptHeaders(r); err == nil && !reflect.DeepEqual(header, want) {
		err = fmt.Errorf("headers %v, want %v", header, want)
	}
	return Envelope{Type: ceType}, err
}

// exampleSubject is the address of the type's channel with the parameters'
// examples put in, {event} left open.
func exampleSubject(t testing.TB, doc object, ceType string) string {
	t.Helper()
	name := "registrations"
	switch ceType {
	case StatusType:
		name = "readerStatus"
	case ReceiptType:
		name = "receipts"
	}
	channel := doc.at(t, "channels", name)
	address := channel["address"].(string)
	for parameter, p := range channel.at(t, "parameters") {
		if !strings.Contains(address, "{"+parameter+"}") {
			t.Errorf("the address has no parameter %s", parameter)
		}
		if parameter != "event" {
			address = strings.Replace(address, "{"+parameter+"}", p.(map[string]any)["examples"].([]any)[0].(string), 1)
		}
	}
	return address
}

func TestAsyncAPIChannels(t *testing.T) {
	doc := asyncAPI(t)
	var tokens []any
	for _, ceType := range registrationTypes {
		tokens = append(tokens, Token(ceType))
		if got, want := strings.Replace(exampleSubject(t, doc, ceType), "{event}", Token(ceType), 1), Subject(ceType, jinshui); got != want {
			t.Errorf("subject from the address = %s, want %s", got, want)
		}
	}
	if got, want := exampleSubject(t, doc, StatusType), StatusSubject("410105", "jinshui-wenhualu-03"); got != want {
		t.Errorf("status subject from the address = %s, want %s", got, want)
	}
	if got, want := exampleSubject(t, doc, ReceiptType), ReceiptSubject("410105", "jinshui-wenhualu-03", "jinshui-wjw"); got != want {
		t.Errorf("receipt subject from the address = %s, want %s", got, want)
	}
	if got := doc.at(t, "channels", "registrations", "parameters", "event")["enum"]; !reflect.DeepEqual(got, tokens) {
		t.Errorf("event tokens = %v, want %v", got, tokens)
	}
}

// Headers as they are sent fit the header schemas.
func TestAsyncAPIHeaders(t *testing.T) {
	doc := asyncAPI(t)
	sealed := testEnvelope()
	sealed.Content = ContentJOSE
	signed := newSigner(t, 1).Sign(sealed, []byte(testData))
	status, err := StatusEnvelope(Place{DeskDivision: "410105", DeskID: "jinshui-wenhualu-03"}, "front", testEnvelope().Time)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		schema string
		env    Envelope
	}{{"storedEvent", testEnvelope()}, {"storedEvent", sealed}, {"storedEvent", signed}, {"cloudEvent", status}} {
		header := map[string]any{}
		for name, v := range c.env.Headers() {
			header[name] = v[0]
		}
		if err := headerSchema(t, doc, c.schema).Validate(header); err != nil {
			t.Errorf("headers of %s: %v, want valid", c.env.Type, err)
		}
		described := slices.Collect(func(yield func(string) bool) {
			for name := range doc.at(t, "components", "schemas", "cloudEvent", "properties") {
				if !yield(name) {
					return
				}
			}
		})
		described = append(described, HeaderSequence, HeaderEpoch)
		for name := range header {
			if !slices.Contains(described, name) {
				t.Errorf("%s is sent but not described", name)
			}
		}
		delete(header, HeaderEpoch)
		delete(header, HeaderID)
		if headerSchema(t, doc, c.schema).Validate(header) == nil {
			t.Errorf("headers of %s without an id: valid, want refused", c.env.Type)
		}
	}
}

// Every reference leads somewhere.
func TestAsyncAPIReferences(t *testing.T) {
	doc := asyncAPI(t)
	walk(map[string]any(doc), "", func(path string, v any) {
		if !strings.HasSuffix(path, ".$ref") {
			return
		}
		ref := v.(string)
		if inside, ok := strings.CutPrefix(ref, "#/"); ok {
			doc.at(t, strings.Split(inside, "/")...)
		} else if _, err := os.Stat(ref); err != nil {
			t.Errorf("%s: %v, want a resolvable reference", path, err)
		}
	})
}
