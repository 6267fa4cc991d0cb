package pcsc

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// Driver opens readers of the PC/SC service. The zero Driver is ready; it must
// not be copied after use.
type Driver struct {
	Clock clockwork.Clock // nil means the real one

	way backend // nil means this build's own

	mu      sync.Mutex        // guards all below
	opened  map[string]bool   // readers that a device of this Driver has
	hung    map[string]int    // calls that have not come back, by reader; "" is the service
	learned map[string]string // profiles that auto found, by reader
}

var _ driver.Diagnoser = (*Driver)(nil)

func (d *Driver) clock() clockwork.Clock {
	if d.Clock == nil {
		return clockwork.NewRealClock()
	}
	return d.Clock
}

func (d *Driver) backend() backend {
	if d.way == nil {
		return builtIn
	}
	return d.way
}

// Open opens the first reader whose name Spec.Port fits (* and ? stand for
// characters) and that no other device has. While a call to it hangs that is
// driver.ErrStuck, at once.
func (d *Driver) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	profile := s.Profile
	switch profile {
	case "":
		profile = profileAuto
	case profileAuto, profilePaged, profileEscape, profileUID:
	case profileAPDU:
		if len(s.APDUHeader) != 4 {
			return nil, &driver.Error{Op: "open", Reader: s.Name, Err: driver.ErrProtocol,
				Cause: fmt.Errorf("profile apdu wants apdu_header, four bytes; got %d", len(s.APDUHeader))}
		}
	default:
		return nil, &driver.Error{Op: "open", Reader: s.Name, Err: driver.ErrProtocol, Cause: fmt.Errorf("profile %q is unknown", profile)}
	}
	if err := d.hanging(s.Name, ""); err != nil {
		return nil, err
	}
	look, err := d.establish(ctx, s.Name, "")
	if err != nil {
		return nil, err
	}
	p, err := d.choose(ctx, look, s)
	if err != nil {
		look.close()
		return nil, err
	}
	switch profile {
	case profileAPDU:
		return newFramed(p, s, profile, envelope(s.APDUHeader)), nil
	case profileEscape:
		return newFramed(p, s, profile, escape(s.EscapeCode)), nil
	case profileAuto:
		if known := d.knows(p.reader); known != "" {
			profile = known
		}
	}
	return &paged{place: p, profile: profile}, nil
}

// choose finds the reader for a Spec and takes it.
func (d *Driver) choose(ctx context.Context, look *session, s driver.Spec) (*place, error) {
	names, err := look.readers(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := ""
	for _, name := range names {
		switch {
		case !match(s.Port, name):
		case d.opened[name]:
			taken = name
		case d.hung[name] > 0:
			return nil, &driver.Error{Op: "open", Reader: s.Name, Err: driver.ErrStuck, Cause: errNoReturn}
		default:
			if d.opened == nil {
				d.opened = map[string]bool{}
			}
			d.opened[name] = true
			return newPlace(d, s.Name, name, look), nil
		}
	}
	if taken != "" {
		return nil, &driver.Error{Op: "open", Reader: s.Name, Err: driver.ErrBusy,
			Cause: fmt.Errorf("%q is another reader of this desk", taken)}
	}
	return nil, &driver.Error{Op: "open", Reader: s.Name, Err: driver.ErrGone, Cause: fmt.Errorf("no reader's name fits %q", s.Port)}
}

// giveBack lets other devices have a reader.
func (d *Driver) giveBack(reader string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.opened, reader)
}

// hang counts calls that do not come back.
func (d *Driver) hang(reader string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung == nil {
		d.hung = map[string]int{}
	}
	d.hung[reader] += n
	if d.hung[reader] == 0 {
		delete(d.hung, reader)
	}
}

// hanging refuses another call where one has not come back: each would take a
// thread of the service, which has few.
func (d *Driver) hanging(who, reader string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung[reader] == 0 {
		return nil
	}
	return (&session{who: who, reader: reader}).stuck("open")
}

// learn keeps the profile that auto found for a reader.
func (d *Driver) learn(reader, profile string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.learned == nil {
		d.learned = map[string]string{}
	}
	d.learned[reader] = profile
}

func (d *Driver) knows(reader string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.learned[reader]
}

// maxName is what a reader's name may have in a configuration.
const maxName = 40

// reduce makes a reader's name of what PC/SC calls it: a-z, 0-9 and -.
func reduce(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	short := strings.Join(words, "-")
	if len(short) > maxName { // the end tells two readers of a model apart
		short = strings.Trim(short[len(short)-maxName:], "-")
	}
	if short == "" {
		return "pcsc"
	}
	return short
}

// Detail implements driver.Driver.
func (d *Driver) Detail() string { return d.backend().name() }

// The profiles.
const (
	profileAuto   = "auto"
	profilePaged  = "paged"
	profileAPDU   = "apdu"
	profileEscape = "escape"
	profileUID    = "uid"
)
