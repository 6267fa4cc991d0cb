package vendorports

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/reader"
)

// afterLift is how long a card's data is still answered once it was lifted: a
// page that polls slowly sees a short tap.
const afterLift = 3 * time.Second

// Slot holds what lies on the readers now. It is a publisher.Observer of its own,
// because the page's board forgets a person long before the card is lifted.
type Slot struct {
	clock       clockwork.Clock
	answerTests bool

	mu      sync.Mutex // guards all below
	readers map[string]*lying
	order   uint64
	changed chan struct{} // closed at the next change
}

// lying is what one reader's card gave.
type lying struct {
	phase  reader.Phase
	order  uint64
	id     string
	data   *event.Registration // nil: no card, or one that gave no record
	photo  []byte
	failed bool // a card lies there that was read with errors or refused
	lifted time.Time
	// The held card is read again and may be another by now.
	doubted bool
}

var _ publisher.Observer = (*Slot)(nil)

// NewSlot returns an empty slot. Taps of simulated readers are answered only with
// answerTests: a demo must not fill a real form.
func NewSlot(clock clockwork.Clock, answerTests bool) *Slot {
	return &Slot{clock: clock, answerTests: answerTests, readers: map[string]*lying{}, changed: make(chan struct{})}
}

func (s *Slot) of(name string) *lying {
	l := s.readers[name]
	if l == nil {
		l = &lying{}
		s.readers[name] = l
	}
	return l
}

func (s *Slot) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Reader implements publisher.Observer.
func (s *Slot) Reader(st reader.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.of(st.Reader)
	before := l.phase
	l.phase = st.Phase
	switch st.Phase {
	case reader.Held:
		l.doubted = false
	case reader.Reading:
		l.doubted = before == reader.Held
	case reader.Found, reader.PlaceAgain, reader.NotID, reader.Unreadable:
		l.empty()
		l.failed = st.Phase != reader.Found
	default:
		if l.data != nil && l.lifted.IsZero() {
			l.lifted = s.clock.Now()
			order := l.order
			s.clock.AfterFunc(afterLift, func() { s.forget(st.Reader, order) })
		}
		l.failed = false
	}
	s.notify()
}

// forget takes a lifted card's data out of memory.
func (s *Slot) forget(name string, order uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.readers[name]; l != nil && l.order == order {
		l.empty()
		s.notify()
	}
}

func (l *lying) empty() {
	l.id, l.data, l.photo, l.failed, l.doubted, l.lifted = "", nil, nil, false, false, time.Time{}
}

// Tapped implements publisher.Observer. What counted and what had counted already
// is answered; a tap that was refused is a failed read.
func (s *Slot) Tapped(t publisher.Tapped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.of(t.Reader)
	l.empty()
	s.order++
	l.order = s.order
	switch {
	case t.Data.Test && !s.answerTests:
	case t.Outcome == publisher.Accepted, t.Outcome == publisher.Repeat:
		data := t.Data
		l.id, l.data, l.photo = t.ID, &data, t.Photo
	default:
		l.failed = true
	}
	s.notify()
}

// FollowedUp implements publisher.Observer: a cancelled record is answered no
// more.
func (s *Slot) FollowedUp(u publisher.FollowUp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.readers {
		if u.Type == event.CancelledType && l.id != "" && l.id == u.Refers {
			l.empty()
			s.notify()
		}
	}
}

// outcome is what a page is told.
type outcome int

const (
	noCard  outcome = iota
	card            // data
	misread         // a card lies there that gave no record
	away            // no reader
)

// look returns what lies on the readers: the newest card's data with the number
// of its tap, and a channel that is closed when that changes.
func (s *Slot) look() (out outcome, newest lying, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out = away
	for _, l := range s.readers {
		if !l.works() {
			continue
		}
		switch {
		case l.data != nil && !l.doubted && (l.lifted.IsZero() || s.clock.Since(l.lifted) <= afterLift):
			if out != card || l.order > newest.order {
				out, newest = card, *l
			}
		case out == card:
		case l.failed:
			out = misread
		case out == away:
			out = noCard
		}
	}
	return out, newest, s.changed
}

// works reports whether a reader can read a card.
func (l *lying) works() bool {
	switch l.phase {
	case reader.Away, reader.Denied, reader.Busy, reader.Faulty, reader.NoIdentity, reader.Stuck, reader.Stopped, "":
		return false
	}
	return true
}
