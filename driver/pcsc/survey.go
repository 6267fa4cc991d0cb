package pcsc

import (
	"context"
	"errors"

	"idtap/driver"
)

// Condition is how the PC/SC service is.
type Condition string

const (
	Running  Condition = "running"
	Absent   Condition = "absent"    // not running, or not there at all
	Refused  Condition = "refused"   // running, but this user may not (polkit)
	Silent   Condition = "silent"    // running, but it does not answer
	NotBuilt Condition = "not_built" // this build has no PC/SC
)

// Use is who has a card.
type Use string

const (
	Free   Use = "free"
	Shared Use = "shared" // other programs use it too
	Alone  Use = "alone"  // another program has it for itself
)

// Survey is what the PC/SC service says, for a technician. Nothing in it is
// personal.
type Survey struct {
	Backend string
	Service Condition
	Err     error // why it is not Running; nil if it is
	Readers []Listed
}

// Listed is a reader of the service.
type Listed struct {
	Name    string
	Present bool // a card lies there
	ATR     []byte
	Use     Use
	Hung    bool   // a call of this program to it has not come back
	Model   string // "" if no line of the table fits
	Profile string // of that model, or as auto found it; "" if neither
}

// Survey asks the service for its readers. It connects to none.
func (d *Driver) Survey(ctx context.Context) Survey {
	v := Survey{Backend: d.Detail()}
	list, err := d.ask(ctx)
	switch {
	case err == nil:
		v.Service = Running
	case errors.Is(err, driver.ErrNotBuilt):
		v.Service, v.Err = NotBuilt, err
	case errors.Is(err, codeDenied):
		v.Service, v.Err = Refused, err
	case errors.Is(err, errNoReturn), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		v.Service, v.Err = Silent, err
	default:
		v.Service, v.Err = Absent, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range list {
		l := Listed{Name: s.reader, Present: s.present, ATR: s.atr, Use: Free, Hung: d.hung[s.reader] > 0}
		switch {
		case s.alone:
			l.Use = Alone
		case s.shared:
			l.Use = Shared
		}
		m := modelOf(s.reader, s.atr)
		l.Model, l.Profile = m.name, m.profile
		if l.Profile == "" {
			l.Profile = d.learned[s.reader]
		}
		v.Readers = append(v.Readers, l)
	}
	return v
}

// ask takes a look at all readers, on a context of its own: nothing is kept
// while nobody looks.
func (d *Driver) ask(ctx context.Context) ([]state, error) {
	if err := d.hanging("", ""); err != nil {
		return nil, err
	}
	s, err := d.establish(ctx, "", "")
	if err != nil {
		return nil, err
	}
	defer s.close()
	names, err := s.readers(ctx)
	if err != nil {
		return nil, err
	}
	return s.states(ctx, names...)
}

// Discover lists the readers of known models. It sends nothing to any.
func (d *Driver) Discover(ctx context.Context) ([]driver.Spec, error) {
	v := d.Survey(ctx)
	if errors.Is(v.Err, driver.ErrNotBuilt) {
		return nil, nil
	}
	var specs []driver.Spec
	for _, r := range v.Readers {
		if r.Model != "" {
			specs = append(specs, driver.Spec{Name: reduce(r.Name), Driver: "pcsc", Port: r.Name, Profile: r.Profile})
		}
	}
	return specs, v.Err
}
