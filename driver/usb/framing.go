package usb

import (
	"bytes"
	"encoding/binary"

	"idtap/driver/sam"
)

// reportSize is the length of a report in both HID forms: the packet of a
// full-speed interrupt endpoint.
const reportSize = 64

// headSize is preamble and length of a SAM frame.
const headSize = 7

// preamble begins a frame. The first byte may be missing or doubled [SDTJ].
var preamble = []byte{0xAA, 0xAA, 0xAA, 0x96, 0x69}

// frameAt finds a frame that begins within the first bytes of p: where, and how
// long it is as a whole.
func frameAt(p []byte) (at, size int, ok bool) {
	mark := preamble[1:] // AA AA 96 69 is what is relied on
	const latest = 7     // SDTJ searches as far
	i := bytes.Index(p[:min(len(p), latest+len(mark))], mark)
	if i < 0 || len(p) < i+len(mark)+2 {
		return 0, 0, false
	}
	n := int(binary.BigEndian.Uint16(p[i+len(mark):]))
	if n < 2 || n > sam.MaxBody {
		return 0, 0, false
	}
	at = i
	if i > 0 && p[i-1] == 0xAA {
		at--
	}
	return at, i - at + len(mark) + 2 + n, true
}

// cutter takes frames out of blocks that are padded: a frame begins near the
// beginning of a block, and what follows its declared end is no part of anything.
// Handed to a stream parser, padding would count as noise on the line.
type cutter struct{ rest int } // bytes of the present frame that are outstanding

// cut returns the part of a block that belongs to a frame.
func (c *cutter) cut(block []byte) []byte {
	if at, size, ok := frameAt(block); ok && (c.rest == 0 || bytes.HasPrefix(block, preamble)) {
		// A whole preamble at the very beginning of a block also ends a frame whose
		// rest was lost; card data says these five bytes once in 10^12 blocks.
		block, c.rest = block[at:], size
	}
	n := min(c.rest, len(block))
	c.rest -= n
	return block[:n]
}

// framing says how a HID reader carries frames in reports of 64 bytes.
type framing interface {
	// pack makes reports of a frame.
	pack(frame []byte) [][]byte
	// unpack returns the bytes of a report that belong to a frame; they stand in
	// the report.
	unpack(report []byte) []byte
	// reset forgets a frame whose rest is outstanding.
	reset()
}

// bare is the HID form of 2B8B:2721: the frame from byte 0, zeros after it [SDTJ].
type bare struct{ cutter }

func (*bare) pack(frame []byte) [][]byte {
	var list [][]byte
	for len(frame) > 0 {
		report := make([]byte, reportSize)
		n := copy(report, frame)
		frame = frame[n:]
		list = append(list, report)
	}
	return list
}

func (b *bare) unpack(report []byte) []byte { return b.cut(report) }
func (b *bare) reset()                      { b.cutter = cutter{} }

// miaxis is the HID form of 10C4:0007 [MIAXIS]. The length counts from the
// command or result on; the sum adds up the bytes from the length on.
//
//	out  88 | sequence 2 | length 2 LE | command B1 | frame        | sum 2 LE | zeros
//	in   AA | sequence 2 | length 2 LE | result     | 2 | of frame | sum 2 LE | anything
type miaxis struct{ cutter }

const (
	miaxisRequest = 0x88
	miaxisAnswer  = 0xAA
	miaxisCommand = 0xB1
	miaxisHead    = 5                               // flag, sequence, length
	miaxisRoom    = reportSize - miaxisHead - 1 - 2 // of frame in a request
	miaxisMost    = reportSize - miaxisHead - 2     // the largest length
	miaxisSkip    = 1 + 2                           // result and two bytes that say nothing
)

func (*miaxis) pack(frame []byte) [][]byte {
	var list [][]byte
	for len(frame) > 0 {
		part := frame[:min(len(frame), miaxisRoom)]
		frame = frame[len(part):]
		report := make([]byte, reportSize)
		report[0] = miaxisRequest
		binary.LittleEndian.PutUint16(report[3:], uint16(1+len(part)))
		report[miaxisHead] = miaxisCommand
		end := miaxisHead + 1 + copy(report[miaxisHead+1:], part)
		binary.LittleEndian.PutUint16(report[end:], addUp(report[3:end]))
		list = append(list, report)
	}
	return list
}

// unpack drops a report that is not of this form or whose sum is wrong: the frame
// it belongs to stays incomplete and is asked for again.
func (m *miaxis) unpack(report []byte) []byte {
	if len(report) < miaxisHead+2 || report[0] != miaxisAnswer {
		return nil
	}
	n := int(binary.LittleEndian.Uint16(report[3:]))
	if n < miaxisSkip || n > miaxisMost || len(report) < miaxisHead+n+2 {
		return nil
	}
	end := miaxisHead + n
	if addUp(report[3:end]) != binary.LittleEndian.Uint16(report[end:]) {
		return nil
	}
	return m.cut(report[miaxisHead+miaxisSkip : end])
}

func (m *miaxis) reset() { m.cutter = cutter{} }

func addUp(p []byte) uint16 {
	var sum uint16
	for _, b := range p {
		sum += uint16(b)
	}
	return sum
}
