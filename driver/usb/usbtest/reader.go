package usbtest

import (
	"bytes"
	"unicode/utf16"
)

type iface struct{ number, class byte }

type pipe struct{ address, transfer byte }

const (
	bulk      = 2
	interrupt = 3
)

// number is the interface that carries frames: a newer 新中新 has others before it.
func (r *Reader) number() byte {
	if r.ID == [2]uint16{0x0316, 0x5020} {
		return 1
	}
	return 0
}

func (r *Reader) interfaces() []iface {
	class := byte(0xff)
	if r.Form.hid() {
		class = 3
	}
	list := []iface{{r.number(), class}}
	if r.number() == 1 {
		list = []iface{{0, 0xfe}, {1, class}}
	}
	return list
}

func (r *Reader) endpoints() []pipe {
	switch r.Form {
	case FourPipe:
		return []pipe{{0x85, bulk}, {0x02, bulk}, {0x81, bulk}, {0x06, bulk}}
	case HIDBare, HIDMiaxis:
		return []pipe{{0x81, interrupt}, {0x01, interrupt}}
	}
	return []pipe{{0x81, bulk}, {0x02, bulk}}
}

// collection is a vendor's HID collection with reports of 64 bytes each way.
var collection = []byte{
	0x06, 0xa0, 0xff, // usage page: a vendor's
	0x09, 0x01, 0xa1, 0x01,
	0x09, 0x03, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02,
	0x09, 0x04, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02,
	0xc0,
}

func (r *Reader) descriptor(value, _ uint16) []byte {
	text := func(s string) []byte {
		d := []byte{0, 3}
		for _, u := range utf16.Encode([]rune(s)) {
			d = append(d, byte(u), byte(u>>8))
		}
		d[0] = byte(len(d))
		return d
	}
	switch value >> 8 {
	case 1:
		serial := byte(0)
		if r.Serial != "" {
			serial = 3
		}
		return []byte{18, 1, 0x00, 0x02, 0, 0, 0, packet, byte(r.ID[0]), byte(r.ID[0] >> 8), byte(r.ID[1]), byte(r.ID[1] >> 8), 0x63, 0, 1, 2, serial, 1}
	case 2:
		return r.configuration()
	case 3:
		switch byte(value) {
		case 0:
			return []byte{4, 3, 0x09, 0x04}
		case 1:
			return text("emulated")
		case 2:
			return text("SAM reader, " + string(r.Form))
		case 3:
			return text(r.Serial)
		}
	case 0x21:
		return r.hidDescriptor()
	case 0x22:
		if r.Form.hid() {
			return collection
		}
	}
	return nil
}

func (r *Reader) hidDescriptor() []byte {
	if !r.Form.hid() {
		return nil
	}
	return []byte{9, 0x21, 0x11, 0x01, 0, 1, 0x22, byte(len(collection)), 0}
}

func (r *Reader) configuration() []byte {
	d := []byte{9, 2, 0, 0, byte(len(r.interfaces())), 1, 0, 0x80, 100}
	for _, i := range r.interfaces() {
		list := r.endpoints()
		if i.number != r.number() {
			list = nil
		}
		d = append(d, 9, 4, i.number, 0, byte(len(list)), i.class, 0, 0, 0)
		if i.class == 3 {
			d = append(d, r.hidDescriptor()...)
		}
		for _, e := range list {
			interval := byte(0)
			if e.transfer == interrupt {
				interval = 1
			}
			d = append(d, 7, 5, e.address, e.transfer, packet, 0, interval)
		}
	}
	d[2], d[3] = byte(len(d)), byte(len(d)>>8)
	return d
}

// received takes bytes of a request from a bulk endpoint. mu is held.
func (r *Reader) received(endpoint byte, p []byte) {
	if r.Form == FourPipe && endpoint == 0x02 {
		r.frame = append([]byte(nil), p...) // a head begins a request
		return
	}
	r.frame = append(r.frame, p...)
	r.ask()
}

