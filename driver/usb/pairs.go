package usb

import (
	"bytes"
	"encoding/binary"

	"idtap/driver/sam"
)

// joiner makes one stream of the two IN pipes of a four-pipe reader [IDR200, SDTC]:
// preamble and length come over the head pipe, the rest of the frame over the body
// pipe. Either may be handed over first.
//
// Bytes pass through as soon as it is clear where they belong. A head that is none
// empties both pipes, so that one lost head does not shift every later answer.
type joiner struct {
	head []byte   // of the present head, less than headSize
	rest int      // bytes of the present body that are outstanding
	body [][]byte // bodies that came before their head, one piece per transfer
}

// heads takes what came over the head pipe and returns what the stream goes on
// with.
func (j *joiner) heads(p []byte) []byte {
	var out []byte
	for len(p) > 0 {
		n := min(len(p), headSize-len(j.head))
		j.head, p = append(j.head, p[:n]...), p[n:]
		if !bytes.HasPrefix(j.head, preamble[:min(len(j.head), len(preamble))]) {
			j.reset()
			return out
		}
		if len(j.head) < headSize {
			break
		}
		size := int(binary.BigEndian.Uint16(j.head[len(preamble):]))
		if size < 2 || size > sam.MaxBody {
			j.reset()
			return out
		}
		out = append(out, j.head...)
		j.head, j.rest = j.head[:0], size
		if n := min(len(p), j.rest); n > 0 { // a reader that sends it all over one pipe
			out = append(out, p[:n]...)
			p, j.rest = p[n:], j.rest-n
		}
		out = append(out, j.waiting()...)
	}
	return out
}

// waiting takes the bodies that are here already, as far as they fit the head:
// what does not fit is older than the head and belongs to an answer given up.
func (j *joiner) waiting() []byte {
	total := 0
	for _, b := range j.body {
		total += len(b)
	}
	for len(j.body) > 0 && total > j.rest {
		total -= len(j.body[0])
		j.body = j.body[1:]
	}
	out := bytes.Join(j.body, nil)
	j.rest -= len(out)
	j.body = nil
	return out
}

// bodies takes what came over the body pipe and returns what the stream goes on
// with.
func (j *joiner) bodies(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	if j.rest == 0 {
		const most = 64 // pieces without a head: nobody will want the oldest
		if len(j.body) == most {
			j.body = j.body[1:]
		}
		j.body = append(j.body, bytes.Clone(p))
		return nil
	}
	n := min(len(p), j.rest)
	j.rest -= n
	return p[:n]
}

// reset forgets everything: a new command goes out, or a head was none.
func (j *joiner) reset() { *j = joiner{head: j.head[:0]} }
