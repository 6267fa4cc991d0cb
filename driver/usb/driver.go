package usb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/stream"
)

const (
	// permissionWait is how long a node that has just appeared may refuse: the
	// kernel makes it, udev then gives it its group (86 ms later when measured).
	permissionWait = 2 * time.Second
	permissionPoll = 50 * time.Millisecond
	// quiet is the silence that ends draining; what an earlier host left is there
	// at once.
	quiet     = 100 * time.Millisecond
	drainMost = time.Second
	// innerRate is the rate of the module's own line inside the reader, which may
	// be a UART; time-outs allow for it.
	innerRate = 115200
	// silentSessions in a row reset a reader, once per plugging.
	silentSessions = 3
)

// Driver opens readers on USB. The zero Driver is ready; it must not be copied
// after use.
type Driver struct {
	Clock clockwork.Clock // nil means the real one

	host host // nil means this system

	mu    sync.Mutex
	known map[string]*plugged // by Node: what is known of one plugging; guarded by mu
	sams  map[string]string   // by Path: the module last seen there; guarded by mu
}

var (
	_ driver.Driver  = (*Driver)(nil)
	_ driver.Watcher = (*Driver)(nil)
)

// plugged is what is known of a device for as long as it is plugged in.
type plugged struct {
	since  time.Time
	silent int  // sessions in a row without a byte
	reset  bool // it was reset
}

func (d *Driver) clock() clockwork.Clock {
	if d.Clock == nil {
		return clockwork.NewRealClock()
	}
	return d.Clock
}

func (d *Driver) system() host {
	if d.host == nil {
		return system
	}
	return d.host
}

// Detail implements driver.Driver.
func (d *Driver) Detail() string { return d.system().name() }

// Discover lists the readers that are plugged in and that the table says how to
// drive, by port path. It opens none.
func (d *Driver) Discover(context.Context) ([]driver.Spec, error) {
	list, err := d.devices()
	if err != nil {
		return nil, err
	}
	var specs []driver.Spec
	for _, dev := range list {
		if m, ok := modelOf(dev.ID); ok && m.Driven() {
			specs = append(specs, driver.Spec{Name: dev.name(), Driver: "usb", Port: dev.port().String()})
		}
	}
	return specs, nil
}

// Watch calls changed whenever something was plugged in or out, until the context
// ends. It may call too often, or never where the system tells nothing.
func (d *Driver) Watch(ctx context.Context, changed func()) { d.system().watch(ctx, changed) }

// devices lists what is plugged in and keeps account of when each was.
func (d *Driver) devices() ([]Device, error) {
	list, err := d.system().devices()
	if err != nil {
		return nil, err
	}
	now := d.clock().Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	there := make(map[string]*plugged, len(list))
	for _, dev := range list {
		p := d.known[dev.Node]
		if p == nil {
			p = &plugged{since: now}
		}
		there[dev.Node] = p
	}
	d.known = there
	return list, nil
}

func (d *Driver) plugged(node string) *plugged {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.known[node]; p != nil {
		return p
	}
	return &plugged{since: d.clock().Now()} // gone meanwhile
}

// Open opens the first reader that Spec.Port means and that nobody has open. Of
// two that are alike, each is taken once. Beside driver.ErrGone, ErrDenied and
// ErrBusy it fails with driver.ErrProtocol for a device that is known and cannot
// be driven, or that has another shape than its id says.
func (d *Driver) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	fail := func(kind, cause error) error {
		return &driver.Error{Op: "open", Reader: s.Name, Err: kind, Cause: cause}
	}
	port, err := ParsePort(s.Port)
	if err != nil {
		return nil, fail(driver.ErrProtocol, err)
	}
	list, err := d.devices()
	if err != nil {
		return nil, fail(driver.ErrGone, err)
	}
	last := fail(driver.ErrGone, fmt.Errorf("no reader fits %s", port))
	for _, dev := range list {
		if !port.fits(dev) {
			continue
		}
		opened, err := d.open(ctx, s, dev)
		if err == nil {
			return opened, nil
		}
		last = fail(kindOf(err), fmt.Errorf("%s at %s: %w", dev.ID, dev.Path, err))
		if ctx.Err() != nil {
			return nil, fail(ctx.Err(), nil)
		}
	}
	return nil, last
}

