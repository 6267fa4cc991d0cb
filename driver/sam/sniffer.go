package sam

import "bytes"

// mark is the part of the preamble that is relied on: one more AA normally
// stands before it.
var mark = []byte{0xAA, 0xAA, 0x96, 0x69}

// malformed begins a time-out answer of one vendor [CW]: it declares two bytes
// more than it has, and with the first two of the next frame's preamble its XOR
// fits. No module has such a status.
var malformed = []byte{0x00, 0x05, 0x05, 0x05, 0x05}

// LineStats counts what a Sniffer met that was not a frame.
type LineStats struct {
	Skipped   uint64 // bytes that belong to no frame
	Gaps      uint64 // runs of such bytes
	BadXOR    uint64 // whole frames with a wrong checksum
	BadLength uint64 // preambles with a length that no frame has
	Cut       uint64 // frames whose rest never came
}

// Errors is the number of line errors: a damaged frame counts once for itself
// and once for the gap that it leaves.
func (s LineStats) Errors() uint64 { return s.Gaps + s.damaged() }

// damaged counts frames that began and were not right.
func (s LineStats) damaged() uint64 { return s.BadXOR + s.BadLength + s.Cut }

// Sniffer finds frames in a stream of bytes, however it is cut into pieces and
// whatever stands between the frames. It hunts for AA AA 96 69, bounds the
// length, checks the XOR, and on any failure goes on one byte after the false
// start, so that a frame inside a damaged one is not lost. While the rest of a
// frame is outstanding it does not hunt inside: card text may hold any pattern.
// Only [Sniffer.Silence] ends that wait.
//
// The zero Sniffer finds answers. It never logs and never fails.
type Sniffer struct {
	Commands bool // find requests (a simulated reader does) instead of answers

	buf   []byte // buf[at:] is not consumed yet
	at    int
	begun bool // a preamble stands at at, its frame is outstanding
	gap   bool // the present run of skipped bytes is counted
	stats LineStats
}

// Write takes in bytes from the line; it implements io.Writer and never fails.
// Bodies that Next returned before are void.
func (s *Sniffer) Write(p []byte) (int, error) {
	if s.at > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
		s.at = 0
	}
	s.buf = append(s.buf, p...)
	return len(p), nil
}

// Next returns the body of the next whole frame. The body stands in the
// Sniffer's buffer and holds until the next Write or Reset.
func (s *Sniffer) Next() (Body, bool) {
	for {
		s.begun = false
		if !s.hunt() {
			return nil, false
		}
		rest := s.buf[s.at:]
		lead := bytes.Index(rest, mark) // 1 with the third AA, 0 without
		head := rest[lead+len(mark):]
		if len(head) < 2 {
			s.begun = true
			return nil, false
		}
		n := int(head[0])<<8 | int(head[1])
		if n < s.minimum() || n > MaxBody || bytes.HasPrefix(head, malformed) {
			s.stats.BadLength++
			s.skip(lead + 1)
			continue
		}
		if len(head) < 2+n {
			s.begun = true
			return nil, false
		}
		if xor(head[:2+n]) != 0 {
			s.stats.BadXOR++
			s.skip(lead + 1)
			continue
		}
		if lead == 0 { // a sync byte was lost
			s.countGap()
		}
		s.gap = false
		s.at += lead + len(mark) + 2 + n
		return Body(head[2 : 1+n]), true
	}
}

// hunt skips to the next preamble, its third AA included. Without one it keeps
// what may be the beginning of one.
func (s *Sniffer) hunt() bool {
	rest := s.buf[s.at:]
	i := bytes.Index(rest, mark)
	if i < 0 {
		s.skip(len(rest) - partial(rest))
		return false
	}
	if i > 0 && rest[i-1] == 0xAA {
		i--
	}
	s.skip(i)
	return true
}

// partial is the length of the longest tail of p that may begin a preamble.
func partial(p []byte) int {
	for _, head := range [][]byte{{0xAA, 0xAA, 0xAA, 0x96}, {0xAA, 0xAA, 0x96}, {0xAA, 0xAA, 0xAA}, {0xAA, 0xAA}, {0xAA}} {
		if bytes.HasSuffix(p, head) {
			return len(head)
		}
	}
	return 0
}

func (s *Sniffer) minimum() int {
	if s.Commands {
		return minCommand
	}
	return minAnswer
}

func (s *Sniffer) skip(n int) {
	if n <= 0 {
		return
	}
	s.at += n
	s.stats.Skipped += uint64(n)
	s.countGap()
}

func (s *Sniffer) countGap() {
	if !s.gap {
		s.gap = true
		s.stats.Gaps++
	}
}

// Pending reports whether a frame has begun whose rest is outstanding: the
// caller then runs its inter-byte timer. It is meaningful after Next.
func (s *Sniffer) Pending() bool { return s.begun }

// Silence tells that the inter-byte time has passed. A frame that is still
// outstanding was a false start; Next goes on one byte after it.
func (s *Sniffer) Silence() {
	if !s.begun {
		return
	}
	s.begun = false
	s.stats.Cut++
	s.skip(1 + bytes.Index(s.buf[s.at:], mark))
}

// Reset drops and overwrites what is buffered; the counts stay.
func (s *Sniffer) Reset() {
	clear(s.buf[:cap(s.buf)])
	s.buf, s.at, s.begun = s.buf[:0], 0, false
}

// Stats gives the counts since the Sniffer was made.
func (s *Sniffer) Stats() LineStats { return s.stats }
