package sam

import (
	"bytes"
	"fmt"
	"io"
)

// Sizes that a frame may have. MaxBody is ours: the largest answer in use is
// 2321 bytes, hosts allow up to 4089 [SDTJ].
const (
	overhead   = 7    // preamble and length field
	minCommand = 3    // CMD PARA XOR
	minAnswer  = 4    // SW1 SW2 SW3 XOR
	MaxBody    = 4096 // largest length field that is believed
)

// Code is a command: CMD in the high byte, PARA in the low one.
type Code uint16

// The commands of this package. There is no code for the baud rate (60 xx, it
// is stored for good), for fingerprints (30 10) and for vendor extensions.
const (
	CmdReset          Code = 0x10FF // like a power cycle
	CmdSelfTest       Code = 0x11FF // 90, or 60 when the module is broken
	CmdSAMID          Code = 0x12FF // 16 bytes, see ID
	CmdFind           Code = 0x2001 // 9F and 4 bytes, or 80
	CmdSelect         Code = 0x2002 // 8 bytes
	CmdReadText       Code = 0x3001 // text and photo, see ParseCard
	CmdReadAddress    Code = 0x3003 // 1 to 4 times 70 bytes, or 91
	CmdReadManagement Code = 0x3005 // 28 bytes
	CmdMaxRF          Code = 0x61FF // one data byte, 24..255 [DELPHI, VB]
)

// String gives the code as it stands in the documents, e.g. "20 01".
func (c Code) String() string { return fmt.Sprintf("%02X %02X", byte(c>>8), byte(c)) }

// Frame encodes the command.
func (c Code) Frame(data ...byte) []byte { return Command(byte(c>>8), byte(c), data...) }

// Command encodes a request to the module.
func Command(cmd, para byte, data ...byte) []byte {
	return frame([]byte{cmd, para}, data)
}

// Answer encodes what a module answers; simulated readers use it.
func Answer(sw1, sw2, sw3 byte, data []byte) []byte {
	return frame([]byte{sw1, sw2, sw3}, data)
}

func frame(codes, data []byte) []byte {
	n := len(codes) + len(data) + 1
	f := make([]byte, 0, overhead+n)
	f = append(f, 0xAA, 0xAA, 0xAA, 0x96, 0x69, byte(n>>8), byte(n))
	f = append(f, codes...)
	f = append(f, data...)
	return append(f, xor(f[5:]))
}

func xor(p []byte) byte {
	var x byte
	for _, b := range p {
		x ^= b
	}
	return x
}

// Body is what a frame carries between its length field and its XOR byte. An
// answer to 30 01 is a whole identity: a Body prints as a placeholder.
type Body []byte

// Format implements fmt.Formatter so that no verb prints a frame.
func (b Body) Format(f fmt.State, _ rune) { io.WriteString(f, "sam.Body(masked)") }

// MarshalJSON keeps a frame out of structured logs.
func (Body) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Request returns the command in a request frame, 0 where p holds none. bare says
// that the request carries no data, so that it cannot be an answer, which always
// has a status.
func Request(p []byte) (c Code, bare bool) {
	s := Sniffer{Commands: true}
	s.Write(p)
	b, ok := s.Next()
	if !ok {
		return 0, false
	}
	return b.Code(), len(b) == minCommand-1
}

// HasFrame reports whether a frame, or the beginning of one, may be in p.
func HasFrame(p []byte) bool { return bytes.Contains(p, mark) }

// Code is the command of a request's body.
func (b Body) Code() Code { return Code(b[0])<<8 | Code(b[1]) }

// Status is the status of an answer's body.
func (b Body) Status() Status { return Status{b[0], b[1], b[2]} }

// Data is what follows the status of an answer's body.
func (b Body) Data() []byte { return b[3:] }
