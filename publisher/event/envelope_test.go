package event

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

const (
	testID    = "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23"
	testID2   = "019372b4-7c3e-7b11-9d02-5f0a1c2b3d4e"
	testEpoch = "e7f3b2a19c"
)

func testEnvelope() Envelope {
	return Envelope{
		ID: testID, Type: RecordedType, Source: Source("jinshui-wenhualu-03", "front"),
		Time: time.Date(2026, 11, 21, 9, 30, 0, 120e6, time.UTC), Seq: 1841, Epoch: testEpoch,
		Subject: Subject(RecordedType, jinshui), Content: ContentJSON,
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	sealed := testEnvelope()
	sealed.Content, sealed.Suite = ContentJOSE, SuiteP256
	status := testEnvelope()
	status.Type, status.Subject, status.Seq, status.Epoch = StatusType, StatusSubject("410105", "jinshui-wenhualu-03"), 0, ""
	for name, e := range map[string]Envelope{"plain": testEnvelope(), "sealed": sealed, "status": status} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseEnvelope(e.Headers(), e.Subject)
			if err != nil {
				t.Fatal(err)
			}
			if got != e {
				t.Fatalf("got  %+v\nwant %+v", got, e)
			}
		})
	}
}

// The header names and forms are a contract: other clients compare them exactly.
func TestEnvelopeHeaders(t *testing.T) {
	want := map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              testID,
		"ce-source":          "/idtap/jinshui-wenhualu-03/front",
		"ce-type":            "idtap.registration.recorded.v1",
		"ce-time":            "2026-11-21T09:30:00.120Z",
		"ce-dataschema":      "urn:idtap:schema:idtap.registration.recorded.v1",
		"ce-datacontenttype": "application/json",
		"ce-sequence":        "1841",
		"ce-epoch":           testEpoch,
		"Nats-Msg-Id":        testID,
	}
	got := testEnvelope().Headers()
	if len(got) != len(want) {
		t.Errorf("%d headers, want %d: %v", len(got), len(want), got)
	}
	for name, value := range want {
		if len(got[name]) != 1 || got[name][0] != value {
			t.Errorf("header %s = %q, want %q", name, got[name], value)
		}
	}
	e := testEnvelope()
	e.Content = ContentJOSE
	if h := e.Headers(); len(h[headerSuite]) != 1 || h[headerSuite][0] != SuiteP256 || h[headerDataContentType][0] != "application/jose+json" {
		t.Errorf("headers of a sealed event = %v, want %s and application/jose+json", h, SuiteP256)
	}
}

// The time is the same moment and text whatever zone the desk keeps.
func TestEnvelopeTimeIsUTC(t *testing.T) {
	e := testEnvelope()
	e.Time = e.Time.In(time.FixedZone("CST", 8*3600))
	if got := e.TimeText(); got != "2026-11-21T09:30:00.120Z" {
		t.Fatalf("TimeText() = %s, want UTC", got)
	}
}

