package mock_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	"idtap/reader/card"
)

var (
	update = flag.Bool("update", false, "write the goldens of testdata/readers anew")
	record = flag.Bool("record", false, "record the traces of the simulated models in testdata/readers anew")
)

// readers is the corpus; a new entry may be tried elsewhere first.
var readers = cmp.Or(os.Getenv("IDTAP_READERS"), "../../testdata/readers")

// personalities are the models that the simulator imitates.
var personalities = []struct {
	model  string
	quirks mock.Quirks
	baud   int
	card   int // of Demo
}{
	{"plain-115200", mock.Quirks{}, 115200, 0},
	{"refinds-resting-card", mock.Quirks{Refinds: true}, 115200, 1},
	{"refuses-second-read", mock.Quirks{ReadsOnce: true}, 115200, 3},
	{"slow-9600-first-find-fails", mock.Quirks{FirstFindFails: true, PowerUp: 2100 * time.Millisecond}, 9600, 4},
	{"chip-numbers", mock.Quirks{ChipNumbers: true, CardWords: true, FirstReadFails: true}, 57600, 6},
	{"no-address-command", mock.Quirks{NoAddress: true, Refinds: true}, 115200, 2},
}

// TestRecordSimulatedModels records a visit with each personality. Without -record
// it checks that the trace in the corpus is still what the simulator does.
func TestRecordSimulatedModels(t *testing.T) {
	for _, p := range personalities {
		t.Run(p.model, func(t *testing.T) {
			var recorded bytes.Buffer
			synctest.Test(t, func(t *testing.T) {
				visit(t, &recorded, p.model, p.quirks, p.baud, simcard.Demo()[p.card])
			})
			file := filepath.Join(readers, p.model, "trace.jsonl")
			if *record {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, recorded.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if old, err := os.ReadFile(file); err != nil || !bytes.Equal(old, recorded.Bytes()) {
				t.Errorf("the simulator no longer does what %s says (%v); -record writes it anew", file, err)
			}
		})
	}
}

// visit records one card's visit as a reading loop does it: identify, look until
// it is found, read, look whether it is there, read again, lift, notice.
func visit(t *testing.T, to *bytes.Buffer, model string, quirks mock.Quirks, baud int, c simcard.Card) {
	timing := mock.DeskTiming
	timing.Baud = baud
	m := mock.NewModule(mock.Options{Timing: timing, Quirks: quirks})
	line, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := trace.NewWriter(to, nil, trace.Header{Model: model, Firmware: "simulated",
		Obtained: "driver/mock, TestRecordSimulatedModels", Driver: "mock", Baud: baud}, true)
	client := sam.NewClient(driver.Observed(line, w), sam.Options{Baud: baud})
	if _, err := client.Identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	poll := func() { time.Sleep(150 * time.Millisecond) } // the bubble's clock
	look := func() bool {
		ok, err := client.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	look()
	m.Place(c)
	for read := false; !read; poll() {
		if look() {
			_, err := client.Read(t.Context())
			read = err == nil
		}
	}
	client.Present(t.Context())
	client.Read(t.Context())
	look()
	m.Lift()
	for range 2 {
		client.Present(t.Context())
		poll()
	}
	look()
	client.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCorpus replays the trace of every reader model through the client, strictly:
// the client must send what it sent then, and make of the answers what the golden
// says.
func TestCorpus(t *testing.T) {
	models, err := os.ReadDir(readers)
	if err != nil || len(models) < len(personalities) {
		t.Fatalf("%d models, %v", len(models), err)
	}
	for _, model := range models {
		t.Run(model.Name(), func(t *testing.T) {
			file, err := os.Open(filepath.Join(readers, model.Name(), "trace.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			recorded, err := trace.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			if h := recorded.Header; !h.Blanked || h.Model == "" || h.Obtained == "" {
				t.Fatal("header: want a blanked trace with model and how it was obtained")
			}
			var got []byte
			synctest.Test(t, func(t *testing.T) { got = replay(t, recorded) })
			golden := filepath.Join(readers, model.Name(), "golden.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the client makes something else of it; -update writes the golden anew\n%s", got)
			}
		})
	}
}

// outcome is one call of a replay, or several alike in a row.
type outcome struct {
	Call   string            `json:"call"`
	Result string            `json:"result"`
	Times  int               `json:"times"`
	Card   map[string]string `json:"card,omitempty"`
}

// replay calls, over and over, the method of the client that sends what the trace
// goes on with.
func replay(t *testing.T, recorded trace.Trace) []byte {
	p := trace.NewPlayback(recorded)
	c := sam.NewClient(p, sam.Options{Baud: recorded.Header.Baud, MaxRFBytes: maxRF(recorded)})
	var all []outcome
	for {
		code, ok := p.Next()
		if !ok {
			break
		}
		o := call(t, c, code)
		if last := len(all) - 1; last >= 0 && o.Card == nil && all[last].Call == o.Call && all[last].Result == o.Result {
			all[last].Times++
			continue
		}
		all = append(all, o)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	all = append(all, outcome{"line errors", fmt.Sprint(c.LineErrors()), 1, nil})
	out, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

func call(t *testing.T, c *sam.Client, code sam.Code) outcome {
	o := outcome{Times: 1}
	var err error
	var yes bool
	switch code {
	case sam.CmdSAMID:
		var id driver.Identity
		o.Call = "identify"
		id, err = c.Identify(t.Context())
		o.Result = fmt.Sprintf("%s status %02X", id.SAM, id.Status)
	case sam.CmdSelfTest:
		o.Call, o.Result = "self-test", "well"
		_, err = c.SelfTest(t.Context())
	case sam.CmdFind:
		o.Call = "find"
		yes, err = c.Find(t.Context())
		o.Result = fmt.Sprint(yes)
	case sam.CmdSelect, sam.CmdReadText:
		var raw driver.RawCard
		o.Call, o.Result = "read", "a card"
		if raw, err = c.Read(t.Context()); err == nil {
			o.Card = fields(card.Parse(raw))
		}
	case sam.CmdReadAddress:
		o.Call = "present"
		yes, err = c.Present(t.Context())
		o.Result = fmt.Sprint(yes)
	case sam.CmdReadManagement:
		o.Call, o.Result = "management", "read"
		_, err = c.Management(t.Context())
	default:
		t.Fatalf("the trace goes on with %v, which no call of the client begins with", code)
	}
	if err != nil {
		o.Result = err.Error()
	}
	return o
}

// maxRF is what the trace sent with command 61 FF, 0 if it did not.
func maxRF(recorded trace.Trace) byte {
	for _, s := range recorded.Steps {
		sn := sam.Sniffer{Commands: true}
		sn.Write(s.Bytes)
		if b, ok := sn.Next(); s.Sent && ok && b.Code() == sam.CmdMaxRF && len(b) == 3 {
			return b[2]
		}
	}
	return 0
}

// fields shows a document; in a blanked trace it is nobody's.
func fields(d card.Document) map[string]string {
	out := map[string]string{"kind": string(d.Kind), "photo_bytes": fmt.Sprint(len(d.Photo))}
	for name, text := range map[string]card.Text{
		"name": d.Name, "name_en": d.NameEn, "sex": d.Sex, "ethnic": d.Ethnic, "birth_date": d.Birth, "address": d.Address,
		"number": d.Number, "issuing_authority": d.Authority, "valid_from": d.ValidFrom, "valid_to": d.ValidTo,
		"pass_number": d.PassNumber, "issue_count": d.IssueCount, "nationality": d.Nationality, "version": d.Version,
		"authority_code": d.AuthorityCode, "renewals": d.Renewals, "old_link": d.OldLink,
	} {
		if s := strings.TrimRight(string(utf16.Decode(text)), " "); s != "" {
			out[name] = s
		}
	}
	for i, a := range d.Appended {
		out[fmt.Sprintf("appended_%d", i+1)] = strings.TrimRight(string(utf16.Decode(a)), " ")
	}
	return out
}