// report takes a report from the host. mu is held.
func (r *Reader) report(p []byte) {
	if len(p) != packet {
		return
	}
	if r.Form == HIDMiaxis {
		n := int(p[3]) + int(p[4])<<8
		if p[0] != 0x88 || n < 1 || 5+n+2 > packet || p[5] != 0xB1 {
			return
		}
		sum := 0
		for _, b := range p[3 : 5+n] {
			sum += int(b)
		}
		if p[5+n] != byte(sum) || p[6+n] != byte(sum>>8) {
			return
		}
		p = p[6 : 5+n]
	}
	r.frame = append(r.frame, p...)
	r.ask()
	r.frame = nil // padding
}

// ask gives a whole request to the module.
func (r *Reader) ask() {
	start := bytes.Index(r.frame, []byte{0xAA, 0xAA, 0xAA, 0x96, 0x69})
	if start < 0 || len(r.frame) < start+7 {
		return
	}
	end := start + 7 + int(r.frame[start+5])<<8 + int(r.frame[start+6])
	if len(r.frame) < end {
		return
	}
	request := append([]byte(nil), r.frame[start:end]...)
	r.frame = nil
	var f Fault
	if r.Fault != nil {
		f = r.Fault(request)
	}
	answer := r.Answer(request)
	switch {
	case f.Unplug:
		r.unplug()
	case answer != nil || f.Stall:
		r.answer(answer, f)
	}
}

// answer puts an answer into the pipes.
func (r *Reader) answer(a []byte, f Fault) {
	switch r.Form {
	case HIDBare, HIDMiaxis:
		r.reports(a)
		r.push()
		return
	case FourPipe:
		head := append([]byte(nil), a[:min(7, len(a))]...)
		if f.Wrong {
			head = []byte("USBS\x00\x00\x00")
		}
		r.put(0x81, head, Fault{Empty: f.Empty, Stall: f.Stall, Babble: f.Babble})
		if len(a) > 7 {
			r.put(0x85, a[7:], Fault{Piece: f.Piece, Empty: f.Empty})
		}
	default:
		r.put(0x81, a, f)
	}
}

// put cuts bytes into packets; every piece ends with one that is not full.
func (r *Reader) put(endpoint byte, p []byte, f Fault) {
	r.babble[endpoint] = r.babble[endpoint] || f.Babble
	if f.Stall {
		r.halted[endpoint] = true
		r.serve(endpoint)
		return
	}
	piece := len(p)
	if f.Piece > 0 {
		piece = f.Piece
	}
	for len(p) > 0 {
		part := p[:min(piece, len(p))]
		p = p[len(part):]
		for len(part) > 0 {
			n := min(packet, len(part))
			r.out[endpoint] = append(r.out[endpoint], part[:n])
			part = part[n:]
		}
	}
	if f.Empty {
		r.out[endpoint] = append(r.out[endpoint], []byte{})
	}
	r.serve(endpoint)
}

// reports cuts an answer into reports. What fills the last one is rubbish.
func (r *Reader) reports(a []byte) {
	for len(a) > 0 {
		report := bytes.Repeat([]byte{0xA5}, packet)
		if r.Form == HIDBare {
			a = a[copy(report, a):]
		} else {
			n := min(54, len(a))
			copy(report, []byte{0xAA, 0, 0, byte(n + 3), 0, 0, 0x55, 0x66})
			copy(report[8:], a[:n])
			sum := 0
			for _, b := range report[3 : 8+n] {
				sum += int(b)
			}
			report[8+n], report[9+n] = byte(sum), byte(sum>>8)
			a = a[n:]
		}
		r.out[0x81] = append(r.out[0x81], report)
	}
}

// push sends reports once the machine listens.
func (r *Reader) push() {
	for r.polled && len(r.out[0x81]) > 0 {
		p := r.out[0x81][0]
		r.out[0x81] = r.out[0x81][1:]
		r.send(msgInterrupt, 0, append([]byte{0x81, ended, byte(len(p)), byte(len(p) >> 8)}, p...))
	}
}