func TestParseEnvelopeRefuses(t *testing.T) {
	set := func(name, value string) func(map[string][]string) {
		return func(h map[string][]string) { h[name] = []string{value} }
	}
	remove := func(name string) func(map[string][]string) {
		return func(h map[string][]string) { delete(h, name) }
	}
	for _, c := range []struct {
		name   string
		change func(map[string][]string)
		says   string
	}{
		{"no specversion", remove(headerSpecVersion), headerSpecVersion},
		{"specversion 0.3", set(headerSpecVersion, "0.3"), headerSpecVersion},
		{"no id", remove(HeaderID), HeaderID},
		{"two ids", func(h map[string][]string) { h[HeaderID] = []string{testID, testID2} }, HeaderID},
		{"id of version 4", set(HeaderID, "0b3f1e42-95b5-4c6c-8a51-6c1d2e3f4a5b"), HeaderMsgID},
		{"id in capitals", func(h map[string][]string) {
			h[HeaderID] = []string{strings.ToUpper(testID)}
			h[HeaderMsgID] = h[HeaderID]
		}, HeaderID},
		{"id without dashes", func(h map[string][]string) {
			h[HeaderID] = []string{strings.ReplaceAll(testID, "-", "")}
			h[HeaderMsgID] = h[HeaderID]
		}, HeaderID},
		{"another message id", set(HeaderMsgID, testID2), HeaderMsgID},
		{"unknown type", set(HeaderType, "idtap.registration.recorded.v2"), headerDataSchema},
		{"type and schema unknown", func(h map[string][]string) {
			h[HeaderType] = []string{"com.example.other"}
			h[headerDataSchema] = []string{schemaURL("com.example.other")}
		}, HeaderType},
		{"type of another subject", func(h map[string][]string) {
			h[HeaderType] = []string{CancelledType}
			h[headerDataSchema] = []string{schemaURL(CancelledType)}
		}, "subject"},
		{"another schema", set(headerDataSchema, "https://example.com/schema"), headerDataSchema},
		{"source of another desk", set(headerSource, "/idtap/other/front"), "subject"},
		{"source without reader", set(headerSource, "/idtap/jinshui-wenhualu-03"), headerSource},
		{"source with more", set(headerSource, "/idtap/jinshui-wenhualu-03/front/x"), headerSource},
		{"source with a quote", set(headerSource, `/idtap/jinshui-wenhualu-03/fr"nt`), headerSource},
		{"source of another product", set(headerSource, "/other/jinshui-wenhualu-03/front"), headerSource},
		{"no time", remove(headerTime), headerTime},
		{"time without milliseconds", set(headerTime, "2026-11-21T09:30:00Z"), headerTime},
		{"time with offset", set(headerTime, "2026-11-21T17:30:00.120+08:00"), headerTime},
		{"no sequence", remove(HeaderSequence), HeaderSequence},
		{"sequence 0", set(HeaderSequence, "0"), HeaderSequence},
		{"sequence with sign", set(HeaderSequence, "+1841"), HeaderSequence},
		{"sequence with zeros", set(HeaderSequence, "01841"), HeaderSequence},
		{"sequence too large", set(HeaderSequence, "18446744073709551616"), HeaderSequence},
		{"no epoch", remove(HeaderEpoch), HeaderEpoch},
		{"epoch with a quote", set(HeaderEpoch, `e"`), HeaderEpoch},
		{"epoch too long", set(HeaderEpoch, strings.Repeat("e", 65)), HeaderEpoch},
		{"content type text", set(headerDataContentType, "text/plain"), headerDataContentType},
		{"suite on a plain event", set(headerSuite, SuiteP256), headerSuite},
		{"endless suite", func(h map[string][]string) {
			h[headerDataContentType] = []string{ContentJOSE}
			h[headerSuite] = []string{strings.Repeat("s", 65)}
		}, headerSuite},
		{"capital header name", func(h map[string][]string) {
			h["Ce-Id"] = h[HeaderID]
			delete(h, HeaderID)
		}, HeaderID},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := testEnvelope()
			h := maps.Clone(e.Headers())
			c.change(h)
			_, err := ParseEnvelope(h, e.Subject)
			if !errors.Is(err, ErrEnvelope) {
				t.Fatalf("ParseEnvelope: %v, want ErrEnvelope", err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not name %s", err, c.says)
			}
		})
	}
	e := testEnvelope()
	if _, err := ParseEnvelope(e.Headers(), "idtap.v1.recorded"); !errors.Is(err, ErrEnvelope) || !errors.Is(err, ErrSubject) {
		t.Errorf("ParseEnvelope(bad subject): %v, want ErrSubject", err)
	}
	if _, err := ParseEnvelope(nil, e.Subject); !errors.Is(err, ErrEnvelope) {
		t.Errorf("ParseEnvelope(no headers): %v, want ErrEnvelope", err)
	}
}

// Headers of others, and what a requeue changes, are no reason to refuse.
func TestParseEnvelopeAccepts(t *testing.T) {
	e := testEnvelope()
	h := e.Headers()
	h["traceparent"] = []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	h["Nats-Expected-Last-Subject-Sequence"] = []string{"7"}
	if got, err := ParseEnvelope(h, e.Subject); err != nil || got != e {
		t.Errorf("ParseEnvelope(foreign headers beside ours): %v, want none", err)
	}
	h[HeaderRequeued] = []string{"1"}
	h[HeaderMsgID] = []string{testID + "-r1"}
	if got, err := ParseEnvelope(h, e.Subject); err != nil || got != e {
		t.Errorf("ParseEnvelope(requeued): %v, want none", err)
	}
	delete(h, HeaderRequeued)
	delete(h, HeaderMsgID)
	if got, err := ParseEnvelope(h, e.Subject); err != nil || got != e {
		t.Errorf("ParseEnvelope(without a message id): %v, want none", err)
	}
}

func TestSource(t *testing.T) {
	for reader, want := range map[string]string{
		"front":                               "/idtap/d/front",
		"ACS ACR1281 1S Dual Reader 00 00":    "/idtap/d/ACS-ACR1281-1S-Dual-Reader-00-00",
		"a/../b":                              "/idtap/d/a-..-b",
		"前台":                                  "/idtap/d/-",
		"":                                    "/idtap/d/-",
		"x\r\nce-id: forged":                  "/idtap/d/x-ce-id-forged",
		strings.Repeat("r", 100):              "/idtap/d/" + strings.Repeat("r", 64),
		`"quoted" and <tagged> & %41 %2f ünï`: "/idtap/d/-quoted-and-tagged-41-2f-n-",
	} {
		got := Source("d", reader)
		if got != want {
			t.Errorf("Source(%q) = %s, want %s", reader, got, want)
		}
		desk, name, ok := ParseSource(got)
		if !ok || desk != "d" || "/idtap/d/"+name != got {
			t.Errorf("ParseSource(%q) = %q, %q, %v", got, desk, name, ok)
		}
	}
}

func TestNewID(t *testing.T) {
	last := ""
	for range 1000 {
		id, err := NewID()
		if err != nil || !validID(id) {
			t.Fatalf("NewID() = %s, %v, want a UUIDv7", id, err)
		}
		if id <= last {
			t.Fatalf("NewID() = %s, want it to sort after %s", id, last)
		}
		last = id
	}
}
