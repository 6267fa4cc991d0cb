package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/trace"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

// decodeGolden is what the four sample cards decode to.
const decodeGolden = "../../testdata/decode/golden.jsonl"

var decodeArgs = []string{"decode", "--division", "410105", "--at", "2026-11-21"}

func sampleCards() []driver.RawCard {
	var out []driver.RawCard
	for _, f := range simcard.Samples() {
		out = append(out, f.Raw())
	}
	return out
}

// readAnswer is a card's answer to 30 01.
func readAnswer(c driver.RawCard) []byte {
	data := append([]byte{1, 0, 4, 0}, c.Text[:]...)
	return sam.Answer(0, 0, 0x90, append(data, make([]byte, 1024)...))
}

func addressAnswer(c driver.RawCard) []byte {
	var data []byte
	for _, a := range c.Addresses {
		data = append(data, a[:]...)
	}
	return sam.Answer(0, 0, 0x90, data)
}

// session is what a reader sends for a card, the answers around the text too.
func session(c driver.RawCard) [][]byte {
	out := [][]byte{
		sam.Answer(0, 0, 0x80, nil), sam.Answer(0, 0, 0x9F, make([]byte, 4)), sam.Answer(0, 0, 0x90, make([]byte, 8)),
		readAnswer(c),
	}
	if len(c.Addresses) == 0 {
		return append(out, sam.Answer(0, 0, 0x91, nil))
	}
	return append(out, addressAnswer(c), addressAnswer(c)) // presence is watched by asking again
}

// forms are one set of cards in every form that decode reads.
func forms(t *testing.T, cards []driver.RawCard) map[string][]byte {
	t.Helper()
	var block, stream, noisy, blockHex, frameHex bytes.Buffer
	recorded := trace.Trace{Header: trace.Header{Model: "simulated"}}
	at := time.Duration(0)
	blockHex.WriteString("\ufeff# text blocks\n\n")
	noisy.WriteString("\xAA\xAA\xAAjunk")
	for _, c := range cards {
		block.Write(c.Text[:])
		fmt.Fprintf(&blockHex, "% X\r\n", c.Text[:])
		for _, answer := range session(c) {
			stream.Write(answer)
			noisy.Write(sam.Command(0x30, 0x01))
			noisy.Write(answer[1:]) // a sync byte lost
			noisy.WriteString("\x02\x00\x01\x03")
			fmt.Fprintln(&frameHex, hex.EncodeToString(sam.Command(0x20, 0x01)))
			fmt.Fprintln(&frameHex, hex.EncodeToString(answer))
			at += time.Millisecond
			recorded.Steps = append(recorded.Steps, trace.Step{At: at, Sent: true, Bytes: sam.Command(0x30, 0x01)},
				trace.Step{At: at, Bytes: answer[:5]}, trace.Step{At: at, Bytes: answer[5:]})
		}
	}
	var traced bytes.Buffer
	if err := recorded.Write(&traced); err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{"binary answers": stream.Bytes(), "binary answers among junk": noisy.Bytes(),
		"hex answers": frameHex.Bytes(), "trace": traced.Bytes()}
	if len(cards[0].Addresses) == 0 {
		out["binary blocks"], out["hex blocks"] = block.Bytes(), blockHex.Bytes()
	}
	return out
}

