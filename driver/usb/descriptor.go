package usb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Descriptor types and endpoint attributes of USB 2.0, section 9.6.
const (
	typeDevice    = 1
	typeConfig    = 2
	typeInterface = 4
	typeEndpoint  = 5

	transferBulk      = 2
	transferInterrupt = 3

	dirIn = 0x80
)

// Limits of what a device may claim.
const (
	maxDescriptors = 16 << 10 // bytes; a real configuration has some hundred
	maxInterfaces  = 32
	maxEndpoints   = 30 // of one interface
)

// Endpoint is one pipe of an interface.
type Endpoint struct {
	Address  byte // bit 7 set: from the device
	Transfer byte // 2 bulk, 3 interrupt; others are of no use here
	Packet   int  // bytes, wMaxPacketSize
}

// In reports the direction: from the device to the host.
func (e Endpoint) In() bool { return e.Address&dirIn != 0 }

// Interface is one interface of the active configuration, in its first setting.
type Interface struct {
	Number    int
	Class     string // class/subclass/protocol in hex, e.g. ff/00/00
	Endpoints []Endpoint
}

// errDescriptors says that what a device says of itself cannot be read.
var errDescriptors = errors.New("the descriptors are malformed")

// parseDescriptors reads what a device says of itself, as the kernel keeps it: the
// device descriptor, then each configuration whole. It returns the revision
// (bcdDevice) and the interfaces of the configuration with that value; 0 takes the
// first. Alternate settings are left out: no reader is known to need one.
func parseDescriptors(raw []byte, configuration int) (id ID, revision uint16, list []Interface, err error) {
	if len(raw) > maxDescriptors || len(raw) < 18 || raw[0] < 18 || raw[1] != typeDevice {
		return ID{}, 0, nil, fmt.Errorf("%w: no device descriptor", errDescriptors)
	}
	id = ID{binary.LittleEndian.Uint16(raw[8:]), binary.LittleEndian.Uint16(raw[10:])}
	revision = binary.LittleEndian.Uint16(raw[12:])
	active, found, skipped := false, false, false
	for rest := raw; len(rest) > 0; rest = rest[rest[0]:] {
		n := int(rest[0])
		if n < 2 || n > len(rest) {
			return id, revision, nil, fmt.Errorf("%w: a length of %d with %d bytes left", errDescriptors, n, len(rest))
		}
		d := rest[:n]
		switch {
		case d[1] == typeConfig && n >= 9:
			active = !found && (configuration == 0 || int(d[5]) == configuration)
			found = found || active
		case d[1] == typeInterface && n >= 9 && active:
			if skipped = d[3] != 0; skipped {
				continue
			}
			if len(list) == maxInterfaces {
				return id, revision, nil, fmt.Errorf("%w: more than %d interfaces", errDescriptors, maxInterfaces)
			}
			list = append(list, Interface{Number: int(d[2]), Class: fmt.Sprintf("%02x/%02x/%02x", d[5], d[6], d[7])})
		case d[1] == typeEndpoint && n >= 7 && active && !skipped && len(list) > 0:
			of := &list[len(list)-1]
			if len(of.Endpoints) == maxEndpoints {
				return id, revision, nil, fmt.Errorf("%w: more than %d endpoints", errDescriptors, maxEndpoints)
			}
			of.Endpoints = append(of.Endpoints, Endpoint{Address: d[2], Transfer: d[3] & 3,
				Packet: int(binary.LittleEndian.Uint16(d[4:]) & 0x7ff)})
		}
	}
	if !found {
		return id, revision, nil, fmt.Errorf("%w: no configuration %d", errDescriptors, configuration)
	}
	return id, revision, list, nil
}

// pipesOf are the endpoints of an interface that can carry frames, lowest address
// first in each direction.
func (i Interface) pipesOf() (in, out []Endpoint) {
	for _, e := range i.Endpoints {
		switch {
		case e.Transfer != transferBulk && e.Transfer != transferInterrupt, e.Packet == 0, e.Address&0x0f == 0:
		case e.In():
			in = append(in, e)
		default:
			out = append(out, e)
		}
	}
	byAddress := func(a, b Endpoint) int { return int(a.Address) - int(b.Address) }
	slices.SortFunc(in, byAddress)
	slices.SortFunc(out, byAddress)
	return in, out
}

// reportSizes are the sizes in bytes of a HID collection's reports.
type reportSizes struct {
	in, out  int
	numbered bool // reports carry an id
	vendor   bool // the usage page is a vendor's, not a keyboard's or a mouse's
}

// maxReport bounds what a report descriptor may declare, in bits.
const maxReport = 4096 * 8

// parseReport reads a HID report descriptor (HID 1.11, section 6.2.2) as far as
// the sizes of its input and output reports go.
func parseReport(raw []byte) (reportSizes, error) {
	if len(raw) > maxDescriptors {
		return reportSizes{}, errDescriptors
	}
	var r reportSizes
	size, count, in, out := 0, 0, 0, 0
	for rest := raw; len(rest) > 0; {
		n := int(rest[0] & 3)
		if n == 3 {
			n = 4
		}
		const long = 0xfe
		if rest[0] == long || 1+n > len(rest) {
			return reportSizes{}, fmt.Errorf("%w: report item cut short", errDescriptors)
		}
		value := 0
		for i := n; i > 0; i-- {
			value = value<<8 | int(rest[i])
		}
		switch rest[0] &^ 3 {
		case 0x04: // usage page
			r.vendor = r.vendor || value >= 0xff00
		case 0x74: // report size, bits
			size = min(value, maxReport+1)
		case 0x94: // report count
			count = min(value, maxReport+1)
		case 0x84: // report id
			r.numbered = true
		case 0x80: // input
			in += size * count
		case 0x90: // output
			out += size * count
		}
		if in > maxReport || out > maxReport {
			return reportSizes{}, fmt.Errorf("%w: a report of more than %d bytes", errDescriptors, maxReport/8)
		}
		rest = rest[1+n:]
	}
	r.in, r.out = in/8, out/8
	return r, nil
}
