package usb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Device is a USB device that is plugged in, as the operating system describes it.
// Nothing in it is personal.
type Device struct {
	ID           ID
	Path         string // of ports, e.g. 1-2.3: names the socket, not the device
	Revision     uint16 // bcdDevice
	Serial       string // empty: it has none
	Manufacturer string
	Product      string
	Speed        string // Mbit/s
	Node         string // to open; changes at every plugging
	Power        string // "auto" where the kernel may put it to sleep
	Interfaces   []Interface
	Drivers      map[int]string // kernel or usbfs driver, by interface
	HIDs         []HID
	Raw          []byte // descriptors as they are
	Malformed    error  // the descriptors cannot be read
	Problem      string // Windows: problem code and driver service
}

// HID is a HID collection of a device.
type HID struct {
	Interface int
	Node      string // empty: the kernel made none
	Report    []byte // its report descriptor; nil on Windows, which gives sizes only
	sizes     *reportSizes
}

// wire is how frames travel to and from one device.
type wire struct {
	form    string // two-pipe, four-pipe, hid-bare, hid-miaxis
	iface   int
	in, out []Endpoint // lowest address first: of four pipes the first carries the head
	node    string     // of the HID collection
	framing framing
}

// Forms as they are told to people.
const (
	twoPipe  = "two-pipe"
	fourPipe = "four-pipe"
)

var (
	// errForm says that a known id has a shape that is none of its forms.
	errForm = errors.New("the reader's descriptors are of no known form")
	// errDetached says that a HID reader has no HID node: a program took its
	// interface away from the kernel's driver, or the driver is missing.
	errDetached = errors.New("the reader's HID interface has no driver")
	// errUnsupported says that the model is known and cannot be driven.
	errUnsupported = errors.New("this model is recognised but cannot be driven")
)

// wireOf chooses interface, endpoints and form from what the device says of
// itself.
func wireOf(d Device) (wire, error) {
	m, known := modelOf(d.ID)
	switch {
	case !known:
		return wire{}, fmt.Errorf("%w: %s is in no table", errUnsupported, d.ID)
	case !m.Driven():
		return wire{}, fmt.Errorf("%w: %s %s: %s", errUnsupported, d.ID, m.Maker.En, m.Note.En)
	case d.Malformed != nil:
		return wire{}, fmt.Errorf("%w: %w", errForm, d.Malformed)
	case m.Form == formBulk:
		return bulkWire(d, m)
	}
	return hidWire(d, m)
}

// ofClass reports whether an interface's class begins as the table says.
func ofClass(i Interface, class string) bool { return strings.HasPrefix(i.Class, class) }

func bulkWire(d Device, m Model) (wire, error) {
	for _, i := range d.Interfaces {
		if !ofClass(i, m.Class) {
			continue
		}
		in, out := i.pipesOf()
		switch {
		case len(in) == 1 && len(out) == 1:
			return wire{form: twoPipe, iface: i.Number, in: in, out: out}, nil
		case len(in) == 2 && len(out) == 2:
			return wire{form: fourPipe, iface: i.Number, in: in, out: out}, nil
		}
	}
	return wire{}, fmt.Errorf("%w: %s has no interface of class %s with one or two pipes each way", errForm, d.ID, m.Class)
}

func hidWire(d Device, m Model) (wire, error) {
	w := wire{form: m.Form, framing: &bare{}}
	if m.Form == formMiaxis {
		w.framing = &miaxis{}
	}
	if len(d.HIDs) == 0 {
		if slices.ContainsFunc(d.Interfaces, func(i Interface) bool { return ofClass(i, m.Class) }) {
			return wire{}, errDetached
		}
		return wire{}, fmt.Errorf("%w: %s has no HID interface", errForm, d.ID)
	}
	for _, h := range d.HIDs {
		sizes, err := h.reports()
		if err != nil || sizes.in != reportSize || sizes.out != reportSize || sizes.numbered || !sizes.vendor {
			continue
		}
		if h.Node == "" {
			return wire{}, errDetached
		}
		w.iface, w.node = h.Interface, h.Node
		return w, nil
	}
	return wire{}, fmt.Errorf("%w: %s has no vendor HID collection with reports of %d bytes", errForm, d.ID, reportSize)
}

func (h HID) reports() (reportSizes, error) {
	if h.sizes != nil {
		return *h.sizes, nil
	}
	return parseReport(h.Report)
}

// port is the configured form that names this device and no other that is there.
func (d Device) port() Port { return Port{ID: d.ID, Path: d.Path} }

// name makes a reader's name of the place it is plugged in: usb-1-2-3.
func (d Device) name() string {
	words := strings.FieldsFunc(strings.ToLower(d.Path), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := "usb-" + strings.Join(words, "-")
	const most = 40
	if len(name) > most {
		name = "usb-" + strings.TrimLeft(name[len(name)-(most-4):], "-")
	}
	return name
}

// String describes the device for a technician.
func (d Device) String() string {
	parts := []string{fmt.Sprintf("%s rev %04x at %s", d.ID, d.Revision, d.Path)}
	if s := strings.TrimSpace(d.Manufacturer + " " + d.Product); s != "" {
		parts = append(parts, s)
	}
	if d.Serial != "" {
		parts = append(parts, "serial "+d.Serial)
	}
	if d.Speed != "" {
		parts = append(parts, d.Speed+" Mbit/s")
	}
	return strings.Join(parts, ", ")
}