func TestDecodeReadsEveryForm(t *testing.T) {
	inputs := forms(t, sampleCards())
	if *updateGolden {
		_, out, _ := runWith(bytes.NewReader(inputs["binary answers"]), decodeArgs...)
		if err := os.MkdirAll(filepath.Dir(decodeGolden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(decodeGolden, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(decodeGolden)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range inputs {
		for how, r := range map[string]io.Reader{"whole": bytes.NewReader(in), "byte by byte": iotest.OneByteReader(bytes.NewReader(in))} {
			code, out, errs := runWith(r, append(decodeArgs, "-")...)
			if code != exitOK || errs != "" {
				t.Errorf("%s, %s: exit %d, said %q", name, how, code, errs)
			}
			if out != string(want) {
				t.Errorf("%s, %s: differs from %s", name, how, decodeGolden)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "capture.bin")
	if err := os.WriteFile(file, inputs["binary answers"], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runWith(strings.NewReader(""), append(decodeArgs, file)...); code != exitOK || out != string(want) {
		t.Errorf("from a file: exit %d", code)
	}
}

func TestDecodeAppendedAddressesBelongToTheCardBefore(t *testing.T) {
	f := simcard.SampleResident()
	f.Appended = []string{"甘肃省会宁县甲镇1号", "河南省郑州市金水区乙路2号"}
	cards := []driver.RawCard{f.Raw(), simcard.SampleResident().Raw()}
	for name, in := range forms(t, cards) {
		code, out, errs := runWith(bytes.NewReader(in), decodeArgs...)
		if code != exitOK {
			t.Fatalf("%s: exit %d, said %q", name, code, errs)
		}
		var got []string
		for line := range strings.Lines(out) {
			var r struct {
				Hukou struct {
					Address  string   `json:"address"`
					Appended []string `json:"appended_addresses"`
					Division string   `json:"division"`
				} `json:"hukou"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%d %s", len(r.Hukou.Appended), r.Hukou.Division))
		}
		if want := "2 410105,0 620422"; strings.Join(got, ",") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestDecodeRubbish(t *testing.T) {
	good := sampleCards()[0]
	goodHex := hex.EncodeToString(good.Text[:])
	damaged := readAnswer(good)
	damaged[700] ^= 1
	tests := []struct {
		name, in string
		cards    int
		says     string
	}{
		{"empty", "", 0, "the input is empty"},
		{"words", "good morning\n", 0, "line 1: not hex"},
		{"odd digits", goodHex + "\nabc\n" + goodHex + "\n", 2, "line 2: not hex"},
		{"hex of something else", goodHex + "\n" + strings.Repeat("00", 40) + "\n" + goodHex, 2, "line 2: no answer of a module, and no text block of 256 bytes"},
		{"a line without end", goodHex + "\n" + strings.Repeat("0", 100*lineLimit) + "\n" + goodHex, 2, "line 2: longer than any answer"},
		{"a damaged answer", hex.EncodeToString(damaged) + "\n" + hex.EncodeToString(readAnswer(good)) + "\n", 1, "line 1: an answer's checksum is wrong"},
		{"a damaged answer in a stream", string(damaged) + string(readAnswer(good)), 1, "an answer's checksum is wrong"},
		{"a cut answer", string(readAnswer(good)) + string(readAnswer(good)[:800]), 1, "an answer is cut short"},
		{"a cut block", string(good.Text[:]) + string(good.Text[:100]), 1, "from byte 256: 100 bytes are no text block, want 256"},
		{"only noise", strings.Repeat("\x00\x01\x02", 50), 0, "from byte 0: 150 bytes are no text block, want 256"},
		{"addresses without a card", hex.EncodeToString(addressAnswer(driver.RawCard{Addresses: make([][70]byte, 1)})), 0, "line 1: an answer with addresses, but no card before it"},
		{"answers without a card", string(sam.Answer(0, 0, 0x80, nil)), 0, "no card in the input: 1 other answers"},
		{"a trace of the future", `{"idtap_trace":99}` + "\n", 0, "trace line 1: idtap_trace is 99"},
		{"JSON of something else", "{\"name\":\"x\"}\n", 0, "trace line 1: want one JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := runWith(strings.NewReader(tt.in), decodeArgs...)
			if code != exitFailed || strings.Count(out, "\n") != tt.cards || !strings.Contains(errs, tt.says) {
				t.Errorf("exit %d with %d cards, said %q; want %d cards and %q", code, strings.Count(out, "\n"), errs, tt.cards, tt.says)
			}
			for _, secret := range []string{"样本", "1101051949", "会宁"} {
				if strings.Contains(errs, secret) {
					t.Error("card data in an error")
				}
			}
		})
	}
}

// TestDecodePaddedAddresses: a module that answers 30 03 with all four slots of
// the card's file makes the same of a card as one that sends the records alone.
func TestDecodePaddedAddresses(t *testing.T) {
	f := simcard.SampleResident()
	f.Appended = []string{"河南省郑州市金水区样本路9号"}
	alone := f.Raw()
	padded := f.Raw()
	var spaces [70]byte
	for i := 0; i < len(spaces); i += 2 {
		spaces[i] = ' '
	}
	padded.Addresses = append(padded.Addresses, spaces, spaces, [70]byte{})
	var said []string
	for _, c := range []driver.RawCard{alone, padded} {
		var in bytes.Buffer
		for _, answer := range session(c) {
			in.Write(answer)
		}
		code, out, errs := runWith(&in, decodeArgs...)
		if code != exitOK || errs != "" {
			t.Fatalf("exit %d, said %q", code, errs)
		}
		said = append(said, out)
	}
	if said[0] != said[1] {
		t.Errorf("four slots decode to\n%swant\n%s", said[1], said[0])
	}
}

// A card that cannot be understood is answered with its finding, and fails.
func TestDecodeUnknownAndBlankCards(t *testing.T) {
	blank := simcard.Card{Kind: simcard.Resident}.Raw()
	unknown := simcard.Card{Kind: simcard.Resident, Mark: 'Q'}.Raw()
	code, out, _ := runWith(bytes.NewReader(append(blank.Text[:], unknown.Text[:]...)), decodeArgs...)
	lines := strings.Split(out, "\n")
	if code != exitFailed || len(lines) != 3 || !strings.Contains(lines[0], "card_blank") ||
		!strings.Contains(lines[1], "kind_unknown") || !strings.Contains(lines[1], `"kind":"unknown"`) || !strings.Contains(lines[1], "U+0051") {
		t.Errorf("exit %d, printed %s", code, out)
	}
}

func TestDecodeSpeaksChinese(t *testing.T) {
	_, _, errs := runWith(strings.NewReader("xyz\n"), append([]string{"--lang", "zh"}, decodeArgs...)...)
	if errs != "idtap: decode: 第 1 行: 不是十六进制\n" {
		t.Errorf("said %q", errs)
	}
}

func TestDecodeUsage(t *testing.T) {
	for _, args := range [][]string{{"--at", "yesterday"}, {"--at", "2026-02-30"}, {"--division", "99"}, {"--division", "410199"}, {"a", "b"}} {
		code, _, errs := runWith(strings.NewReader(""), append([]string{"decode"}, args...)...)
		if code != exitUsage || errs == "" {
			t.Errorf("%q: exit %d, said %q", args, code, errs)
		}
	}
	if code, _, errs := runWith(strings.NewReader(""), "decode", filepath.Join(t.TempDir(), "none")); code != exitFailed || !strings.Contains(errs, "no such file") && !strings.Contains(errs, "cannot find") {
		t.Errorf("missing file: exit %d, said %q", code, errs)
	}
}
