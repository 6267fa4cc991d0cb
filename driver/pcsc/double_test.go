package pcsc

import (
	"slices"
	"sync"
	"testing"
)

// double is a PC/SC service made by a test: it answers from functions and fails
// the test for what was not expected or not freed.
type double struct {
	t *testing.T

	mu       sync.Mutex
	open     int // contexts and cards not freed
	reader   []state
	failures map[string][]error // errors that calls give first, by call

	transmit func(apdu []byte) ([]byte, error)
	control  func(code uint32, data []byte) ([]byte, error)
	direct   bool // how the reader must be connected to
}

const doubleReader = "Double [CL] 00"

func newDouble(t *testing.T) *double {
	d := &double{t: t, reader: []state{{reader: doubleReader, there: true}}, failures: map[string][]error{}}
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.open != 0 {
			t.Errorf("%d contexts and cards were not freed", d.open)
		}
		for call, list := range d.failures {
			if len(list) > 0 {
				t.Errorf("%s was not called often enough: %v is left", call, list)
			}
		}
	})
	return d
}

// set changes the reader's state.
func (d *double) set(f func(*state)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.reader[0])
}

// card puts a card in or takes it out.
func (d *double) card(present bool) {
	d.set(func(s *state) {
		s.present = present
		s.events++
	})
}

// fail has the next calls of a kind fail.
func (d *double) fail(call string, errs ...error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures[call] = append(d.failures[call], errs...)
}

func (d *double) enter(call string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.failures[call]
	if len(list) == 0 {
		return nil
	}
	d.failures[call] = list[1:]
	return list[0]
}

func (d *double) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open += n
}

func (d *double) name() string { return "double" }

func (d *double) establish() (service, error) {
	if err := d.enter("establish"); err != nil {
		return nil, err
	}
	d.count(1)
	return &doubleService{d: d}, nil
}

type doubleService struct {
	d    *double
	mu   sync.Mutex
	busy bool
	over bool
}

// use fails the test where two calls use one context at once, or one that was
// released.
func (s *doubleService) use() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.over {
		s.d.t.Error("a context is used twice at once, or after its release")
	}
	s.busy = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy = false
	}
}

func (s *doubleService) readers() ([]string, error) {
	defer s.use()()
	if err := s.d.enter("readers"); err != nil {
		return nil, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	var names []string
	for _, r := range s.d.reader {
		names = append(names, r.reader)
	}
	return names, nil
}

func (s *doubleService) states(names []string) ([]state, error) {
	defer s.use()()
	if err := s.d.enter("states"); err != nil {
		return nil, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	list := make([]state, len(names))
	for i, n := range names {
		if at := slices.IndexFunc(s.d.reader, func(r state) bool { return r.reader == n }); at >= 0 {
			list[i] = s.d.reader[at]
		}
	}
	return list, nil
}

func (s *doubleService) connect(reader string, direct bool) (card, error) {
	defer s.use()()
	if err := s.d.enter("connect"); err != nil {
		return nil, err
	}
	if direct != s.d.direct {
		s.d.t.Errorf("connected to %s with direct %v", reader, direct)
	}
	s.d.count(1)
	return &doubleCard{s: s}, nil
}

func (s *doubleService) release() error {
	defer s.use()()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.d.count(-1)
	return s.d.enter("release")
}

type doubleCard struct{ s *doubleService }

func (c *doubleCard) transmit(apdu []byte) ([]byte, error) {
	defer c.s.use()()
	if err := c.s.d.enter("transmit"); err != nil {
		return nil, err
	}
	if c.s.d.transmit == nil {
		c.s.d.t.Error("an APDU was sent")
		return nil, codeNotTransacted
	}
	return c.s.d.transmit(apdu)
}

func (c *doubleCard) control(code uint32, data []byte) ([]byte, error) {
	defer c.s.use()()
	if err := c.s.d.enter("control"); err != nil {
		return nil, err
	}
	if c.s.d.control == nil {
		c.s.d.t.Error("the reader was sent something")
		return nil, codeUnsupported
	}
	return c.s.d.control(code, data)
}

func (c *doubleCard) reconnect() error {
	defer c.s.use()()
	return c.s.d.enter("reconnect")
}

func (c *doubleCard) disconnect() error {
	defer c.s.use()()
	c.s.d.count(-1)
	return c.s.d.enter("disconnect")
}
