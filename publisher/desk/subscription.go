package desk

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// errEnded is what a subscription of a closed board answers.
var errEnded = errors.New("the board is closed")

// pendingMax is how many changes wait for one subscriber. One that is slower
// gets a fresh snapshot instead of them.
const pendingMax = 64

// change is what changed on the board in one step. What it points to is never
// changed afterwards.
type change struct {
	rev     uint64
	all     bool // a snapshot
	readers []panel
	queue   bool
	bus     bool
	today   *Today
	last    *[]*tap
	todo    *[]*tap

	// As they were at the time: a face depends on both.
	queueState QueueState
	busState   BusState
}

// publish gives a change to every subscriber. The board is locked.
func (b *Board) publish(c change) {
	b.rev++
	c.rev = b.rev
	b.freeze(&c)
	for s := range b.subs {
		s.push(c)
	}
}

// freeze makes a change independent of the board's further life.
func (b *Board) freeze(c *change) {
	c.queueState, c.busState = b.queue, b.bus
	if c.today != nil {
		today := *c.today
		c.today = &today
	}
	for _, list := range []**[]*tap{&c.last, &c.todo} {
		if *list != nil {
			taps := slices.Clone(**list)
			*list = &taps
		}
	}
}

// snapshot is the whole board as a change.
func (b *Board) snapshot() change {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := change{rev: b.rev, all: true, readers: b.copyPanels(), queue: true, bus: true,
		today: &b.today, last: &b.last, todo: &b.todo}
	b.freeze(&c)
	return c
}

// simulated reports whether a reader of the desk is none.
func (b *Board) simulated(c change) bool {
	for _, p := range c.readers {
		if p.state.Identity.Simulated {
			return true
		}
	}
	return false
}

// state is a change as JSON is made of it.
func (b *Board) state(c change, full bool) State {
	zone := b.o.Zone
	var s State
	if c.all {
		s.Boot = b.boot
	}
	if simulated := b.simulated(c); c.all || simulated {
		s.Desk = &DeskView{ID: b.o.DeskID, Name: b.o.DeskName, Test: b.o.Test || simulated}
	}
	for _, p := range c.readers {
		s.Readers = append(s.Readers, p.view(full, c.queueState, c.busState, zone))
	}
	if c.queue {
		s.Queue = c.queueState.view(zone)
	}
	if c.bus {
		s.Bus = c.busState.view(zone)
	}
	s.Today = c.today
	if c.last != nil {
		s.Last = views(*c.last, full, zone)
	}
	if c.todo != nil {
		n := len(*c.todo)
		s.Todo, s.TodoCount = views((*c.todo)[:min(n, shownTodo)], full, zone), &n
	}
	return s
}

// subscription is one subscriber's bounded queue of changes.
type subscription struct {
	board *Board
	wake  chan struct{} // holds one

	mu      sync.Mutex // guards all below
	pending []change
	behind  bool // pending overflowed, or nothing was given yet: a snapshot is due
	ended   bool
	given   uint64 // revision given last
}

// subscribe starts a subscription; its first change is a snapshot.
func (b *Board) subscribe() *subscription {
	s := &subscription{board: b, wake: make(chan struct{}, 1), behind: true}
	s.wake <- struct{}{}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.ended = true
	}
	b.subs[s] = struct{}{}
	return s
}

func (s *subscription) close() {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	delete(s.board.subs, s)
}

func (s *subscription) push(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind {
		return
	}
	if len(s.pending) == pendingMax {
		s.pending, s.behind = nil, true
	} else {
		s.pending = append(s.pending, c)
	}
	s.signal()
}

func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next waits for changes: all that are pending, or one snapshot if the
// subscriber fell behind. After beat without any it gives none.
func (s *subscription) next(ctx context.Context, beat <-chan time.Time) ([]change, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-beat:
		return nil, nil
	case <-s.wake:
	}
	s.mu.Lock()
	changes, behind, ended := s.pending, s.behind, s.ended
	s.pending, s.behind = nil, false
	s.mu.Unlock()
	switch {
	case ended:
		return nil, errEnded
	case behind:
		changes = []change{s.board.snapshot()}
	}
	// A change pushed while the snapshot was taken is part of it already.
	changes = slices.DeleteFunc(changes, func(c change) bool { return !c.all && c.rev <= s.given })
	if n := len(changes); n > 0 {
		s.given = changes[n-1].rev
	}
	return changes, nil
}
