package event

import "testing"

func TestRenumber(t *testing.T) {
	const in = `{ "a": {"epoch":"x","seq":1}, "desk" : {"id":"d","seq": 7 ,"z":[{"seq":2}], "epoch":"old"},"n":1.50}`
	const want = `{ "a": {"epoch":"x","seq":1}, "desk" : {"id":"d","seq": 42 ,"z":[{"seq":2}], "epoch":"new"},"n":1.50}`
	for in, want := range map[string]string{
		in:                               want,
		`{"desk":{"id":"d"}}`:            `{"desk":{"id":"d"}}`,
		`{"desk":null,"epoch":"x"}`:      `{"desk":null,"epoch":"x"}`,
		`{}`:                             `{}`,
		`{"desk":{"epoch":"a","seq":1}}`: `{"desk":{"epoch":"new","seq":42}}`,
	} {
		if got, err := Renumber([]byte(in), "new", 42); err != nil || string(got) != want {
			t.Errorf("Renumber(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "[]", "7", `{"desk":`, `{"desk":{"seq":}}`} {
		if got, err := Renumber([]byte(in), "new", 42); err == nil {
			t.Errorf("Renumber(%s) = %s, want an error", in, got)
		}
	}
}
