package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"idtap/driver"
	"idtap/driver/simcard"
)

// wide is text as editors and shells of Windows save it.
func wide(t *testing.T, order unicode.Endianness, bom unicode.BOMPolicy, text string) []byte {
	t.Helper()
	out, err := unicode.UTF16(order, bom).NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wrapped breaks hex into lines.
func wrapped(b []byte, each int, format string) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(each, len(b))
		for i, c := range b[:n] {
			if i > 0 {
				out.WriteString(strings.TrimLeft(format, "%02Xx")) // the separator
			}
			fmt.Fprintf(&out, format[:strings.IndexAny(format, "xX")+1], c)
		}
		out.WriteString("\n")
		b = b[n:]
	}
	return out.String()
}

// xxd prints bytes as that program does.
func xxd(b []byte) string {
	var out strings.Builder
	for at := 0; at < len(b); at += 16 {
		row := b[at:min(at+16, len(b))]
		fmt.Fprintf(&out, "%08x: ", at)
		for i := 0; i < len(row); i += 2 {
			fmt.Fprintf(&out, "%x ", row[i:min(i+2, len(row))])
		}
		out.WriteString(" ..characters.1f.\n")
	}
	return out.String()
}

// hexdump prints bytes as hexdump -C does: lines like the one before become a
// star, and the last line is the size.
func hexdump(b []byte) string {
	var out strings.Builder
	star, before := false, ""
	lines := strings.SplitAfter(hex.Dump(b), "\n")
	for i, line := range lines {
		_, row, _ := strings.Cut(line, "  ")
		switch {
		case row == before && i < len(lines)-2:
			if !star {
				out.WriteString("*\n")
			}
			star = true
			continue
		}
		star, before = false, row
		out.WriteString(line)
	}
	fmt.Fprintf(&out, "%08x\n", len(b))
	return out.String()
}

// joined writes bytes with something before, between and after them.
func joined(b []byte, before, between, after string) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf("%s%02x", before, c)
	}
	return strings.Join(parts, between) + after + "\n"
}

// TestDecodeFormsThatPeopleSave: whatever editors, shells and other programs make
// of a card's bytes, it is the same card.
func TestDecodeFormsThatPeopleSave(t *testing.T) {
	for _, c := range simcard.Samples() {
		raw := c.Raw()
		_, want, _ := runWith(bytes.NewReader(raw.Text[:]), decodeArgs...)
		data := append(append([]byte{1, 0, 4, 0}, raw.Text[:]...), raw.Photo...)
		frame := readAnswer(raw)
		line := hex.EncodeToString(raw.Text[:]) + "\n"
		swappedBlock := bytes.Clone(raw.Text[:])
		for i := 0; i < len(swappedBlock); i += 2 {
			swappedBlock[i], swappedBlock[i+1] = swappedBlock[i+1], swappedBlock[i]
		}
		for name, in := range map[string][]byte{
			"hex in UTF-16LE with a mark":     wide(t, unicode.LittleEndian, unicode.UseBOM, line),
			"hex in UTF-16BE with a mark":     wide(t, unicode.BigEndian, unicode.UseBOM, line),
			"hex in UTF-16LE without a mark":  wide(t, unicode.LittleEndian, unicode.IgnoreBOM, line),
			"hex in UTF-16BE without a mark":  wide(t, unicode.BigEndian, unicode.IgnoreBOM, line),
			"an answer in UTF-16LE":           wide(t, unicode.LittleEndian, unicode.UseBOM, hex.EncodeToString(frame)+"\r\n"),
			"a comment in UTF-16LE":           wide(t, unicode.LittleEndian, unicode.IgnoreBOM, "# a card\r\n"+line),
			"a block after a UTF-8 mark":      append([]byte("\xEF\xBB\xBF"), raw.Text[:]...),
			"a block after a UTF-16LE mark":   append([]byte("\xFF\xFE"), raw.Text[:]...),
			"a block in UTF-16BE with a mark": append([]byte("\xFE\xFF"), swappedBlock...),
			"lengths, text and photo":         data,
			"text and photo":                  data[4:],
			"lengths, text and photo in hex":  []byte(hex.EncodeToString(data) + "\n"),
			"text and photo in hex":           []byte(hex.EncodeToString(data[4:]) + "\n"),
			"dashes":                          []byte(joined(raw.Text[:], "", "-", "")),
			"commas":                          []byte(joined(raw.Text[:], "", ", ", "")),
			"0x":                              []byte(joined(raw.Text[:], "0x", ", ", "")),
			"0X without separators":           []byte(joined(raw.Text[:], "0X", "", "")),
			"a C array":                       []byte("{" + joined(raw.Text[:], "0x", ",", "};")),
			"a C array over several lines":    []byte("{\n" + strings.ReplaceAll(joined(frame, "0x", ",", "};"), "0xaa,0x", "0xaa,\n0x")),
			"a C string":                      []byte(`"` + strings.TrimSuffix(joined(raw.Text[:], `\x`, "", `"`), "\n") + "\n"),
			"Python's list":                   []byte("[" + joined(raw.Text[:], "0x", ", ", "]")),
			"colons and dots":                 []byte(joined(raw.Text[:128], "", ":", "") + joined(raw.Text[128:], "", ".", "")),
			"a block over sixteen lines":      []byte(wrapped(raw.Text[:], 16, "%02X ")),
			"an answer over many lines":       []byte(wrapped(frame, 32, "%02x ")),
			"data over many lines":            []byte(wrapped(data, 20, "%02x-")),
			"text and photo over many lines":  []byte(wrapped(data[4:], 16, "%02x ")),
			"lines with Windows' ends":        []byte(strings.ReplaceAll(wrapped(frame, 32, "%02x "), "\n", "\r\n")),
			"xxd of an answer":                []byte(xxd(frame)),
			"xxd of a block":                  []byte(xxd(raw.Text[:])),
			"hexdump -C of a block":           []byte(hexdump(raw.Text[:])),
			"Go's dump of an answer":          []byte(hex.Dump(frame)),
			"hexdump -C of an answer":         []byte(hexdump(frame)),
		} {
			code, out, errs := runWith(bytes.NewReader(in), decodeArgs...)
			if code != exitOK || out != want || errs != "" {
				t.Errorf("%s, %s: exit %d, said %q, %d bytes out, want the card", c.Kind, name, code, errs, len(out))
			}
		}
	}
}

