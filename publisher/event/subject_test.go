package event

import (
	"errors"
	"strings"
	"testing"
)

// The desk D of the design: 41.4101.410105.jinshui-wenhualu-03.
var jinshui = Place{DeskDivision: "410105", DeskID: "jinshui-wenhualu-03", HukouDivision: "620422"}

func TestSubject(t *testing.T) {
	for _, c := range []struct {
		name, ceType, want string
		place              Place
	}{
		{"design", RecordedType, "idtap.v1.recorded.41.4101.410105.jinshui-wenhualu-03.62.6204.620422", jinshui},
		{"confirmed", ConfirmedType, "idtap.v1.confirmed.41.4101.410105.jinshui-wenhualu-03.62.6204.620422", jinshui},
		{"corrected", CorrectedType, "idtap.v1.corrected.41.4101.410105.jinshui-wenhualu-03.62.6204.620422", jinshui},
		{"cancelled", CancelledType, "idtap.v1.cancelled.41.4101.410105.jinshui-wenhualu-03.62.6204.620422", jinshui},
		{"nothing known", RecordedType, "idtap.v1.recorded._._._.d._._._", Place{DeskID: "d"}},
		{"province only", RecordedType, "idtap.v1.recorded._._._.d.62._._", Place{DeskID: "d", HukouDivision: "620000"}},
		{"prefecture only", RecordedType, "idtap.v1.recorded._._._.d.62.6204._", Place{DeskID: "d", HukouDivision: "620400"}},
		{"county directly under a province", RecordedType, "idtap.v1.recorded._._._.d.41.4190.419001", Place{DeskID: "d", HukouDivision: "419001"}},
		{"cities without districts", RecordedType, "idtap.v1.recorded.44.4420.442000.d.44.4419.441900", Place{DeskDivision: "442000", DeskID: "d", HukouDivision: "441900"}},
		{"municipality", RecordedType, "idtap.v1.recorded.11.1101.110105.d._._._", Place{DeskDivision: "110105", DeskID: "d"}},
		{"no province 00", RecordedType, "idtap.v1.recorded._._._.d._._._", Place{DeskID: "d", HukouDivision: "000001"}},
		{"wildcards are no digits", RecordedType, "idtap.v1.recorded._._._.d._._._", Place{DeskID: "d", HukouDivision: "62.>**"}},
		{"short", RecordedType, "idtap.v1.recorded._._._.d._._._", Place{DeskID: "d", HukouDivision: "6204"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Subject(c.ceType, c.place)
			if got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
			ceType, place, err := ParseSubject(got)
			if err != nil || ceType != c.ceType {
				t.Fatalf("ParseSubject(%s) = %s, %v, want %s", got, ceType, err, c.ceType)
			}
			if again := Subject(ceType, place); again != got {
				t.Fatalf("Subject of what was parsed = %s, want %s", again, got)
			}
		})
	}
}

// The subscriptions of the design see what they are meant to see.
func TestSubjectSubscriptions(t *testing.T) {
	subject := Subject(RecordedType, jinshui)
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{"idtap.v1.*.41.4101.410105.>", true},                // place of residence
		{"idtap.v1.*.*.*.*.*.62.6204.620422", true},          // place of household registration
		{"idtap.v1.*.*.*.*.*.62.>", true},                    // its province
		{Filter(jinshui.DeskDivision, jinshui.DeskID), true}, // the desk's own chain
		{"idtap.v1.*.*.*.*.*.63.>", false},
		{"idtap.v1.*.41.4101.410106.>", false},
		{"idtap.status.v1.>", false},
	} {
		if got := matches(c.pattern, subject); got != c.want {
			t.Errorf("%s covers %s = %v, want %v", c.pattern, subject, got, c.want)
		}
	}
	if got, want := Filter("410105", "jinshui-wenhualu-03"), "idtap.v1.*.41.4101.410105.jinshui-wenhualu-03.>"; got != want {
		t.Errorf("Filter = %s, want %s", got, want)
	}
	if got, want := StatusSubject("410105", "jinshui-wenhualu-03"), "idtap.status.v1.41.4101.410105.jinshui-wenhualu-03"; got != want {
		t.Errorf("StatusSubject = %s, want %s", got, want)
	}
}

