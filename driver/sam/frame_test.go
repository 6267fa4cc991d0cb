package sam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPublishedRequests compares every request with its published bytes.
func TestPublishedRequests(t *testing.T) {
	for _, c := range []struct {
		code Code
		data []byte
		want string
	}{
		{CmdReset, nil, "AAAAAA9669 0003 10FF EC"},
		{CmdSelfTest, nil, "AAAAAA9669 0003 11FF ED"},
		{CmdSAMID, nil, "AAAAAA9669 0003 12FF EE"},
		{CmdFind, nil, "AAAAAA9669 0003 2001 22"},
		{CmdSelect, nil, "AAAAAA9669 0003 2002 21"},
		{CmdReadText, nil, "AAAAAA9669 0003 3001 32"},
		{CmdReadAddress, nil, "AAAAAA9669 0003 3003 30"},
		{CmdReadManagement, nil, "AAAAAA9669 0003 3005 36"},
		{CmdMaxRF, []byte{0x50}, "AAAAAA9669 0004 61FF50 CA"},
		{CmdMaxRF, []byte{0x58}, "AAAAAA9669 0004 61FF58 C2"},
	} {
		t.Run(c.code.String(), func(t *testing.T) {
			want := unhex(t, c.want)
			if got := c.code.Frame(c.data...); !bytes.Equal(got, want) {
				t.Errorf("Frame = % X, want % X", got, want)
			}
			s := Sniffer{Commands: true}
			s.Write(want)
			b, ok := s.Next()
			if !ok || b.Code() != c.code || !bytes.Equal(b[2:], c.data) || s.Stats() != (LineStats{}) {
				t.Errorf("Next = %v with stats %+v, want the command back", ok, s.Stats())
			}
		})
	}
}

// publishedAnswers are the complete frames that public sources print, and those
// computed by the same rule.
var publishedAnswers = []struct {
	name, frame string
	sw3         byte
	data        int
}{
	{"ok", "AAAAAA9669000400009094", OK, 0},
	{"card found", "AAAAAA9669000800009F0000000097", CardFound, 4},
	{"no card", "AAAAAA9669000400008084", NoCard, 0},
	{"selected", "AAAAAA9669000C00009000000000000000009C", OK, 8},
	{"select failed", "AAAAAA9669000400008185", SelectFailed, 0},
	{"read failed", "AAAAAA9669000400004145", ReadFailed, 0},
	{"card refused", "AAAAAA9669000400003236", SAMRefusedCard, 0},
	{"no such item", "AAAAAA9669000400009195", NoSuchItem, 0},
	{"self-test failed", "AAAAAA9669000400006064", SelfTestFailed, 0},
	{"not authorised", "AAAAAA9669000400006662", NotAuthorised, 0},
	{"bad command", "AAAAAA9669000400002125", BadCommand, 0},
	{"bad checksum", "AAAAAA9669000400001014", BadChecksum, 0},
	{"bad length", "AAAAAA9669000400001115", BadLength, 0},
	{"unrecognised", "AAAAAA9669000400002420", Unrecognised, 0},
	{"wrong card", "AAAAAA9669000400004044", WrongCardType, 0},
	{"SAM refused", "AAAAAA9669000400003135", CardRefusedSAM, 0},
	{"SAM id", "AAAAAA96690014000090050001005B0333015AB31E00000000001D", OK, 16},
}

// TestPublishedAnswers decodes and encodes every published answer.
func TestPublishedAnswers(t *testing.T) {
	for _, c := range publishedAnswers {
		t.Run(c.name, func(t *testing.T) {
			raw := unhex(t, c.frame)
			var s Sniffer
			s.Write(raw)
			b, ok := s.Next()
			if !ok {
				t.Fatal("no frame found")
			}
			if b.Status() != (Status{0, 0, c.sw3}) || len(b.Data()) != c.data {
				t.Errorf("status %v with %d bytes, want %02X with %d", b.Status(), len(b.Data()), c.sw3, c.data)
			}
			if got := Answer(0, 0, c.sw3, b.Data()); !bytes.Equal(got, raw) {
				t.Errorf("Answer = % X, want % X", got, raw)
			}
			if s.Stats().Errors() != 0 {
				t.Errorf("line errors on a clean frame: %+v", s.Stats())
			}
		})
	}
}

// TestWrongPublishedFrames: two find requests circulate that fail their XOR.
func TestWrongPublishedFrames(t *testing.T) {
	for _, raw := range []string{"AAAAAA9669 0003 2001 21", "AAAAAA9669 0003 2000 22"} {
		s := Sniffer{Commands: true}
		s.Write(unhex(t, raw))
		if _, ok := s.Next(); ok || s.Stats().BadXOR != 1 {
			t.Errorf("%s: accepted = %v, stats %+v", raw, ok, s.Stats())
		}
	}
}

// TestTrap26BodyPrintsMasked: a frame may be a whole identity.
func TestTrap26BodyPrintsMasked(t *testing.T) {
	b := Body("PERSONAL")
	j, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var m Management
	copy(m[:], "PERSONAL")
	k, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %x %s %q %d", b, b, b, b, b, b), string(j),
		fmt.Sprintf("%v %x %s %d", m, m, m, m), string(k)} {
		if strings.Contains(text, "PERSONAL") || strings.Contains(text, "50") || strings.Contains(text, "80") {
			t.Errorf("a body printed itself: %s", text)
		}
	}
}
