package daemon

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"idtap/publisher"
	"idtap/reader"
)

// states remember the last state of each reader and count taps. The zero value
// is ready for use, from any goroutine.
type states struct {
	mu      sync.Mutex
	readers map[string]reader.State
	taps    map[publisher.Outcome]uint64
	tapped  time.Time // the last tap
}

// note keeps a state and returns the one before.
func (s *states) note(now reader.State) (before reader.State, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers == nil {
		s.readers = map[string]reader.State{}
	}
	before, known = s.readers[now.Reader]
	s.readers[now.Reader] = now
	return before, known
}

// reader returns a reader's last state.
func (s *states) reader(name string) (state reader.State, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, known = s.readers[name]
	return state, known
}

// list returns the readers' last states by name.
func (s *states) list() []reader.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Collect(maps.Values(s.readers))
	slices.SortFunc(list, func(a, b reader.State) int { return strings.Compare(a.Reader, b.Reader) })
	return list
}

// count counts a tap.
func (s *states) count(o publisher.Outcome, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tapped = at
	if s.taps == nil {
		s.taps = map[publisher.Outcome]uint64{}
	}
	s.taps[o]++
}

// lastTap returns when the last card was tapped since the start; zero: none was.
func (s *states) lastTap() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tapped
}

// counts returns the taps since the start by outcome, every outcome included.
func (s *states) counts() map[publisher.Outcome]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[publisher.Outcome]uint64{}
	for _, o := range []publisher.Outcome{publisher.Accepted, publisher.Repeat, publisher.Refused, publisher.Full, publisher.Failed} {
		counts[o] = s.taps[o]
	}
	return counts
}