// matches is NATS's rule: * is one token, > the rest.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}

func TestShownHukou(t *testing.T) {
	for _, c := range []struct{ division, level, want, tokens string }{
		{"620422", "county", "620422", "62.6204.620422"},
		{"620422", "province", "620000", "62._._"},
		{"620422", "none", "", "_._._"},
		{"620422", "no such level", "", "_._._"},
		{"620000", "county", "620000", "62._._"},
		{"620400", "province", "620000", "62._._"},
		{"", "county", "", "_._._"},
		{"6204xx", "province", "", "_._._"},
	} {
		got := ShownHukou(c.division, c.level)
		if got != c.want || divisionTokens(got) != c.tokens {
			t.Errorf("ShownHukou(%q, %s) = %q (%s), want %q (%s)", c.division, c.level, got, divisionTokens(got), c.want, c.tokens)
		}
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	good := Subject(RecordedType, jinshui)
	for _, subject := range []string{
		"",
		"idtap",
		"idtap.v1",
		"other." + good,
		good + ".more",
		strings.TrimSuffix(good, ".620422"),
		strings.Replace(good, "recorded", "read", 1),
		strings.Replace(good, "recorded", "*", 1),
		strings.Replace(good, "jinshui", "Jinshui", 1),
		strings.Replace(good, "jinshui-wenhualu-03", strings.Repeat("a", 41), 1),
		strings.Replace(good, "jinshui-wenhualu-03", "", 1),
		strings.Replace(good, "jinshui-wenhualu-03", "*", 1),
		strings.Replace(good, "620422", "620522", 1), // county of another prefecture
		strings.Replace(good, "6204.", "_.", 1),      // a hole
		strings.Replace(good, ".62.", "._.", 1),
		strings.Replace(good, "620422", ">", 1),
		strings.Replace(good, "620422", "62042２", 1), // full-width digit
		"idtap.status.v1.41.4101.410105",
		"idtap.status.v1.41.4101.410105.d.e",
		"idtap.v2.recorded.41.4101.410105.d.62.6204.620422",
	} {
		if _, _, err := ParseSubject(subject); !errors.Is(err, ErrSubject) {
			t.Errorf("ParseSubject(%q): %v, want ErrSubject", subject, err)
		}
	}
}

func TestValidDeskID(t *testing.T) {
	for id, want := range map[string]bool{
		"jinshui-wenhualu-03": true, "a": true, strings.Repeat("9", 40): true,
		"": false, strings.Repeat("9", 41): false, "A": false, "a.b": false, "a b": false, "*": false, ">": false,
		"文化路": false, "a/b": false, "a\n": false, "$sys": false, "_": false,
	} {
		if got := ValidDeskID(id); got != want {
			t.Errorf("ValidDeskID(%q) = %v, want %v", id, got, want)
		}
	}
}

func TestSubjectOf(t *testing.T) {
	place := Place{DeskDivision: "410105", DeskID: "d", HukouDivision: "620422"}
	for in, want := range map[string]string{
		Subject(RecordedType, place):          Subject(CancelledType, place),
		Subject(ConfirmedType, Place{}):       Subject(CancelledType, Place{}),
		StatusSubject("410105", "d"):          StatusSubject("410105", "d"),
		"":                                    "",
		"idtap.v1.":                           "idtap.v1.",
		"$JS.API.STREAM.DELETE.REGISTRATIONS": "$JS.API.STREAM.DELETE.REGISTRATIONS",
	} {
		if got := SubjectOf(in, CancelledType); got != want {
			t.Errorf("SubjectOf(%q, cancelled) = %q, want %q", in, got, want)
		}
	}
}
