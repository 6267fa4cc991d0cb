//go:build linux

package usb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"idtap/driver"
	"idtap/driver/stream"
)

// linux is the host: sysfs says what is there, usbfs and hidraw are opened. The
// folders are fields so that tests can stand in.
type linux struct{ sys, dev string }

var system host = linux{"/sys", "/dev"}

var _ host = linux{}

func (linux) name() string { return "usbfs, hidraw" }

// devices lists devices from sysfs. Of those whose id is in no table it says no
// more than that: the rest would ask the device or wait for it.
func (l linux) devices() ([]Device, error) {
	dir := filepath.Join(l.sys, "bus", "usb", "devices")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) { // a kernel without USB
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Device
	for _, e := range entries {
		if strings.Contains(e.Name(), ":") || strings.HasPrefix(e.Name(), "usb") { // interfaces, root hubs
			continue
		}
		if d, ok := l.device(filepath.Join(dir, e.Name())); ok {
			list = append(list, d)
		}
	}
	return list, nil
}

func (l linux) device(dir string) (Device, bool) {
	id, err := parseID(attribute(dir, "idVendor") + ":" + attribute(dir, "idProduct"))
	if err != nil { // gone meanwhile
		return Device{}, false
	}
	d := Device{ID: id, Path: filepath.Base(dir)}
	if _, known := modelOf(id); !known {
		return d, true
	}
	d.Serial, d.Manufacturer, d.Product = attribute(dir, "serial"), attribute(dir, "manufacturer"), attribute(dir, "product")
	d.Speed, d.Power = attribute(dir, "speed"), attribute(dir, "power/control")
	bus, _ := strconv.Atoi(attribute(dir, "busnum"))
	number, _ := strconv.Atoi(attribute(dir, "devnum"))
	d.Node = filepath.Join(l.dev, "bus", "usb", fmt.Sprintf("%03d", bus), fmt.Sprintf("%03d", number))
	configuration, _ := strconv.Atoi(attribute(dir, "bConfigurationValue"))
	if d.Raw, err = os.ReadFile(filepath.Join(dir, "descriptors")); err != nil {
		d.Malformed = err
	} else {
		_, d.Revision, d.Interfaces, d.Malformed = parseDescriptors(d.Raw, configuration)
	}
	d.Drivers = map[int]string{}
	for _, i := range d.Interfaces {
		at := filepath.Join(dir, fmt.Sprintf("%s:%d.%d", d.Path, configuration, i.Number))
		if target, err := os.Readlink(filepath.Join(at, "driver")); err == nil {
			d.Drivers[i.Number] = filepath.Base(target)
		}
		d.HIDs = append(d.HIDs, l.collections(at, i.Number)...)
	}
	return d, true
}

// collections lists an interface's HID collections.
func (l linux) collections(dir string, number int) []HID {
	reports, _ := filepath.Glob(filepath.Join(dir, "*", "report_descriptor"))
	var list []HID
	for _, r := range reports {
		h := HID{Interface: number}
		if h.Report, _ = os.ReadFile(r); h.Report == nil {
			continue
		}
		if nodes, _ := filepath.Glob(filepath.Join(filepath.Dir(r), "hidraw", "hidraw*")); len(nodes) > 0 {
			h.Node = filepath.Join(l.dev, filepath.Base(nodes[0]))
		}
		list = append(list, h)
	}
	return list
}

func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// connect opens a bulk reader through usbfs, a HID reader through hidraw.
func (linux) connect(d Device, w wire, reset bool) (stream.Conn, error) {
	if w.framing != nil {
		r, err := openHidraw(w.node)
		if err != nil {
			return nil, err
		}
		return newHID(r, w.framing), nil
	}
	u, err := openUsbfs(d.Node, w)
	if err != nil {
		return nil, err
	}
	return begin(u, w, reset)
}

// begin makes a stream of pipes, or closes them.
func begin(p pipes, w wire, reset bool) (stream.Conn, error) {
	if reset {
		if err := p.reset(); err != nil {
			p.Close()
			return nil, err
		}
	}
	c, err := newBulk(p, w)
	if err != nil {
		p.Close()
		return nil, err
	}
	return c, nil
}

// kindOf sorts what opening a device can fail with.
func kindOf(err error) error {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return driver.ErrDenied
	case errors.Is(err, unix.EBUSY), errors.Is(err, errLocked):
		return driver.ErrBusy
	case errors.Is(err, errForm), errors.Is(err, errUnsupported):
		return driver.ErrProtocol
	}
	return driver.ErrGone
}
