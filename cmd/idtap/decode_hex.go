package main

import (
	"bytes"
	"fmt"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/reader/identity"
)

// cardData is the size of an answer's data to 30 01: lengths, text and photo. Some
// programs save it without the frame, or without the lengths.
const cardData = 4 + 256 + 1024

var (
	dataHead  = []byte{0x01, 0x00, 0x04, 0x00} // the lengths of text and photo
	photoHead = []byte("WLf\x00")              // begins every photo
)

// block takes bytes that are no frame: a text block, text and photo, or both with
// their lengths. Whatever else they are is refused with what they seem to be: a
// shifted block would be another person's card.
func (d *decoder) block(b []byte, where string) error {
	text := b
	switch len(b) {
	case cardData:
		raw, err := sam.ParseCard(bytes.Clone(b))
		if err == nil {
			return d.whole(raw, where)
		}
	case cardData - len(dataHead):
		if bytes.HasPrefix(b[256:], photoHead) {
			text = b[:256]
		}
	}
	if len(text) != len(driver.RawCard{}.Text) {
		d.reject(where, "no_text_block", len(b))
		return nil
	}
	raw := driver.RawCard{Text: [256]byte(text)}
	if len(b) > len(text) {
		raw.Photo = bytes.Clone(b[256:])
	}
	return d.whole(raw, where)
}

// whole takes a card unless its fields are not where they belong.
func (d *decoder) whole(raw driver.RawCard, where string) error {
	if by, ok := shifted(raw.Text); ok {
		d.reject(where, "block_shifted", by)
		return nil
	}
	if !bytes.Contains(raw.Text[:], []byte{0}) {
		d.reject(where, "text_not_bytes")
		return nil
	}
	if isSwapped(raw.Text) {
		d.reject(where, "block_swapped")
		return nil
	}
	return d.card(raw)
}

// Where the number and the type mark are in a text block, in bytes.
const (
	numberAt = 122
	markAt   = 248
)

// shifted reports whether a block's number is not at its place, but whole at
// another, and by how many bytes. A foreigner's card of 2017 has one of 15
// characters.
func shifted(b [256]byte) (by int, ok bool) {
	length := 18
	if b[markAt] == 'I' && b[markAt+1] == 0 {
		length = 15
	}
	if isNumber(b[numberAt:], length) {
		return 0, false
	}
	for _, length := range []int{18, 15} {
		for at := range len(b) {
			if at != numberAt && isNumber(b[at:], length) {
				return at - numberAt, true
			}
		}
	}
	return 0, false
}

// isNumber reports whether a valid document number of so many characters begins
// here, in UTF-16.
func isNumber(p []byte, length int) bool {
	if len(p) < 2*length {
		return false
	}
	text := make([]byte, length)
	for i := range text {
		c := p[2*i]
		if p[2*i+1] != 0 || (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
		text[i] = c
	}
	return text[0] != '0' && identity.CheckNumber(string(text), identity.Date{}).Valid() && (length == 18 || text[0] >= 'A')
}

// isSwapped reports whether a block's padding is in the other byte order.
func isSwapped(b [256]byte) bool {
	swapped, right := 0, 0
	for i := 0; i < len(b); i += 2 {
		switch [2]byte(b[i:]) {
		case [2]byte{0, ' '}:
			swapped++
		case [2]byte{' ', 0}:
			right++
		}
	}
	return swapped > 8 && swapped > right
}

// hexLines puts lines of hex together to answers and blocks.
type hexLines struct {
	d *decoder

	held  []byte // bytes of lines that were not whole by themselves
	first int    // the line at which they begin, and the last
	last  int
	dump  int    // the offset at which a dump goes on
	row   []byte // the last line of the dump
	same  bool   // a star: lines like that one were left out
}

func (h *hexLines) where(from, to int) string {
	if from == to {
		return h.d.say("line", from)
	}
	return h.d.say("line_range", from, to)
}

func (h *hexLines) line(l inputLine) error {
	text := bytes.TrimSpace(l.text)
	if len(text) == 0 || text[0] == '#' {
		return h.end()
	}
	where := h.where(l.n, l.n)
	if l.tooLong {
		h.d.reject(where, "longer_than_any_answer")
		return nil
	}
	if taken, err := h.dumpLine(text, l.n); taken {
		return err
	}
	b, ok := unhexed(text)
	switch {
	case !ok && isBase64(text):
		h.d.reject(where, "base64_not_hex")
		return nil
	case !ok:
		h.d.reject(where, "not_hex")
		return nil
	case complete(b):
		if err := h.end(); err != nil {
			return err
		}
		return h.take(b, where)
	}
	return h.hold(b, l.n)
}

// dumpLine takes a line of a dump that goes on, or begins; taken is false for any
// other line.
func (h *hexLines) dumpLine(text []byte, n int) (taken bool, err error) {
	if h.dump > 0 && string(text) == "*" {
		h.same = true
		return true, nil
	}
	if h.dump > 0 && string(text) == fmt.Sprintf("%0*x", len(text), h.dump) { // hexdump's last line
		return true, h.end()
	}
	b, at, ok := dumped(text)
	switch {
	case !ok || at != 0 && (h.dump == 0 || at != h.dump && !h.same):
		return false, nil
	case at != 0 && h.same && (len(h.row) == 0 || at < h.dump || at-h.dump > lineLimit):
		return false, nil
	case at == 0:
		if err := h.end(); err != nil {
			return true, err
		}
	}
	for h.same && h.dump < at {
		h.dump += len(h.row)
		if err := h.hold(h.row, n); err != nil {
			return true, err
		}
	}
	h.same, h.row, h.dump = false, b, h.dump+len(b)
	next := h.dump
	err = h.hold(b, n)
	if len(h.held) == 0 { // whole by now, but for the offset that ends it
		h.dump = next
	}
	return true, err
}

// hold keeps a line that is a part, and takes what is whole by now.
func (h *hexLines) hold(b []byte, n int) error {
	if len(h.held) == 0 {
		h.first = n
	}
	h.held, h.last = append(h.held, b...), n
	if complete(h.held) && len(h.held) != 256 { // a photo may follow a text block
		return h.end()
	}
	if len(h.held) > lineLimit {
		return h.end()
	}
	return nil
}

// end takes what is held as it is.
func (h *hexLines) end() error {
	b := h.held
	h.held, h.dump, h.row, h.same = nil, 0, nil, false
	if len(b) == 0 {
		return nil
	}
	return h.take(b, h.where(h.first, h.last))
}

// complete reports whether bytes are whole by themselves: frames to the last
// byte, or a block of one of its sizes.
func complete(b []byte) bool {
	if !sam.HasFrame(b) {
		return len(b) == 256 || len(b) == cardData || len(b) == cardData-len(dataHead) && !bytes.HasPrefix(b, dataHead)
	}
	if _, bare := sam.Request(b); bare {
		return true
	}
	var s sam.Sniffer
	s.Write(b)
	found := false
	for _, ok := s.Next(); ok; _, ok = s.Next() {
		found = true
	}
	return !s.Pending() && (found || s.Stats().BadXOR+s.Stats().BadLength > 0) // a wrong sum does not get right by more bytes
}

// take decodes what belongs together.
func (h *hexLines) take(b []byte, where string) error {
	if !sam.HasFrame(b) && len(b) >= 256 {
		return h.d.block(b, where)
	}
	if _, bare := sam.Request(b); bare { // captures of both directions have the host's frames, too
		h.d.skipped++
		return nil
	}
	var sniffer sam.Sniffer
	sniffer.Write(b)
	return h.d.frames(&sniffer, where, true)
}
