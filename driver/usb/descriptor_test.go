package usb

import (
	"errors"
	"reflect"
	"testing"
)

// described builds descriptors by hand: device, one configuration, interfaces.
func described(id ID, interfaces ...[]byte) []byte {
	device := []byte{18, 1, 0, 2, 0, 0, 0, 64, byte(id.Vendor), byte(id.Vendor >> 8), byte(id.Product), byte(id.Product >> 8), 0x63, 0, 1, 2, 0, 1}
	total := 9
	for _, i := range interfaces {
		total += len(i)
	}
	raw := append(device, 9, 2, byte(total), byte(total>>8), byte(len(interfaces)), 1, 0, 0x80, 50)
	for _, i := range interfaces {
		raw = append(raw, i...)
	}
	return raw
}

func iface(number, class, sub, protocol byte, endpoints ...[]byte) []byte {
	d := []byte{9, 4, number, 0, byte(len(endpoints)), class, sub, protocol, 0}
	for _, e := range endpoints {
		d = append(d, e...)
	}
	return d
}

func endpoint(address, transfer byte) []byte { return []byte{7, 5, address, transfer, 64, 0, 1} }

var (
	c35a  = ID{0x0400, 0xc35a}
	i5020 = ID{0x0316, 0x5020}
	h2721 = ID{0x2b8b, 0x2721}
	h0007 = ID{0x10c4, 0x0007}
)

// TestWireFromDescriptors: interface, endpoints and form follow from the
// descriptors, in whatever order and under whatever numbers they stand.
func TestWireFromDescriptors(t *testing.T) {
	mass := iface(0, 8, 6, 0x50, endpoint(0x83, 2), endpoint(0x04, 2))
	for name, tt := range map[string]struct {
		id    ID
		raw   []byte
		form  string
		iface int
		in    []byte
		out   []byte
		err   error
	}{
		"two pipes":              {c35a, described(c35a, iface(0, 0xff, 0, 0, endpoint(0x81, 2), endpoint(0x02, 2))), twoPipe, 0, []byte{0x81}, []byte{0x02}, nil},
		"two pipes, OUT first":   {c35a, described(c35a, iface(0, 0xff, 0, 0, endpoint(0x05, 2), endpoint(0x86, 2))), twoPipe, 0, []byte{0x86}, []byte{0x05}, nil},
		"four pipes, shuffled":   {c35a, described(c35a, iface(0, 0xff, 0, 0, endpoint(0x85, 2), endpoint(0x06, 2), endpoint(0x81, 2), endpoint(0x02, 2))), fourPipe, 0, []byte{0x81, 0x85}, []byte{0x02, 0x06}, nil},
		"composite":              {i5020, described(i5020, mass, iface(1, 3, 0, 0, endpoint(0x81, 3)), iface(2, 0xff, 0, 0, endpoint(0x82, 2), endpoint(0x02, 2))), twoPipe, 2, []byte{0x82}, []byte{0x02}, nil},
		"interrupt endpoints":    {i5020, described(i5020, iface(0, 0xff, 0, 0, endpoint(0x81, 3), endpoint(0x01, 3))), twoPipe, 0, []byte{0x81}, []byte{0x01}, nil},
		"class filter":           {i5020, described(i5020, iface(0, 0xff, 1, 0, endpoint(0x81, 2), endpoint(0x02, 2))), "", 0, nil, nil, errForm},
		"a remote's shape":       {c35a, described(c35a, iface(0, 3, 1, 1, endpoint(0x81, 3))), "", 0, nil, nil, errForm},
		"three pipes":            {c35a, described(c35a, iface(0, 0xff, 0, 0, endpoint(0x81, 2), endpoint(0x82, 2), endpoint(0x02, 2))), "", 0, nil, nil, errForm},
		"isochronous is no pipe": {c35a, described(c35a, iface(0, 0xff, 0, 0, endpoint(0x81, 1), endpoint(0x02, 1))), "", 0, nil, nil, errForm},
		"recognised, not driven": {ID{0x0483, 0x572b}, described(ID{0x0483, 0x572b}, iface(0, 3, 0, 0, endpoint(0x81, 3))), "", 0, nil, nil, errUnsupported},
		"not in the table":       {ID{0x0400, 0xc359}, described(ID{0x0400, 0xc359}, iface(0, 0xff, 0, 0, endpoint(0x81, 2), endpoint(0x02, 2))), "", 0, nil, nil, errUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			id, revision, list, err := parseDescriptors(tt.raw, 1)
			if err != nil || id != tt.id || revision != 0x63 {
				t.Fatalf("parseDescriptors = %v, %04x, %v, want %v, 0063, nil", id, revision, err, tt.id)
			}
			w, err := wireOf(Device{ID: tt.id, Interfaces: list})
			if !errors.Is(err, tt.err) {
				t.Fatalf("wireOf = %v, want %v", err, tt.err)
			}
			addresses := func(list []Endpoint) (a []byte) {
				for _, e := range list {
					a = append(a, e.Address)
				}
				return a
			}
			if w.form != tt.form || w.iface != tt.iface || !reflect.DeepEqual(addresses(w.in), tt.in) || !reflect.DeepEqual(addresses(w.out), tt.out) {
				t.Errorf("wireOf = %s, interface %d, in % x, out % x, want %s, %d, % x, % x",
					w.form, w.iface, addresses(w.in), addresses(w.out), tt.form, tt.iface, tt.in, tt.out)
			}
		})
	}
}

