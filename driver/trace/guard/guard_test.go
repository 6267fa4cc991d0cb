package guard_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/trace"
	"idtap/driver/trace/guard"
)

// visit is a recording of cards that were read, blanked or not.
func visit(t *testing.T, cards []simcard.Card, blank bool) []byte {
	t.Helper()
	var file bytes.Buffer
	w := trace.NewWriter(&file, nil, trace.Header{Model: "test", Obtained: "test", Driver: "usb"}, blank)
	for _, c := range cards {
		text, photo := c.Text(), c.Photo()
		data := append([]byte{1, 0, byte(len(photo) >> 8), byte(len(photo))}, text[:]...)
		w.Sent(sam.CmdReadText.Frame())
		answer := sam.Answer(0, 0, sam.OK, append(data, photo...))
		for len(answer) > 0 {
			n := min(64, len(answer))
			w.Received(answer[:n])
			answer = answer[n:]
		}
		w.Sent(sam.CmdReadAddress.Frame())
		var list []byte
		for _, a := range c.Addresses() {
			list = append(list, a[:]...)
		}
		w.Received(sam.Answer(0, 0, sam.OK, list))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestEveryCardIsFound: a recording that was not blanked never passes, whosever
// card it was and whatever its header says; a blanked one does.
func TestEveryCardIsFound(t *testing.T) {
	for i, c := range simcard.Generate(77, 200) {
		raw := bytes.Replace(visit(t, []simcard.Card{c}, false), []byte(`"blanked":false`), []byte(`"blanked":true`), 1)
		if len(guard.Check(raw)) == 0 {
			t.Errorf("card %d (%s) passed unblanked", i, c.Kind)
		}
		if found := guard.Check(visit(t, []simcard.Card{c}, true)); len(found) > 0 {
			t.Errorf("card %d (%s), blanked: %+v", i, c.Kind, found)
		}
	}
}

// TestEachField: a single field that was left is found.
func TestEachField(t *testing.T) {
	blank := simcard.SampleResident()
	for name, change := range map[string]func(*simcard.Card){
		"name":      func(c *simcard.Card) { c.Name = "欧阳某" },
		"birth":     func(c *simcard.Card) { c.Birth = "19760512" },
		"number":    func(c *simcard.Card) { c.Number = "410105197605120018" },
		"address":   func(c *simcard.Card) { c.Address = "幸福路" },
		"authority": func(c *simcard.Card) { c.Authority = "金水分局" },
		"appended":  func(c *simcard.Card) { c.Appended = []string{"幸福路"} },
	} {
		c := blank
		change(&c)
		file := bytes.Replace(visit(t, []simcard.Card{c}, false), []byte(`"blanked":false`), []byte(`"blanked":true`), 1)
		var text []guard.Suspicion
		for _, s := range guard.Check(file) {
			if s.What != "a photo or a fingerprint" {
				text = append(text, s)
			}
		}
		if len(text) == 0 {
			t.Errorf("%s passed", name)
		}
	}
}

// TestOtherPlaces: people outside frames and in what was typed.
func TestOtherPlaces(t *testing.T) {
	good := string(visit(t, simcard.Generate(3, 1), true))
	for name, file := range map[string]string{
		"number in the header":  strings.Replace(good, `"model":"test"`, `"model":"410105197605120018"`, 1),
		"phone in the header":   strings.Replace(good, `"obtained":"test"`, `"obtained":"tel. 13800138000"`, 1),
		"not blanked":           strings.Replace(good, `"blanked":true`, `"blanked":false`, 1),
		"number outside frames": good + `{"t_us":99999999,"dir":"rx","hex":"` + "343130313035313937363035313230303138" + `"}` + "\n",
		"number in UTF-16":      good + `{"t_us":99999999,"dir":"rx","hex":"` + utf16Digits("410105197605120018") + `"}` + "\n",
		"long request":          good + `{"t_us":99999999,"dir":"tx","hex":"` + strings.Repeat("41", 40) + `"}` + "\n",
		"something else":        good + `{"t_us":1,"dir":"rx","hex":"00","note":"张三"}` + "\n",
		"no JSON":               good + "张三\n",
	} {
		if len(guard.Check([]byte(file))) == 0 {
			t.Errorf("%s passed", name)
		}
	}
}

// TestCorpusIsSafe: what is published with the project passes.
func TestCorpusIsSafe(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/readers/*/trace.jsonl")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := guard.Check(file); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// utf16Digits is text as cards have it, in hex.
func utf16Digits(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%02x00", s[i])
	}
	return b.String()
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"idtap_trace":1,"blanked":true}` + "\n" + `{"t_us":1,"dir":"rx","hex":"aaaa96690104"}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, s := range guard.Check(file) {
			if s.Line < 1 || s.What == "" {
				t.Fatalf("a suspicion %+v of nothing", s)
			}
		}
	})
}
