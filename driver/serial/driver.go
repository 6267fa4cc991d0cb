package serial

import (
	"context"
	"sync"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/sam"
)

// Driver opens readers on serial ports. The zero Driver is ready; it must not
// be copied after use.
type Driver struct {
	Clock clockwork.Clock // nil means the real one

	mu    sync.Mutex
	rates map[string]int // by port, the rate that worked last; guarded by mu
}

var (
	_ driver.Diagnoser = (*Driver)(nil)
	_ driver.Examiner  = (*Driver)(nil)
	_ driver.Prober    = (*Driver)(nil)
)

// Open opens Spec.Port. Without a Spec.Baud it finds the rate out, beginning
// with the one that worked last on this port, and fails with driver.ErrTimeout
// or driver.ErrProtocol where no module answers.
func (d *Driver) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	o := sam.Options{
		Name:       s.Name,
		Detail:     "serial " + s.Port,
		Baud:       s.Baud,
		MaxRFBytes: s.MaxRFBytes,
		Clock:      d.Clock,
	}
	p, err := Open(s.Port, s.Name, s.Baud)
	if err != nil {
		return nil, err
	}
	t := driver.Observed(p, s.Wire)
	if s.Baud == 0 {
		if o.Baud, err = sam.Detect(ctx, line{t, p}, d.last(s.Port), o); err != nil {
			p.Close()
			return nil, err
		}
		d.remember(s.Port, o.Baud)
	}
	return sam.NewClient(t, o), nil
}

// line is a port whose bytes are observed while its rate is tried.
type line struct {
	driver.Transport
	port *Port
}

// SetBaud implements sam.Line.
func (l line) SetBaud(baud int) error { return l.port.SetBaud(baud) }

func (d *Driver) last(port string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rates[port]
}

func (d *Driver) remember(port string, baud int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rates == nil {
		d.rates = make(map[string]int)
	}
	d.rates[port] = baud
}

// Discover finds nothing: see the package comment. Ports lists what is there.
func (*Driver) Discover(context.Context) ([]driver.Spec, error) { return nil, nil }

// Detail implements driver.Driver.
func (*Driver) Detail() string { return "go.bug.st/serial" }
