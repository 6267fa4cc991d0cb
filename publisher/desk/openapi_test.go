package desk

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"idtap/publisher"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// description is openapi.yaml with its schemas ready to check answers.
type description struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

func readDescription(t *testing.T) *description {
	t.Helper()
	plain, err := yaml.YAMLToJSON(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(plain)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return &description{doc.(map[string]any), c}
}

// at follows keys, and references on the way; it gives the JSON pointer reached.
func (d *description) at(t *testing.T, keys ...string) (any, string) {
	t.Helper()
	var node any = d.doc
	pointer := "#"
	for _, k := range keys {
		m, _ := node.(map[string]any)
		v, ok := m[k]
		if !ok {
			t.Fatalf("openapi.yaml: nothing at %s/%s", pointer, k)
		}
		node, pointer = v, pointer+"/"+strings.ReplaceAll(strings.ReplaceAll(k, "~", "~0"), "/", "~1")
		if ref, ok := node.(map[string]any)["$ref"].(string); ok {
			node, pointer = d.at(t, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return node, pointer
}

// check holds a JSON body against the schema of an operation's answer.
func (d *description) check(t *testing.T, body string, keys ...string) {
	t.Helper()
	_, pointer := d.at(t, append(keys, "content", "application/json", "schema")...)
	schema, err := d.compiler.Compile("openapi.json" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatalf("not JSON: %s", body)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(keys, " "), err, body)
	}
}

// What is described is what is served, no more and no less.
func TestRoutesAreDescribed(t *testing.T) {
	d := readDescription(t)
	var described, served []string
	for path, item := range d.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	s := &Server{}
	for pattern := range s.api() {
		served = append(served, pattern)
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %q\nserved %q", described, served)
	}
}

// Every answer of the running server fits its description.
func TestAnswersFitTheDescription(t *testing.T) {
	api := readDescription(t)
	d := serve(t, func(o *Options) {
		o.PINFile = secretFile(t, "张敏:482913\n")
		o.Decoder = []string{os.Args[0], "decoder", "good"}
	})
	b := d.board
	for _, p := range []reader.Phase{reader.Starting, reader.Ready, reader.Found, reader.Reading, reader.Held, reader.Away, reader.Stuck} {
		b.Reader(reader.State{Reader: string(p), Phase: p, Since: b.o.Clock.Now(), Retry: time.Second})
	}
	now := b.o.Clock.Now()
	b.tapped("a", "name_private_use")
	b.Tapped(publisher.Tapped{ID: "q1", Reader: "side", At: now, Outcome: publisher.Refused, Quarantined: true, Verified: true, Data: registration("number_check")})
	b.Tapped(publisher.Tapped{Reader: "third", At: now, Earlier: now.Add(-time.Minute), Outcome: publisher.Repeat, Data: registration()})
	b.Tapped(publisher.Tapped{Reader: "fourth", At: now, Outcome: publisher.Full, Err: outbox.ErrFull, Data: registration()})
	b.Queue(QueueState{Waiting: 2, Oldest: now})
	b.Bus(BusState{Mode: BusAway, Since: now, Problem: "desk_id_in_use"})
	page := d.page()
	ask := func(want int, method, path, body string, headers ...string) string {
		t.Helper()
		status, _, answer := d.ask(t, method, path, body, headers...)
		if status != want {
			t.Fatalf("%s %s: %d, want %d: %s", method, path, status, want, answer)
		}
		return answer
	}
	fits := func(body, path, method, status string) {
		t.Helper()
		api.check(t, body, "paths", path, method, "responses", status)
	}
	const state, session, record = "/api/v1/state", "/api/v1/session", "/api/v1/registrations/{id}"
	fits(ask(200, "GET", state, ""), state, "get", "200")
	fits(ask(200, "GET", state, "", bearer), state, "get", "200")
	fits(ask(403, "GET", state, "", "Origin: https://evil.example"), state, "get", "default")
	fits(ask(200, "GET", session, "", page), session, "get", "200")
	fits(ask(403, "POST", session, `{"pin":"1"}`, page), session, "post", "default")
	fits(ask(200, "POST", session, `{"pin":"482913"}`, page), session, "post", "200")
	const a = "/api/v1/registrations/a"
	fits(ask(200, "POST", a+"/reveal", `{}`, page), record+"/reveal", "post", "200")
	fits(ask(502, "POST", a+"/photo", `{}`, page), record+"/photo", "post", "default")
	fits(ask(200, "POST", a+"/confirm", `{}`, page), record+"/confirm", "post", "200")
	fits(ask(200, "POST", "/api/v1/registrations/q1/confirm", `{}`, page), record+"/confirm", "post", "200")
	fits(ask(200, "POST", a+"/correct", `{"reason":"r","changes":[{"field":"person.name","new":"x"}]}`, page), record+"/correct", "post", "200")
	fits(ask(400, "POST", a+"/correct", `{"reason":"r","changes":[]}`, page), record+"/correct", "post", "default")
	fits(ask(200, "POST", a+"/cancel", `{"reason":"test_tap"}`, page), record+"/cancel", "post", "200")
	fits(ask(200, "DELETE", session, `{}`, page), session, "delete", "200")

	// A change has the shape of a snapshot with fewer keys.
	sub := b.subscribe()
	defer sub.close()
	until(t, sub, func(State) bool { return true })
	b.tapped("b", "name_private_use")
	change := until(t, sub, func(State) bool { return true })
	body, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := api.compiler.Compile("openapi.json#/components/schemas/Change")
	if err != nil {
		t.Fatal(err)
	}
	v, _ := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err := schema.Validate(v); err != nil {
		t.Errorf("change: %v\n%s", err, body)
	}
}
