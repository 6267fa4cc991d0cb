package serial

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Ports lists the serial ports from sysfs and opens none of them. Ports without
// a device behind them (consoles, the ttyS nodes of absent chips) are left out.
func Ports() ([]Info, error) { return list("/sys/class/tty", "/dev") }

// list reads a sysfs class folder; dev holds the nodes and serial/by-id.
func list(class, dev string) ([]Info, error) {
	entries, err := os.ReadDir(class)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) { // a kernel without ttys
			return nil, nil
		}
		return nil, err
	}
	stable := stableNames(filepath.Join(dev, "serial", "by-id"))
	var ports []Info
	for _, e := range entries {
		device, err := filepath.EvalSymlinks(filepath.Join(class, e.Name(), "device"))
		if err != nil {
			continue
		}
		// The kernel makes 4 or more ttyS nodes whether there are chips or not.
		if kind := attribute(filepath.Join(class, e.Name()), "type"); kind == "0" {
			continue
		}
		path := filepath.Join(dev, e.Name())
		p := Info{Path: path, Stable: stable[e.Name()]}
		if target, err := filepath.EvalSymlinks(filepath.Join(device, "driver")); err == nil {
			p.Driver = filepath.Base(target)
		}
		p.usb(device)
		ports = append(ports, p)
	}
	bySocket(ports, stableNames(filepath.Join(dev, "serial", "by-path")))
	return ports, nil
}

// bySocket gives ports that share their name by id a name by the socket that they
// hang on: two adapters of one model without serial numbers have one link between
// them.
func bySocket(ports []Info, paths map[string]string) {
	alike := map[[3]string]int{}
	kind := func(p Info) [3]string { return [3]string{p.VID, p.PID, p.Interface} }
	for _, p := range ports {
		if p.VID != "" && p.Serial == "" {
			alike[kind(p)]++
		}
	}
	for i, p := range ports {
		if p.VID != "" && p.Serial == "" && alike[kind(p)] > 1 {
			ports[i].Shared, ports[i].Stable = true, paths[filepath.Base(p.Path)]
		}
	}
}

// usb fills in the ids: they stand some levels above the port, at the device
// that has an idVendor; the interface is on the way.
func (p *Info) usb(device string) {
	for dir := device; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if p.Interface == "" {
			p.Interface = attribute(dir, "bInterfaceNumber")
		}
		if vid := attribute(dir, "idVendor"); vid != "" {
			p.VID, p.PID = strings.ToLower(vid), strings.ToLower(attribute(dir, "idProduct"))
			p.Serial = attribute(dir, "serial")
			return
		}
	}
	p.Interface = ""
}

func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// stableNames maps node names to the links that udev made for them.
func stableNames(dir string) map[string]string {
	names := make(map[string]string)
	links, err := os.ReadDir(dir)
	if err != nil {
		return names // no udev, or no USB port
	}
	for _, l := range links {
		link := filepath.Join(dir, l.Name())
		if target, err := os.Readlink(link); err == nil {
			names[filepath.Base(target)] = link
		}
	}
	return names
}
