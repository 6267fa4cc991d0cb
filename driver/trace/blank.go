package trace

import (
	"bytes"
	"encoding/binary"
	"slices"

	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// Blank replaces everything personal in a trace so that it can be handed on:
// frames keep their lengths and fitting checksums, texts their shape and type
// mark. Numbers, dates and the like become those of the published specimens where
// their shape allows it, other text becomes one fixed character per kind of
// character; photos keep their first 11 bytes; chip numbers that are not zero
// become 11 11.... Bytes that belong to no frame become zero unless no card data
// can be among them. The module's own number stays.
func Blank(t Trace) Trace {
	b := newBlanker()
	out := Trace{Header: t.Header}
	out.Header.Blanked = true
	for _, s := range t.Steps {
		s.Bytes = bytes.Clone(s.Bytes)
		out.Steps = append(out.Steps, b.add(s)...)
	}
	out.Steps = append(out.Steps, b.flush()...)
	return out
}

// blanker blanks a stream of steps. It holds steps back until it knows where the
// frames in them begin and end.
type blanker struct {
	sniffer sam.Sniffer
	command sam.Code // the last one sent; 0: none yet
	held    []heldStep
	buf     []byte // their bytes
	done    int    // of buf, from its beginning
	private bool   // card data may be among stray bytes here
}

// heldStep is received bytes that wait, standing at buf[from:].
type heldStep struct {
	Step
	from int
}

func newBlanker() *blanker { return &blanker{private: true} }

// add takes a step whose Bytes it may keep and gives the steps that are ready.
// When the host goes on, it has given up what was outstanding.
func (b *blanker) add(s Step) []Step {
	if s.Sent {
		out := append(b.flush(), s)
		b.command, _ = sam.Request(s.Bytes)
		return out
	}
	b.held = append(b.held, heldStep{s, len(b.buf)})
	b.buf = append(b.buf, s.Bytes...)
	b.sniffer.Write(s.Bytes)
	b.frames()
	if len(b.buf)-b.done > 2*sam.MaxBody {
		return b.flush()
	}
	return b.release()
}

// flush gives up waiting: what is outstanding is no frame.
func (b *blanker) flush() []Step {
	for b.sniffer.Pending() {
		b.sniffer.Silence()
		b.frames()
	}
	b.stray(len(b.buf))
	b.sniffer.Reset()
	return b.release()
}

// impersonal reports whether the answer to a command is certain to hold nothing
// of a card but its chip number.
func impersonal(c sam.Code) bool {
	switch c {
	case sam.CmdReset, sam.CmdSelfTest, sam.CmdSAMID, sam.CmdFind, sam.CmdSelect, sam.CmdMaxRF:
		return true
	}
	return byte(c>>8) == setBaud
}

// frames blanks the whole frames among the received bytes and the stray bytes
// before each.
func (b *blanker) frames() {
	for {
		body, ok := b.sniffer.Next()
		if !ok {
			return
		}
		status := body.Status()
		frame := sam.Answer(status.SW1, status.SW2, status.SW3, body.Data())[1:] // the third AA may be missing
		at := b.done + bytes.Index(b.buf[b.done:], frame)
		start := at
		if at > b.done && b.buf[at-1] == 0xAA {
			start--
		}
		b.stray(start)
		clean := sam.Answer(status.SW1, status.SW2, status.SW3, blankData(b.command, body.Data()))[1:]
		copy(b.buf[at:], clean)
		b.done = at + len(clean)
		b.private = !impersonal(b.command)
	}
}

// setBaud is the high byte of the commands that store a rate in a module; the low
// one is the rate.
const setBaud = 0x60

// addressSize is the size of a record of 30 03.
const addressSize = 70

// strayHead is how much of a broken frame stays: sync, length and status.
const strayHead = 9

// stray blanks bytes up to end that belong to no frame. Where card data may be
// among them only zeros stay, and the heads of broken frames.
func (b *blanker) stray(end int) {
	run := b.buf[b.done:end]
	kept := make([]bool, len(run))
	sync := sam.Answer(0, 0, 0, nil)[1:5]
	for i := range run {
		if bytes.HasPrefix(run[i:], sync) {
			for k := max(0, i-1); k < min(len(run), i+strayHead); k++ {
				kept[k] = run[k] == 0xAA || k >= i
			}
		}
	}
	b.private = b.private || !impersonal(b.command)
	for i := range run {
		if b.private && !kept[i] {
			run[i] = 0
		}
	}
	b.done = end
}

// release gives the steps from the front whose bytes are all done.
func (b *blanker) release() []Step {
	var out []Step
	for len(b.held) > 0 {
		h := b.held[0]
		end := h.from + len(h.Bytes)
		if end > b.done {
			break
		}
		copy(h.Bytes, b.buf[h.from:end])
		out = append(out, h.Step)
		b.held = b.held[1:]
	}
	if len(b.held) == 0 {
		clear(b.buf)
		b.buf, b.done = b.buf[:0], 0
	}
	return out
}

// blankData is the data of an answer without what it says of the card.
func blankData(c sam.Code, data []byte) []byte {
	out := make([]byte, len(data))
	copy(out, data)
	if blankTextAnswer(out) {
		return out
	}
	switch {
	case c == sam.CmdSAMID && len(data) == 16:
	case (c == sam.CmdFind || c == sam.CmdSelect) && len(data) <= 8:
		blankNumber(out)
	case c == sam.CmdReadManagement && len(data) == 28:
		blankNumber(out[:4])
		blankNumber(out[4:12])
		clear(out[12:])
	case c == sam.CmdReadAddress && len(data)%addressSize == 0:
		for record := range slices.Chunk(out, addressSize) {
			simcard.BlankAddress(record)
		}
	default:
		clear(out)
	}
	return out
}

// blankNumber keeps only whether a chip number is zero.
func blankNumber(p []byte) {
	if !bytes.Equal(p, make([]byte, len(p))) {
		for i := range p {
			p[i] = 0x11
		}
	}
}

// blankTextAnswer blanks the answer to 30 01 or 30 10, which its inner lengths
// give away. It reports whether it was one.
func blankTextAnswer(data []byte) bool {
	for _, inner := range []int{2, 3} { // text, photo; with fingerprints
		if len(data) < 2*inner {
			return false
		}
		sum := 2 * inner
		for i := range inner {
			sum += int(binary.BigEndian.Uint16(data[2*i:]))
		}
		if text := int(binary.BigEndian.Uint16(data)); sum != len(data) || text != 256 {
			continue
		}
		block := data[2*inner:][:256]
		photo := data[2*inner+256:][:binary.BigEndian.Uint16(data[2:])]
		finger := data[2*inner+256+len(photo):]
		simcard.BlankText(block)
		simcard.BlankPhoto(photo)
		clear(finger)
		return true
	}
	return false
}
