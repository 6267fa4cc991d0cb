package usb

import (
	"fmt"
	"regexp"
	"strings"
)

// Port is which reader a configuration means: any that is known, one of an id, one
// of an id in a socket of this machine, or one with a serial number.
//
//	auto | 0400:c35a | 0400:c35a@1-2.3 | 0400:c35a#SERIAL
type Port struct {
	ID     ID // zero: any known one
	Path   string
	Serial string
}

var pathText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.&_-]*$`)

// ParsePort reads the configured form.
func ParsePort(s string) (Port, error) {
	if s == "" || s == "auto" {
		return Port{}, nil
	}
	id, serial, bySerial := strings.Cut(s, "#")
	id, path, byPath := strings.Cut(id, "@")
	var p Port
	var err error
	if p.ID, err = parseID(id); err != nil {
		return Port{}, fmt.Errorf("usb port %q: want auto, 0400:c35a, 0400:c35a@1-2 or 0400:c35a#SERIAL", s)
	}
	switch {
	case byPath && bySerial, bySerial && serial == "", byPath && !pathText.MatchString(path):
		return Port{}, fmt.Errorf("usb port %q: want a port path after @, e.g. 0400:c35a@1-2.3, or a serial number after #", s)
	}
	p.Path, p.Serial = path, serial
	return p, nil
}

// String prints the configured form.
func (p Port) String() string {
	switch {
	case p.ID == ID{}:
		return "auto"
	case p.Path != "":
		return p.ID.String() + "@" + p.Path
	case p.Serial != "":
		return p.ID.String() + "#" + p.Serial
	}
	return p.ID.String()
}

// fits reports whether a device is one that is meant. Any means any that the
// table says how to drive.
func (p Port) fits(d Device) bool {
	if p.ID == (ID{}) {
		m, known := modelOf(d.ID)
		return known && m.Driven()
	}
	return d.ID == p.ID && (p.Path == "" || p.Path == d.Path) && (p.Serial == "" || p.Serial == d.Serial)
}
