package trace_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/trace"
)

func utf16le(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// capture reads cards over a faulty line and gives the trace.
func capture(t *testing.T, faults string, blank bool, cards []simcard.Card) []byte {
	t.Helper()
	f, err := mock.ParseFaults(faults)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		m := mock.NewModule(mock.Options{Timing: mock.DeskTiming, Faults: f, Quirks: mock.Quirks{Refinds: true, ChipNumbers: true}})
		tr, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		w := trace.NewWriter(&file, nil, trace.Header{Model: "simulated", Driver: "mock", Baud: 115200}, blank)
		c := sam.NewClient(driver.Observed(tr, w), sam.Options{Baud: 115200})
		c.Identify(t.Context())
		for _, card := range cards {
			m.Place(card)
			for range 4 {
				if ok, _ := c.Find(t.Context()); ok {
					c.Read(t.Context())
					c.Management(t.Context())
				}
			}
			m.Lift()
			c.Present(t.Context())
		}
		c.Close()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
	return file.Bytes()
}

func received(t trace.Trace) (all []byte) {
	for _, s := range t.Steps {
		if !s.Sent {
			all = append(all, s.Bytes...)
		}
	}
	return all
}

// frames counts the frames that a host finds who gives up what is outstanding
// when it goes on.
func frames(recorded trace.Trace) (n int) {
	var answer []byte
	for _, s := range recorded.Steps {
		if !s.Sent {
			answer = append(answer, s.Bytes...)
			continue
		}
		n, answer = n+framesIn(answer), nil
	}
	return n + framesIn(answer)
}

func framesIn(p []byte) (n int) {
	var s sam.Sniffer
	s.Write(p)
	for {
		if _, ok := s.Next(); ok {
			n++
		} else if s.Pending() {
			s.Silence()
		} else {
			return n
		}
	}
}

// longTerm reports whether a block says 长期 where the date of expiry stands.
func longTerm(b [256]byte) bool { return bytes.Equal(b[204:208], utf16le("长期")) }

func TestBlankedTraceHoldsNobody(t *testing.T) {
	cards := simcard.Generate(77, 40)
	for _, faults := range []string{"", "split=7", "flip=0.3,drop=0.1,split=5", "cut=0.3,junk=0.3,double=0.2", "burst=0.3,false-start=0.3,foreign=0.3,split=3"} {
		open, err := trace.Read(bytes.NewReader(capture(t, faults, false, cards)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(received(open), utf16le(cards[0].Number)) && faults == "" {
			t.Fatal("the open trace does not hold the cards: the test would see nothing")
		}
		written, err := trace.Read(bytes.NewReader(capture(t, faults, true, cards)))
		if err != nil {
			t.Fatal(err)
		}
		afterwards := trace.Blank(open)
		if !reflect.DeepEqual(written, afterwards) {
			t.Errorf("%q: blanking while writing and afterwards differ", faults)
		}
		if len(open.Steps) != len(written.Steps) {
			t.Fatalf("%q: %d steps became %d", faults, len(open.Steps), len(written.Steps))
		}
		for i, s := range open.Steps {
			w := written.Steps[i]
			if w.At != s.At || w.Sent != s.Sent || len(w.Bytes) != len(s.Bytes) || s.Sent && !bytes.Equal(s.Bytes, w.Bytes) {
				t.Fatalf("%q: step %d changed more than its data", faults, i)
			}
		}
		all := received(written)
		for i, c := range cards {
			name := utf16le(c.Name)
			if c.NameUnits != nil {
				name = nil
				for _, u := range c.NameUnits {
					name = binary.LittleEndian.AppendUint16(name, u)
				}
			}
			secrets := map[string][]byte{"name": name, "number": utf16le(c.Number[6:]), "birth date": utf16le(c.Birth),
				"address": utf16le(c.Address), "English name": utf16le(c.NameEn), "photo": c.Photo()[20:40], "pass number": utf16le(c.PassNumber)}
			for _, a := range c.Appended {
				secrets["appended address"] = utf16le(a)
			}
			for what, secret := range secrets {
				if len(secret) > 0 && bytes.Contains(all, secret) {
					t.Errorf("%q: the %s of card %d is in the blanked trace", faults, what, i)
				}
			}
		}
		// A broken frame may fit its XOR by chance, before or after.
		if before, after := frames(open), frames(written); after-before > before/50 || before-after > before/50 {
			t.Errorf("%q: %d frames became %d", faults, before, after)
		}
	}
}

// TestBlankKeepsWhatDecodes: kind, lengths and shape stay, so that a decoder does
// the same with the blanked trace.
func TestBlankKeepsWhatDecodes(t *testing.T) {
	for i, c := range simcard.Generate(8, 200) {
		data := append([]byte{1, 0, 4, 0}, append(bytes.Clone(textOf(c)), c.Photo()...)...)
		recorded := trace.Blank(trace.Trace{Steps: []trace.Step{
			{Sent: true, Bytes: sam.CmdReadText.Frame()}, {Bytes: sam.Answer(0, 0, 0x90, data)}}})
		var s sam.Sniffer
		s.Write(recorded.Steps[1].Bytes)
		body, ok := s.Next()
		if !ok {
			t.Fatalf("card %d: no frame any more", i)
		}
		raw, err := sam.ParseCard(body.Data())
		if err != nil {
			t.Fatalf("card %d: %v", i, err)
		}
		was := c.Text()
		for at := 0; at < 256; at += 2 {
			if (was[at] == ' ' && was[at+1] == 0) != (raw.Text[at] == ' ' && raw.Text[at+1] == 0) {
				t.Fatalf("card %d (%s): padding moved at byte %d", i, c.Kind, at)
			}
		}
		if raw.Text[248] != was[248] || !bytes.Equal(raw.Photo[:11], c.Photo()[:11]) || raw.Photo[500] != 0 {
			t.Fatalf("card %d: mark or photo wrong", i)
		}
		if longTerm(was) && !longTerm(raw.Text) {
			t.Fatalf("card %d: long-term lost", i)
		}
	}
}

func textOf(c simcard.Card) []byte { b := c.Text(); return b[:] }

func TestReadTraceNamesTheLine(t *testing.T) {
	const header = `{"idtap_trace":1,"model":"m","firmware":"","obtained":"","driver":"serial","baud":9600,"blanked":true}` + "\n"
	for file, want := range map[string]string{
		"":                               "trace line 1: empty",
		`{"idtap_trace":2}`:              "trace line 1: idtap_trace is 2",
		`{"idtap_trace":1,"modell":"x"}`: "trace line 1: want one JSON object",
		header + `{"t_us":0,"dir":"out","hex":"AA"}`:                                                      `trace line 2: dir: want "tx"`,
		header + `{"t_us":0,"dir":"tx","hex":"A"}`:                                                        "trace line 2: hex",
		header + `{"t_us":0,"dir":"tx","hex":""}`:                                                         "trace line 2: hex",
		header + `{"t_us":-1,"dir":"tx","hex":"AA"}`:                                                      "trace line 2: t_us",
		header + `{"t_us":9223372036854775807,"dir":"tx","hex":"AA"}`:                                     "trace line 2: t_us",
		header + "{\"t_us\":9,\"dir\":\"tx\",\"hex\":\"AA\"}\n{\"t_us\":8,\"dir\":\"rx\",\"hex\":\"AA\"}": "trace line 3: t_us: earlier",
		header + "\n":                        "trace line 2: want one JSON object with t_us, dir, hex",
		header + strings.Repeat("x", 70_000): "trace line 2: longer",
	} {
		_, err := trace.Read(strings.NewReader(file))
		var e *trace.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", file, err, want)
		}
	}
}

func TestPlaybackIsStrict(t *testing.T) {
	recorded := trace.Trace{Steps: []trace.Step{{Sent: true, Bytes: []byte{1, 2}}, {Bytes: []byte{3, 4, 5}}, {Sent: true, Bytes: []byte{6}}}}
	buf := make([]byte, 2)
	over, cancel := context.WithCancel(t.Context())
	cancel()

	p := trace.NewPlayback(recorded)
	if _, err := p.Read(over, buf); !errors.Is(err, context.Canceled) {
		t.Errorf("read before the write: %v", err)
	}
	if err := p.Write(t.Context(), []byte{1, 2}); err != nil {
		t.Error(err)
	}
	for _, want := range []int{2, 1} {
		if n, err := p.Read(t.Context(), buf); n != want || err != nil {
			t.Errorf("read %d bytes, %v; want %d", n, err, want)
		}
	}
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "1 of 3 steps") {
		t.Errorf("close with a step left: %v", err)
	}

	for name, wrong := range map[string][][]byte{"other bytes": {{1, 3}}, "answer unread": {{1, 2}, {6}}} {
		p := trace.NewPlayback(recorded)
		var err error
		for _, w := range wrong {
			err = p.Write(t.Context(), w)
		}
		if err == nil || p.Close() == nil {
			t.Errorf("%s: write gave %v, close none", name, err)
		}
	}
	p = trace.NewPlayback(trace.Trace{})
	if p.Write(t.Context(), []byte{1}) == nil {
		t.Error("wrote after the end")
	}
}

func TestTraceTimesAreTheClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		w := trace.NewWriter(&file, nil, trace.Header{}, true)
		w.Sent(sam.CmdFind.Frame())
		time.Sleep(1500 * time.Microsecond) // the bubble's clock
		w.Received(sam.Answer(0, 0, 0x80, nil))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		recorded, err := trace.Read(&file)
		if err != nil || len(recorded.Steps) != 2 || recorded.Steps[1].At != 1500*time.Microsecond || !recorded.Header.Blanked {
			t.Errorf("%d steps, %v", len(recorded.Steps), err)
		}
	})
}

func FuzzReadTrace(f *testing.F) {
	f.Add([]byte(`{"idtap_trace":1,"model":"m","firmware":"","obtained":"","driver":"serial","baud":9600,"blanked":true}` +
		"\n" + `{"t_us":9,"dir":"tx","hex":"AAAAAA96690003300132"}` + "\n" + `{"t_us":19,"dir":"rx","hex":"AAAAAA9669000400004145AAAA"}` + "\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		recorded, err := trace.Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := recorded.Write(&again); err != nil {
			t.Fatal(err)
		}
		if back, err := trace.Read(&again); err != nil || !reflect.DeepEqual(back, recorded) {
			t.Fatalf("written and read again it differs: %v", err)
		}
		blanked := trace.Blank(recorded)
		if len(blanked.Steps) != len(recorded.Steps) {
			t.Fatalf("%d steps became %d", len(recorded.Steps), len(blanked.Steps))
		}
		for i := range recorded.Steps {
			if len(blanked.Steps[i].Bytes) != len(recorded.Steps[i].Bytes) {
				t.Fatalf("step %d changed its length", i)
			}
		}
		if !reflect.DeepEqual(trace.Blank(blanked), blanked) {
			t.Fatal("blanking twice differs from once")
		}
	})
}
