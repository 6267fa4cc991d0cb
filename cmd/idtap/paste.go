package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// utf16Sniff is how much of the input tells hex in UTF-16 from a text block, which
// is UTF-16, too: within a block at least its mark or its name is no hex.
const utf16Sniff = 256

// unmarked takes a byte-order mark off the input and turns hex in UTF-16, which
// editors and shells of Windows write, into plain text. A text block is UTF-16
// itself: after a mark it is taken as it is, and in the other byte order turned.
func unmarked(r *bufio.Reader) *bufio.Reader {
	head, _ := r.Peek(utf16Sniff)
	order, mark := unicode.LittleEndian, 0
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		r.Discard(3)
		return r
	case bytes.HasPrefix(head, []byte("\xFF\xFE")):
		mark = 2
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		order, mark = unicode.BigEndian, 2
	case isWideText(head, 0):
	case isWideText(head, 1):
		order = unicode.BigEndian
	default:
		return r
	}
	r.Discard(mark)
	low := 0 // where the low byte of a unit is
	if order == unicode.BigEndian {
		low = 1
	}
	switch {
	case isWideText(head[mark:], low):
		plain := transform.NewReader(r, unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder())
		return bufio.NewReaderSize(plain, lineLimit)
	case order == unicode.BigEndian:
		return bufio.NewReaderSize(&swapped{r: r}, lineLimit)
	}
	return r
}

// wideHex is what hex and its separators are made of.
const wideHex = "0123456789abcdefABCDEF xX,:;-_.\\'\"{}()[]|\t\r\n"

// isWideText reports whether bytes are hex in UTF-16, or begin with a comment.
func isWideText(p []byte, low int) bool {
	p = p[:len(p)&^1]
	if len(p) < 4 || p[low] == ' ' {
		return false
	}
	for i := 0; i < len(p); i += 2 {
		c := p[i+low]
		if p[i+1-low] != 0 || !isText([]byte{c}) || p[low] != '#' && !strings.ContainsRune(wideHex, rune(c)) {
			return false
		}
	}
	return true
}

// swapped turns the bytes of each pair round.
type swapped struct {
	r    io.Reader
	rest []byte
}

func (s *swapped) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		pair := make([]byte, 2)
		n, err := io.ReadFull(s.r, pair)
		if n == 0 {
			return 0, err
		}
		if n == 2 {
			pair[0], pair[1] = pair[1], pair[0]
		}
		s.rest = pair[:n]
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// dumpLine is a line as xxd and hexdump -C print them: offset, bytes, and the
// same as characters, which begin after two spaces or, in hexdump, after a bar.
// What hexdump prints without -C is words in the machine's order and not taken.
var dumpLine = regexp.MustCompile(`^([0-9A-Fa-f]{4,8})(?:: *((?:[0-9A-Fa-f]{2,4} ?)+)(?: .*)?|  ((?:[0-9A-Fa-f]{2} {0,2})+) *(?:\|.*)?)$`)

// dumped returns the bytes of a line of a dump, and their offset.
func dumped(line []byte) (b []byte, at int, ok bool) {
	m := dumpLine.FindSubmatch(line)
	if m == nil {
		return nil, 0, false
	}
	n, err := strconv.ParseUint(string(m[1]), 16, 32)
	if err != nil {
		return nil, 0, false
	}
	b, ok = unhexed(append(m[2], m[3]...))
	return b, int(n), ok
}

// separators are what people and programs put between and around bytes.
var separators = regexp.MustCompile(`(?i)0x|\\x|[\s:;,\-_.'"{}()\[\]]`)

// unhexed returns the bytes of a line of hex, whatever stands between them.
func unhexed(line []byte) (b []byte, ok bool) {
	text := separators.ReplaceAll(line, nil)
	b = make([]byte, hex.DecodedLen(len(text)))
	_, err := hex.Decode(b, text)
	return b, err == nil
}

// isBase64 reports whether a line that is no hex is base64 rather.
func isBase64(line []byte) bool {
	line = bytes.TrimSpace(line)
	_, err := base64.StdEncoding.DecodeString(string(line))
	return err == nil && len(line) >= 16
}
