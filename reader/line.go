package reader

import (
	"crypto/sha256"
	"slices"
	"time"

	"idtap/driver"
	"idtap/reader/card"
	"idtap/reader/identity"
)

// How long a line that showed an error stays suspect: until this many whole
// reads and this much time have passed without another.
const (
	suspectReads = 50
	suspectTime  = 10 * time.Minute
)

// line remembers the last error on a reader's line.
type line struct {
	failing  bool
	failedAt time.Time
	reads    int // whole reads since
}

func (l *line) failed(now time.Time) { *l = line{failing: true, failedAt: now} }

func (l *line) read() { l.reads++ }

// suspect reports whether what comes over the line wants a second look.
func (l *line) suspect(now time.Time) bool {
	return l.failing && (l.reads <= suspectReads || now.Sub(l.failedAt) <= suspectTime)
}

// digest stands for the bytes of a card: text and addresses, and the photo if
// that counts as well.
func digest(raw driver.RawCard, photo bool) [sha256.Size]byte {
	h := sha256.New()
	h.Write(raw.Text[:])
	for _, a := range raw.Addresses {
		h.Write(a[:])
	}
	if photo {
		h.Write([]byte{0}) // no number of addresses makes up for a photo
		h.Write(raw.Photo)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// maxTwins bounds the reads that wait for an equal one.
const maxTwins = 16

// twins are whole reads, by digest, of which none has come twice yet. They
// outlast the card's removal, so that a card placed again can be compared.
type twins [][sha256.Size]byte

// match reports whether an equal read is waiting; if not, this one waits.
func (t *twins) match(sum [sha256.Size]byte) bool {
	if slices.Contains(*t, sum) {
		return true
	}
	if len(*t) == maxTwins {
		*t = slices.Delete(*t, 0, 1)
	}
	*t = append(*t, sum)
	return false
}

func (t *twins) clear() { *t = nil }

// handled is a card that was handed on and may still lie there.
type handled struct {
	sum    [sha256.Size]byte // of text and addresses
	kind   card.Kind
	number [sha256.Size]byte

	// A tap that the sink has not settled yet, what it said, and when it is
	// offered again.
	offer     *Tap
	unsettled error
	wait      time.Duration
	offerAt   time.Time
}

func newHandled(sum [sha256.Size]byte, c identity.Checked) *handled {
	return &handled{sum: sum, kind: c.Kind, number: sha256.Sum256([]byte(c.Number))}
}

// sameCard reports whether other reads of the same document: one of the two
// was damaged on the way.
func (h *handled) sameCard(c identity.Checked) bool {
	return c.Number != "" && c.Kind == h.kind && sha256.Sum256([]byte(c.Number)) == h.number
}
