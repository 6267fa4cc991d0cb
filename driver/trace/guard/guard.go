// Package guard looks for anything in a recording that could be a person.
//
// It is the second program that a recording has to pass before it may be
// published, and shares no code with the one that blanks it: frames, fields and
// numbers are found anew, from the protocol's description, and whatever is not
// known to be harmless counts as a suspicion. It never quotes what it found.
package guard

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// specimens are the texts of published sample cards, which a blanked recording may
// hold, one a line.
//
//go:embed specimens.txt
var specimens string

// Suspicion is something that could be a person's.
type Suspicion struct {
	Line int // of the file, 1-based
	What string
}

// Check looks through a recording. Nothing found means that it may be published.
func Check(file []byte) []Suspicion {
	c := checker{}
	for i, line := range bytes.Split(bytes.TrimRight(file, "\n"), []byte("\n")) {
		c.line = i + 1
		if i == 0 {
			c.head(line)
			continue
		}
		c.step(line)
	}
	c.stream()
	return c.found
}

type checker struct {
	line  int
	found []Suspicion
	rx    []byte
	at    []int // the line of each byte of rx
}

func (c *checker) suspect(line int, what string) {
	if !slices.ContainsFunc(c.found, func(s Suspicion) bool { return s == Suspicion{line, what} }) {
		c.found = append(c.found, Suspicion{line, what})
	}
}

var (
	identity = regexp.MustCompile(`(^|[^0-9])([1-9][0-9]{5})([12][0-9]{3}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx])([^0-9]|$)`)
	mobile   = regexp.MustCompile(`(^|[^0-9a-fA-F])1[3-9][0-9]{9}([^0-9a-fA-F]|$)`)
)

// head looks at what people and programs wrote.
func (c *checker) head(line []byte) {
	var h map[string]any
	if json.Unmarshal(line, &h) != nil {
		c.suspect(c.line, "something that is no header")
		return
	}
	if blanked, _ := h["blanked"].(bool); !blanked {
		c.suspect(c.line, "a recording that was not blanked")
	}
	c.text(c.line, string(line))
	if mobile.Match(line) {
		c.suspect(c.line, "a phone number")
	}
}

// text looks for identity numbers in plain text.
func (c *checker) text(line int, s string) {
	for _, m := range identity.FindAllString(s, -1) {
		if number := strings.Trim(m, "\x00\" "); !strings.Contains(specimens, strings.TrimFunc(number, func(r rune) bool { return (r < '0' || r > '9') && r != 'X' })) {
			c.suspect(line, "an identity number")
		}
	}
}

func (c *checker) step(line []byte) {
	var s struct {
		At  *int64 `json:"t_us"`
		Dir string `json:"dir"`
		Hex string `json:"hex"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if d.Decode(&s) != nil || s.At == nil {
		c.suspect(c.line, "something that is no step")
		return
	}
	p, err := hex.DecodeString(s.Hex)
	if err != nil {
		c.suspect(c.line, "bytes that are not in hex")
		return
	}
	if s.Dir == "rx" {
		c.rx = append(c.rx, p...)
		for range p {
			c.at = append(c.at, c.line)
		}
		return
	}
	if len(p) > 16 { // no command is longer
		c.suspect(c.line, "a request that is too long")
	}
}

// stream looks at what came from the reader as a whole, with and without frames.
func (c *checker) stream() {
	for shift := range 2 { // UTF-16 at even and odd places
		if len(c.rx) > shift {
			c.text(c.at[shift], decode(c.rx[shift:]))
		}
	}
	c.text(max(c.line, 1), strings.ToValidUTF8(string(c.rx), " "))
	for i := 0; i+11 <= len(c.rx); {
		if !bytes.HasPrefix(c.rx[i:], []byte{0xAA, 0xAA, 0x96, 0x69}) {
			i++
			continue
		}
		n := int(binary.BigEndian.Uint16(c.rx[i+4:]))
		end := i + 6 + n
		if n < 4 || end > len(c.rx) {
			i++
			continue
		}
		c.frame(c.at[i], c.rx[i+9:end-1])
		i = end
	}
}

// frame looks at the data of an answer.
func (c *checker) frame(line int, data []byte) {
	switch {
	case len(data) <= 16: // statuses, chip numbers, the module's own number
	case len(data) >= 260 && data[0] == 1 && data[1] == 0: // text of 256 bytes
		rest := data[4:]
		if len(data)-4 != 256+int(binary.BigEndian.Uint16(data[2:])) {
			rest = data[6:]
		}
		c.fields(line, decode(rest[:256]))
		const photoHead = 11
		if photo := rest[256:]; len(photo) > photoHead && len(bytes.Trim(photo[photoHead:], "\x00")) > 0 {
			c.suspect(line, "a photo or a fingerprint")
		}
	case len(data)%70 == 0 && len(data) <= 280:
		c.fields(line, decode(data))
	default:
		for _, b := range data {
			if b != 0 && b != 0x11 {
				c.suspect(line, "card data of a kind that is not known")
				return
			}
		}
	}
}

func decode(p []byte) string {
	units := make([]uint16, len(p)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(p[2*i:])
	}
	return string(utf16.Decode(units))
}

// placeholders are what letters, digits and Han characters become.
const placeholders = "0Aa０某㐀 ,.-·•・　\x00\ue5e5"

// fields looks at text of a card: what is neither a specimen's nor a placeholder
// could be a person's. Codes of up to three characters are nobody's.
func (c *checker) fields(line int, text string) {
	list := strings.Fields(specimens)
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	for _, known := range list {
		text = strings.ReplaceAll(text, known, "\x00")
	}
	run := 0
	for _, r := range text {
		if strings.ContainsRune(placeholders, r) || r == 0xFFFD || r >= 0x20000 && r <= 0x3FFFF && r&0x3FF == 0 {
			run = 0
			continue
		}
		run++
		if r >= 0x3400 && r <= 0x9FFF || run > 3 {
			c.suspect(line, "a name, an address or a number")
			return
		}
	}
}
