package mock

import (
	"time"

	"idtap/driver/sam"
)

// piece is bytes of an answer that leave together, as the faults cut them.
type piece struct {
	after time.Duration // pause before the first of them, beyond the line's pace
	bytes []byte
	ends  int  // the placing whose text answer ends here, or 0
	gone  bool // the module is unplugged here
}

// line is the module's end of a serial line: it paces bytes both ways. Every
// deadline follows from the moment the request arrived, so that being served late
// does not add up. It knows no goroutines: its owner asks it what is due.
type line struct {
	m       *Module
	in      sam.Sniffer
	heardAt time.Time // when the last byte arrived
	jobs    []arrival
	out     []piece
	outAt   time.Time // when out[0] may leave
	free    time.Time // when the last byte of the last answer has left
	baud    int       // rate of the answer in out
}

// arrival is a request with the moment its last byte was there.
type arrival struct {
	job
	at time.Time
}

// interByte ends a request that was begun and never finished.
const interByte = 100 * time.Millisecond

func newLine(m *Module) *line { return &line{m: m, in: sam.Sniffer{Commands: true}} }

// hear takes in bytes that the host wrote at now.
func (l *line) hear(p []byte, now time.Time) {
	start := now
	if l.heardAt.After(start) { // the host wrote faster than the line carries
		start = l.heardAt
	} else if l.in.Pending() && now.Sub(l.heardAt) > interByte {
		l.in.Silence()
	}
	l.heardAt = start.Add(lineTime(len(p), l.m.Baud()))
	before := l.in.Stats()
	l.in.Write(p)
	for {
		body, ok := l.in.Next()
		if !ok {
			break
		}
		l.take(job{body: append(sam.Body(nil), body...)})
	}
	switch after := l.in.Stats(); {
	case after.BadXOR > before.BadXOR:
		l.take(job{status: sam.BadChecksum})
	case after.BadLength > before.BadLength:
		l.take(job{status: sam.BadLength})
	}
}

func (l *line) take(j job) {
	if j, ok := l.m.hear(j, l.heardAt); ok {
		l.jobs = append(l.jobs, arrival{j, l.heardAt})
	}
}

// due gives the piece that has left by now. Without one it gives the moment to
// ask again, zero when nothing is under way.
func (l *line) due(now time.Time) (p piece, ok bool, next time.Time) {
	for len(l.out) == 0 {
		if len(l.jobs) == 0 {
			return piece{}, false, time.Time{}
		}
		first := l.jobs[0]
		start := first.at
		if l.free.After(start) {
			start = l.free
		}
		ready := start.Add(first.delay)
		if ready.After(now) {
			return piece{}, false, ready
		}
		l.jobs = l.jobs[1:]
		l.baud = l.m.Baud() // command 60 is answered at the old rate [SDTC]
		l.out = l.slice(l.m.answer(first.job))
		l.outAt, l.free = ready, ready
		l.schedule()
	}
	if l.outAt.After(now) {
		return piece{}, false, l.outAt
	}
	p, l.out = l.out[0], l.out[1:]
	l.schedule()
	if p.ends != 0 {
		l.m.left(p.ends)
	}
	return p, true, time.Time{}
}

// schedule moves outAt to the moment the last byte of the next piece has left.
func (l *line) schedule() {
	if len(l.out) > 0 {
		l.outAt = l.outAt.Add(l.out[0].after + lineTime(len(l.out[0].bytes), l.baud))
		l.free = l.outAt
	}
}

// slice cuts pieces to what a UART hands over at once: 8 bytes, or a millisecond
// of a fast line. A host sees an answer grow, as it does on a real one.
func (l *line) slice(pieces []piece) []piece {
	if l.baud == 0 {
		return pieces
	}
	most := max(8, l.baud/10_000)
	var out []piece
	for _, p := range pieces {
		for len(p.bytes) > most {
			out = append(out, piece{after: p.after, bytes: p.bytes[:most]})
			p.after, p.bytes = 0, p.bytes[most:]
		}
		out = append(out, p)
	}
	return out
}
