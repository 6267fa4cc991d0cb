package mock_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
)

func faulty(t *testing.T, spec string) *mock.Module {
	t.Helper()
	f, err := mock.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	return mock.NewModule(mock.Options{Faults: f})
}

func TestParseFaultsNamesTheToken(t *testing.T) {
	for spec, says := range map[string]string{
		"flop=1":                     `fault "flop=1": unknown name; there are seed, split, stall`,
		"flip=0.02,jink=2":           `fault "jink=2"`,
		"flip":                       "want flip=VALUE",
		"flip=":                      "want flip=VALUE",
		"flip=0":                     "whole number N",
		"flip=1.5":                   "share above 0",
		"flip=NaN.":                  "share above 0",
		"flip=-0.1":                  "share above 0",
		"flip=0.1:write":             `unknown command "write"; there are find, select, read`,
		"split=0":                    "1 to 4096",
		"split=x":                    "1 to 4096",
		"delay=soon":                 "e.g. 50ms",
		"delay=2m":                   "e.g. 50ms",
		"seed=-1":                    "whole number",
		"flip=0.1,,junk=2":           `fault ""`,
		"stall=99999999999999999999": "whole number N",
	} {
		if _, err := mock.ParseFaults(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", spec, err, says)
		}
	}
	for _, spec := range []string{"", " ", "flip=0.02,split=7,junk=0.1,stall=13", "pair=0.05:read, delay=20ms:find, seed=9", "lift=3"} {
		if _, err := mock.ParseFaults(spec); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

func TestParseQuirks(t *testing.T) {
	q, err := mock.ParseQuirks("refinds, first-find-fails,power-up=2s")
	if err != nil || q != (mock.Quirks{Refinds: true, FirstFindFails: true, PowerUp: 2 * time.Second}) {
		t.Errorf("got %+v, %v", q, err)
	}
	for _, name := range mock.QuirkNames() {
		token := name
		if name == "power-up" {
			token += "=1s"
		}
		if q, err := mock.ParseQuirks(token); err != nil || q == (mock.Quirks{}) {
			t.Errorf("%s: %+v, %v", token, q, err)
		}
	}
	for list, says := range map[string]string{
		"refind": `quirk "refind" is unknown; there are refinds,`, "refinds=1": "takes no value", "power-up": "want a duration",
		"power-up=2h": "want a duration", "refinds,": `quirk ""`,
	} {
		if _, err := mock.ParseQuirks(list); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", list, err, says)
		}
	}
}

// line reads what one answer to a command looks like after the line.
func line(t *testing.T, m *mock.Module, code sam.Code) (pieces [][]byte) {
	t.Helper()
	tr, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if err := tr.Write(t.Context(), code.Frame()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel() // take what is there
	for {
		buf := make([]byte, 4096)
		n, err := tr.Read(over, buf)
		if err != nil {
			return pieces
		}
		pieces = append(pieces, buf[:n])
	}
}

func join(pieces [][]byte) (all []byte) {
	for _, p := range pieces {
		all = append(all, p...)
	}
	return all
}

// stats feeds bytes to a sniffer and counts.
func stats(p []byte) (frames int, s sam.LineStats) {
	var sn sam.Sniffer
	sn.Write(p)
	for {
		if _, ok := sn.Next(); ok {
			frames++
		} else if sn.Pending() {
			sn.Silence()
		} else {
			return frames, sn.Stats()
		}
	}
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	clean := join(line(t, faulty(t, ""), sam.CmdSAMID))
	differing := func(p []byte) (bits int) {
		for i := range p {
			for x := p[i] ^ clean[i]; x != 0; x &= x - 1 {
				bits++
			}
		}
		return bits
	}
	for seed := range 50 {
		with := func(spec string) []byte {
			m := faulty(t, spec+",seed="+string(rune('0'+seed%10))+string(rune('0'+seed/10)))
			return join(line(t, m, sam.CmdSAMID))
		}
		if p := with("flip=1"); len(p) != len(clean) || differing(p) != 1 {
			t.Fatal("flip: not one bit")
		}
		if p := with("pair=1"); len(p) != len(clean) || differing(p) != 2 {
			t.Fatal("pair: not two bits")
		} else if frames, _ := stats(p); frames != 1 {
			t.Fatal("pair: the XOR does not fit")
		}
		if p := with("drop=1"); len(p) != len(clean)-1 {
			t.Fatal("drop: not one byte less")
		}
		if p := with("double=1"); len(p) != len(clean)+1 {
			t.Fatal("double: not one byte more")
		}
		if p := with("cut=1"); len(p) >= len(clean) || string(p) != string(clean[:len(p)]) {
			t.Fatal("cut: not a beginning")
		}
		if p := with("burst=1"); len(p) != len(clean) {
			t.Fatal("burst: another length")
		}
		for _, noise := range []string{"junk=1", "foreign=1", "false-start=1"} {
			p := with(noise)
			if len(p) <= len(clean) || string(p[len(p)-len(clean):]) != string(clean) {
				t.Fatalf("%s: not something before the answer", noise)
			}
			if frames, s := stats(p); frames != 1 || s.Skipped == 0 {
				t.Fatalf("%s: %d frames found, %d bytes skipped", noise, frames, s.Skipped)
			}
		}
	}
	if p := join(line(t, faulty(t, "stall=1"), sam.CmdSAMID)); p != nil {
		t.Error("stall: an answer came")
	}
	for i, p := range line(t, faulty(t, "split=7"), sam.CmdSAMID) {
		if want := min(7, len(clean)-7*i); len(p) != want {
			t.Errorf("split: piece %d has %d bytes, want %d", i, len(p), want)
		}
	}
}

func TestFaultRates(t *testing.T) {
	m := faulty(t, "stall=13,flip=0.02,pair=0.5:read")
	for range 1300 {
		line(t, m, sam.CmdSAMID)
	}
	got := m.Injected()
	if got["stall"] != 100 {
		t.Errorf("each 13th of 1300 stalled %d times", got["stall"])
	}
	if got["flip"] < 10 || got["flip"] > 45 {
		t.Errorf("2 %% of 1200 flipped %d times", got["flip"])
	}
	if got["pair"] != 0 {
		t.Errorf("a fault of reads struck %d times elsewhere", got["pair"])
	}
}

func TestLiftAndUnplugFaults(t *testing.T) {
	m := faulty(t, "lift=1")
	m.Place(resident)
	h := newHost(t, m)
	for _, s := range []struct {
		code sam.Code
		want byte
	}{{sam.CmdFind, 0x9F}, {sam.CmdSelect, 0x90}, {sam.CmdReadText, 0x41}, {sam.CmdFind, 0x80}} {
		if got := h.status(s.code); got != s.want {
			t.Errorf("%v: %02X, want %02X", s.code, got, s.want)
		}
	}

	m = faulty(t, "unplug=2")
	tr, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	c := sam.NewClient(tr, sam.Options{})
	defer c.Close()
	if _, err := c.Identify(t.Context()); !errors.Is(err, driver.ErrGone) {
		t.Errorf("unplugged in the second answer: %v, want gone", err)
	}
}

func TestDelayFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := faulty(t, "delay=70ms")
		tr, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		began := time.Now()
		tr.Write(t.Context(), sam.CmdFind.Frame())
		if _, err := tr.Read(t.Context(), make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 70*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func FuzzParseFaults(f *testing.F) {
	f.Add("flip=0.02,split=7,junk=0.1,stall=13")
	f.Add("pair=0.05:read,delay=20ms,seed=3,lift=2,unplug=9")
	f.Add("burst=1,drop=1,double=1,cut=1,false-start=1,foreign=1")
	f.Fuzz(func(t *testing.T, spec string) {
		faults, err := mock.ParseFaults(spec)
		if err != nil {
			return
		}
		m := mock.NewModule(mock.Options{Faults: faults})
		m.Place(resident)
		for _, c := range []sam.Code{sam.CmdFind, sam.CmdSelect, sam.CmdReadText} {
			tr, err := m.Open()
			if err != nil {
				return // unplugged
			}
			tr.Write(t.Context(), c.Frame())
			over, cancel := context.WithCancel(t.Context())
			cancel()
			for buf := make([]byte, 4096); ; {
				if _, err := tr.Read(over, buf); err != nil {
					break
				}
			}
			tr.Close()
		}
	})
}