// TestDecodeNeverTakesAShiftedCard: bytes too many or too few before a block are
// told; nobody's card comes out.
func TestDecodeNeverTakesAShiftedCard(t *testing.T) {
	for _, c := range simcard.Samples() {
		raw := c.Raw()
		for _, by := range []int{-70, -36, -4, -3, -2, -1, 1, 2, 3, 4, 6, 30, 36} {
			var b [256]byte
			if by > 0 {
				copy(b[by:], raw.Text[:])
			} else {
				copy(b[:], raw.Text[-by:])
			}
			refused(t, fmt.Sprintf("%s shifted by %d", c.Kind, by), b[:], fmt.Sprintf("shifted by %d bytes", by))
			refused(t, fmt.Sprintf("%s shifted by %d, hex", c.Kind, by), []byte(hex.EncodeToString(b[:])), fmt.Sprintf("shifted by %d bytes", by))
		}
		var swapped [256]byte
		for i := 0; i < 256; i += 2 {
			swapped[i], swapped[i+1] = raw.Text[i+1], raw.Text[i]
		}
		refused(t, c.Kind+" in the other byte order", swapped[:], "")
	}
}

// refused checks that an input yields no card and says what it is.
func refused(t *testing.T, name string, in []byte, says string) {
	t.Helper()
	code, out, errs := runWith(bytes.NewReader(in), decodeArgs...)
	if code != exitFailed || out != "" || !strings.Contains(errs, says) {
		t.Errorf("%s: exit %d with %d bytes out, said %q, want %d, none and %q", name, code, len(out), errs, exitFailed, says)
	}
}

// TestDecodeNamesOtherForms: what cannot be taken is named, with what to do.
func TestDecodeNamesOtherForms(t *testing.T) {
	raw := simcard.SampleResident().Raw()
	for name, tt := range map[string]struct {
		in   string
		says string
	}{
		"base64":            {base64.StdEncoding.EncodeToString(raw.Text[:]) + "\n", "base64"},
		"text as UTF-8":     {strings.Repeat("样本路一号", 20), "this is text"},
		"half a block":      {hex.EncodeToString(raw.Text[:128]) + "\n", "no answer of a module"},
		"a block and more":  {hex.EncodeToString(append(raw.Text[:], 0, 0)) + "\n", "258 bytes are no text block"},
		"lines that do not": {wrapped(raw.Text[:200], 16, "%02x ") + "\n" + wrapped(raw.Text[200:], 16, "%02x "), "lines 1 to 13"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, name, []byte(tt.in), tt.says) })
	}
}

// TestDecodeSeveralCardsOverLines: blank lines part what is over several lines.
func TestDecodeSeveralCardsOverLines(t *testing.T) {
	var in strings.Builder
	var want []driver.RawCard
	for _, c := range simcard.Samples() {
		raw := c.Raw()
		want = append(want, raw)
		in.WriteString("# " + c.Kind + "\n" + wrapped(raw.Text[:], 16, "%02x ") + "\n" + wrapped(readAnswer(raw), 32, "%02X "))
	}
	code, out, errs := runWith(strings.NewReader(in.String()), decodeArgs...)
	if n := strings.Count(out, "\n"); code != exitOK || n != 2*len(want) || errs != "" {
		t.Errorf("exit %d, %d cards, said %q, want %d cards", code, n, errs, 2*len(want))
	}
}

// TestDecodeEndsWithAnAnswer: dumps that are none end with a word, soon.
func TestDecodeEndsWithAnAnswer(t *testing.T) {
	for _, in := range []string{"00000000  aa\n*\n00000fff  aa\n", "00000000  aa\n*\nffffffff  aa\n", "*\n*\n", "00000000: \n00000010: aa\n", "\xFF\xFE0\x00a\x00", "\xFE\xFF\x00"} {
		if code, out, errs := runWith(strings.NewReader(in), decodeArgs...); code != exitFailed || out != "" || errs == "" {
			t.Errorf("decode(%q): exit %d, %d bytes out, said %q, want %d, none and a word", in, code, len(out), errs, exitFailed)
		}
	}
}