// vendorReport is the report descriptor of a vendor collection: 64 bytes each way.
var vendorReport = []byte{0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x02, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40,
	0x81, 0x02, 0x09, 0x03, 0x91, 0x02, 0xc0}

func TestHIDWire(t *testing.T) {
	keyboard := []byte{0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x75, 0x01, 0x95, 0x40, 0x81, 0x02, 0x91, 0x02, 0xc0}
	numbered := append([]byte{0x85, 0x01}, vendorReport...)
	iface3 := []Interface{{Number: 0, Class: "03/00/00"}}
	for name, tt := range map[string]struct {
		d    Device
		node string
		err  error
	}{
		"vendor collection": {Device{ID: h2721, Interfaces: iface3, HIDs: []HID{{Node: "/dev/hidraw3", Report: vendorReport}}}, "/dev/hidraw3", nil},
		"behind a keyboard": {Device{ID: h0007, Interfaces: iface3, HIDs: []HID{{Node: "/dev/hidraw2", Report: keyboard}, {Node: "/dev/hidraw3", Report: vendorReport}}}, "/dev/hidraw3", nil},
		"taken away":        {Device{ID: h2721, Interfaces: iface3}, "", errDetached},
		"no node":           {Device{ID: h2721, Interfaces: iface3, HIDs: []HID{{Report: vendorReport}}}, "", errDetached},
		"a keyboard only":   {Device{ID: h2721, Interfaces: iface3, HIDs: []HID{{Node: "/dev/hidraw2", Report: keyboard}}}, "", errForm},
		"numbered reports":  {Device{ID: h2721, Interfaces: iface3, HIDs: []HID{{Node: "/dev/hidraw2", Report: numbered}}}, "", errForm},
		"cut descriptor":    {Device{ID: h2721, Interfaces: iface3, HIDs: []HID{{Node: "/dev/hidraw2", Report: vendorReport[:2]}}}, "", errForm},
		"no HID at all":     {Device{ID: h2721, Interfaces: []Interface{{Class: "ff/00/00"}}}, "", errForm},
		"malformed":         {Device{ID: h2721, Malformed: errDescriptors}, "", errForm},
	} {
		t.Run(name, func(t *testing.T) {
			if w, err := wireOf(tt.d); !errors.Is(err, tt.err) || w.node != tt.node {
				t.Errorf("wireOf = %q, %v, want %q, %v", w.node, err, tt.node, tt.err)
			}
		})
	}
}

// FuzzDescriptors: whatever a device says of itself, the parser ends within its
// limits, and a wire that comes of it has pipes in both directions.
func FuzzDescriptors(f *testing.F) {
	f.Add(described(c35a, iface(0, 0xff, 0, 0, endpoint(0x81, 2), endpoint(0x02, 2))), 1)
	f.Add(described(i5020, iface(0, 8, 6, 0x50), iface(2, 0xff, 0, 0, endpoint(0x82, 2), endpoint(0x02, 2))), 0)
	f.Add([]byte{18, 1}, 0)
	f.Fuzz(func(t *testing.T, raw []byte, configuration int) {
		id, _, list, err := parseDescriptors(raw, configuration)
		if err != nil {
			if !errors.Is(err, errDescriptors) || list != nil {
				t.Fatalf("parseDescriptors = %v, %v, want no interfaces and errDescriptors", list, err)
			}
			return
		}
		if len(list) > maxInterfaces {
			t.Fatalf("%d interfaces, want at most %d", len(list), maxInterfaces)
		}
		for _, known := range []ID{id, c35a, i5020} {
			w, err := wireOf(Device{ID: known, Interfaces: list})
			if err == nil && w.framing == nil && (len(w.in) == 0 || len(w.in) != len(w.out) || len(w.in) > 2) {
				t.Fatalf("wireOf: %d pipes in, %d out", len(w.in), len(w.out))
			}
		}
	})
}

func FuzzReportDescriptor(f *testing.F) {
	f.Add(vendorReport)
	f.Add([]byte{0x77, 0xff, 0xff, 0xff, 0xff, 0x97, 0xff, 0xff, 0xff, 0x7f, 0x81})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseReport(raw)
		if r.in < 0 || r.out < 0 || r.in > maxReport/8 || r.out > maxReport/8 {
			t.Fatalf("parseReport = %+v, %v: sizes out of bounds", r, err)
		}
	})
}
