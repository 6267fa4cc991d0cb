package sam

import (
	"bytes"
	"fmt"

	"idtap/driver"
)

// Telnet's commands [RFC 854]: IAC, and those with an option after them.
const (
	telnetIAC  = 0xFF
	telnetSB   = 0xFA
	telnetSE   = 0xF0
	telnetWill = 0xFB
	telnetDont = 0xFE
)

// rawLimit bounds what is kept of one exchange: the largest answer, every byte of
// it doubled.
const rawLimit = 2 * MaxBody

// keep notes bytes of the exchange under way. They may hold a whole identity and
// are overwritten with the end of the exchange.
func (c *Client) keep(p []byte) {
	if len(c.raw)+len(p) <= rawLimit {
		c.raw = append(c.raw, p...)
	}
	c.negotiated = c.negotiated || !c.framed && negotiates(p)
}

func (c *Client) dropRaw() {
	clear(c.raw[:cap(c.raw)])
	c.raw = c.raw[:0]
}

// headHits is how many bytes of the first five an answer must still have in
// common with a preamble to be taken for one whose head was damaged.
const headHits = 3

// resembles reports whether the bytes that belong to no frame are an answer with
// a damaged head, rather than a foreign message before the answer: they have an
// answer's length and most of a preamble, each byte in its place, be it that one
// was lost.
func resembles(stray []byte) bool {
	head := Answer(0, 0, 0, nil)[:5]
	for at := 0; at+minAnswer+overhead-1 <= len(stray); at++ {
		for _, want := range [][]byte{head, head[1:], {0xAA, 0xAA, 0xAA, 0x69}, {0xAA, 0xAA, 0xAA, 0x96}} {
			hits := 0
			for i, b := range want {
				if stray[at+i] == b {
					hits++
				}
			}
			if hits >= min(headHits+len(want)-4, len(want)) {
				return true
			}
		}
	}
	return false
}

// negotiates reports whether bytes are telnet's talk about options and nothing
// else: no reader begins like that.
func negotiates(p []byte) bool {
	if len(p) < 3 || p[1] < telnetSB || p[1] == telnetIAC {
		return false
	}
	for len(p) > 0 {
		switch {
		case p[0] != telnetIAC || len(p) < 2:
			return false
		case p[1] == telnetSB:
			end := bytes.Index(p, []byte{telnetIAC, telnetSE})
			if end < 0 {
				return true
			}
			p = p[end+2:]
		case p[1] >= telnetWill && p[1] <= telnetDont:
			p = p[min(3, len(p)):]
		default:
			return false
		}
	}
	return true
}

// undoubled takes telnet's escapes out of what came: FF FF is FF, and outside its
// binary mode CR NUL is CR.
func undoubled(p []byte, text bool) []byte {
	out := bytes.ReplaceAll(p, []byte{telnetIAC, telnetIAC}, []byte{telnetIAC})
	if text {
		out = bytes.ReplaceAll(out, []byte{'\r', 0}, []byte{'\r'})
	}
	return out
}

// telnet reports whether what came in this exchange is the answer as a telnet
// server passes it on.
func (c *Client) telnet(cmd command) bool {
	if c.negotiated {
		return true
	}
	for _, text := range []bool{false, true} {
		plain := undoubled(c.raw, text)
		if len(plain) == len(c.raw) {
			continue
		}
		var s Sniffer
		s.Write(plain)
		for b, ok := s.Next(); ok; b, ok = s.Next() {
			if cmd.shape != nil && cmd.fits(b) {
				return true
			}
		}
		s.Reset()
		clear(plain)
	}
	return false
}

// odd is a whole answer of a size that the command's answer never has.
type odd struct {
	code Code
	sw3  byte
	size int // bytes of data
}

// formOf returns the error for a command whose answer came whole, but in another
// form than the protocol's; nil for any other. A form of the module's own is
// believed when it came twice.
func (c *Client) formOf(cmd command, before odd) error {
	switch {
	case c.telnet(cmd):
		return c.error(cmd.op, driver.ErrTelnet, nil)
	case c.odd != odd{} && c.odd == before:
		return c.error(cmd.op, driver.ErrDialect, fmt.Errorf("status %02X with %d bytes of data", c.odd.sw3, c.odd.size))
	}
	return nil
}