// open opens one device, empties its pipes and makes a client of it.
func (d *Driver) open(ctx context.Context, s driver.Spec, dev Device) (driver.Device, error) {
	w, err := wireOf(dev)
	if err != nil {
		return nil, err
	}
	conn, err := d.connect(ctx, dev, w)
	if err != nil {
		return nil, err
	}
	t := stream.New(conn, s.Name)
	if err := d.drain(ctx, t); err != nil {
		t.Close()
		return nil, err
	}
	r := &device{driver: d, dev: dev, conn: conn, counted: &counted{Transport: t}}
	m, _ := modelOf(dev.ID)
	r.Client = sam.NewClient(driver.Observed(r.counted, s.Wire), sam.Options{
		Name:       s.Name,
		Model:      m.Maker.En,
		Detail:     fmt.Sprintf("usb %s, %s", dev.port(), w.form),
		Baud:       innerRate,
		MaxRFBytes: s.MaxRFBytes,
		Clock:      d.Clock,
	})
	return r, nil
}

// connect opens a device. One that has just been plugged in may refuse for a
// while; one that has said nothing for long is reset once.
func (d *Driver) connect(ctx context.Context, dev Device, w wire) (stream.Conn, error) {
	p := d.plugged(dev.Node)
	for {
		conn, err := d.tryConnect(dev, w, p)
		if !errors.Is(kindOf(err), driver.ErrDenied) || d.clock().Since(p.since) >= permissionWait {
			return conn, err
		}
		wait := d.clock().NewTimer(permissionPoll)
		select {
		case <-wait.Chan():
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		}
	}
}

func (d *Driver) tryConnect(dev Device, w wire, p *plugged) (stream.Conn, error) {
	d.mu.Lock()
	reset := w.framing == nil && p.silent >= silentSessions && !p.reset
	p.reset = p.reset || reset
	d.mu.Unlock()
	return d.system().connect(dev, w, reset)
}

// drain throws away what an earlier program left unread.
func (d *Driver) drain(ctx context.Context, t driver.Transport) error {
	whole, cancel := clockwork.WithTimeout(ctx, d.clock(), drainMost)
	defer cancel()
	for buf := make([]byte, 4096); ; {
		silence, cancel := clockwork.WithTimeout(whole, d.clock(), quiet)
		n, err := t.Read(silence, buf)
		over := silence.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case over && n == 0, whole.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// device is a reader on USB.
type device struct {
	*sam.Client
	driver  *Driver
	dev     Device
	conn    stream.Conn
	counted *counted
	once    sync.Once
}

var (
	_ driver.Device      = (*device)(nil)
	_ driver.LineCounter = (*device)(nil)
)

// Identify asks the module who it is, and whether it is the one that was last seen
// in this place.
func (r *device) Identify(ctx context.Context) (driver.Identity, error) {
	id, err := r.Client.Identify(ctx)
	id.Baud = 0 // there is no line
	if err == nil && id.SAM != "" && r.driver.exchanged(r.dev.Path, id.SAM) {
		id.Detail += ", another reader than before in this place"
	}
	return id, err
}

// exchanged notes which module is in a place and reports whether it was another.
func (d *Driver) exchanged(path, module string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.sams[path]
	if d.sams == nil {
		d.sams = map[string]string{}
	}
	d.sams[path] = module
	return before != "" && before != module
}

// LineErrors counts what the module's answers and the bus had wrong.
func (r *device) LineErrors() uint64 {
	n := r.Client.LineErrors()
	if b, ok := r.conn.(interface{ lineErrors() uint64 }); ok {
		n += b.lineErrors()
	}
	return n
}

// Close notes whether the session passed in silence.
func (r *device) Close() error {
	r.once.Do(func() {
		sent, received := r.counted.sent.Load(), r.counted.received.Load()
		r.driver.mu.Lock()
		defer r.driver.mu.Unlock()
		if p := r.driver.known[r.dev.Node]; p != nil && sent > 0 {
			p.silent++
			if received > 0 {
				p.silent = 0
			}
		}
	})
	return r.Client.Close()
}
