// Package usbtest plays USB readers to a real kernel that runs in an emulated
// machine: QEMU's usb-redir device on one side, this package on the other, the
// usbredir protocol (version 0.7, little-endian) between them over a socket.
//
// It shares no code with driver/usb: forms, descriptors and framings are written
// down a second time, from the facts, so that a mistake does not meet itself. What
// a module answers comes from the caller.
package usbtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Messages of the protocol.
const (
	msgHello            = 0
	msgConnect          = 1
	msgDisconnect       = 2
	msgReset            = 3
	msgInterfaceInfo    = 4
	msgEndpointInfo     = 5
	msgSetConfiguration = 6
	msgGetConfiguration = 7
	msgConfiguration    = 8
	msgSetAlt           = 9
	msgGetAlt           = 10
	msgAlt              = 11
	msgStartInterrupt   = 15
	msgStopInterrupt    = 16
	msgInterruptStatus  = 17
	msgCancel           = 21
	msgControl          = 100
	msgBulk             = 101
	msgInterrupt        = 103
)

// How a transfer ended.
const (
	ended    = 0
	canceled = 1
	stalled  = 4
	babbled  = 6
)

// Capabilities that are offered: device version, packet sizes, 64-bit ids, 32-bit
// bulk lengths. Not buffered bulk, which would hide the kernel's own requests.
const capabilities = 1<<1 | 1<<4 | 1<<5 | 1<<6

const packet = 64 // full speed

// Reader is an emulated USB reader in a socket of the emulated machine.
type Reader struct {
	Form Form
	ID   [2]uint16
	// Serial is its serial number; empty: none.
	Serial string
	// Answer is the module: the answer to a request frame, or nil for silence.
	Answer func(request []byte) []byte

	// Faults, asked before each answer. Nil: none.
	Fault func(request []byte) Fault

	l       net.Listener
	mu      sync.Mutex // guards all below
	conn    net.Conn
	up      bool // hellos were exchanged
	here    bool // plugged in
	host    bool // the machine has configured it
	changed chan struct{}

	frame   []byte            // of the host's request so far
	out     map[byte][][]byte // by IN endpoint: transfers that wait, each of at most one packet
	waiting map[byte][]request
	halted  map[byte]bool
	babble  map[byte]bool
	polled  bool // the interrupt endpoint is listened to
}

// request is an IN transfer that the host waits in.
type request struct {
	id     uint64
	length int
	got    []byte
}

// Fault is something that goes wrong with one answer.
type Fault struct {
	Stall  bool // the IN endpoint halts instead
	Babble bool // more than fits comes first
	Empty  bool // a zero-length packet follows
	Piece  int  // the answer comes in pieces of so many bytes, each a transfer of its own
	Unplug bool // the reader is pulled instead
	Wrong  bool // four pipes: the head is none
}

// Form says how the reader carries frames.
type Form string

// The forms.
const (
	TwoPipe   Form = "two-pipe"
	FourPipe  Form = "four-pipe"
	HIDBare   Form = "hid-bare"
	HIDMiaxis Form = "hid-miaxis"
)

// hid reports whether the form is one of reports.
func (f Form) hid() bool { return f == HIDBare || f == HIDMiaxis }

// Listen opens the socket that QEMU's chardev connects to.
func (r *Reader) Listen(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	r.l, r.here, r.changed = l, true, make(chan struct{})
	r.clear()
	return nil
}

// clear forgets the session: the reader was pulled or plugged in. mu is held.
func (r *Reader) clear() {
	r.frame, r.out, r.waiting, r.halted, r.babble = nil, map[byte][][]byte{}, map[byte][]request{}, map[byte]bool{}, map[byte]bool{}
	r.polled, r.host = false, false
}

// Close ends serving.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		r.conn.Close()
	}
	return r.l.Close()
}

// Serve plays the reader to the machine that connects, until it ends.
func (r *Reader) Serve() error {
	conn, err := r.l.Accept()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.conn = conn
	hello := make([]byte, 64)
	copy(hello, "emulated reader")
	r.send(msgHello, 0, binary.LittleEndian.AppendUint32(hello, capabilities))
	r.mu.Unlock()
	for {
		kind, id, body, err := r.receive()
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		r.mu.Lock()
		err = r.handle(kind, id, body)
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (r *Reader) receive() (kind uint32, id uint64, body []byte, err error) {
	head := make([]byte, 16)
	n := 12
	if r.up {
		n = 16
	}
	if _, err := io.ReadFull(r.conn, head[:n]); err != nil {
		return 0, 0, nil, err
	}
	kind = binary.LittleEndian.Uint32(head)
	length := binary.LittleEndian.Uint32(head[4:])
	if r.up {
		id = binary.LittleEndian.Uint64(head[8:])
	} else {
		id = uint64(binary.LittleEndian.Uint32(head[8:]))
	}
	if length > 1<<20 {
		return 0, 0, nil, fmt.Errorf("usbredir: a message of %d bytes", length)
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r.conn, body)
	return kind, id, body, err
}

// send writes a message; an end that is gone is noticed by receive. mu is held.
func (r *Reader) send(kind uint32, id uint64, body []byte) {
	if r.conn == nil {
		return
	}
	m := binary.LittleEndian.AppendUint32(nil, kind)
	m = binary.LittleEndian.AppendUint32(m, uint32(len(body)))
	if r.up {
		m = binary.LittleEndian.AppendUint64(m, id)
	} else {
		m = binary.LittleEndian.AppendUint32(m, uint32(id))
	}
	r.conn.Write(append(m, body...))
}

// Plug plugs the reader in.
func (r *Reader) Plug() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.here {
		return
	}
	r.here = true
	r.clear()
	r.introduce()
}

// Unplug pulls it.
func (r *Reader) Unplug() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unplug()
}

func (r *Reader) unplug() {
	if !r.here {
		return
	}
	r.here = false
	r.clear()
	if r.up {
		r.send(msgDisconnect, 0, nil)
	}
}

// Plugged reports whether it is plugged in and the machine has taken it up.
func (r *Reader) Plugged() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.here && r.host
}

// introduce tells the machine what was plugged in. mu is held.
func (r *Reader) introduce() {
	if !r.up || !r.here {
		return
	}
	eps := make([]byte, 0, 160)
	var types, intervals, ifaces [32]byte
	var packets [32]uint16
	for i := range types {
		types[i] = 255
	}
	types[0], types[16], packets[0], packets[16] = 0, 0, packet, packet
	for _, e := range r.endpoints() {
		slot := int(e.address&0x80)>>3 | int(e.address&0x0f)
		types[slot], packets[slot], ifaces[slot] = e.transfer, packet, r.number()
		if e.transfer == 3 {
			intervals[slot] = 1
		}
	}
	eps = append(append(append(eps, types[:]...), intervals[:]...), ifaces[:]...)
	for _, p := range packets {
		eps = binary.LittleEndian.AppendUint16(eps, p)
	}
	r.send(msgEndpointInfo, 0, eps)
	info := make([]byte, 4+4*32)
	list := r.interfaces()
	binary.LittleEndian.PutUint32(info, uint32(len(list)))
	for i, f := range list {
		info[4+i], info[36+i], info[68+i], info[100+i] = f.number, f.class, 0, 0
	}
	r.send(msgInterfaceInfo, 0, info)
	const full = 1
	c := []byte{full, 0, 0, 0}
	for _, v := range []uint16{r.ID[0], r.ID[1], 0x0063} {
		c = binary.LittleEndian.AppendUint16(c, v)
	}
	r.send(msgConnect, 0, c)
}

func (r *Reader) handle(kind uint32, id uint64, body []byte) error {
	switch kind {
	case msgHello:
		r.up = len(body) >= 68 && binary.LittleEndian.Uint32(body[64:])&(1<<5) != 0
		if !r.up {
			return errors.New("usbredir: the other end has no 64-bit ids")
		}
		r.introduce()
		return nil
	case msgCancel:
		r.cancel(id)
		return nil
	}
	if !r.here { // on its way while the reader was pulled
		return nil
	}
	switch kind {
	case msgReset:
		r.frame = nil
	case msgSetConfiguration:
		r.host = true
		r.send(msgConfiguration, id, []byte{ended, body[0]})
	case msgGetConfiguration:
		r.send(msgConfiguration, id, []byte{ended, 1})
	case msgSetAlt:
		r.send(msgAlt, id, []byte{ended, body[0], body[1]})
	case msgGetAlt:
		r.send(msgAlt, id, []byte{ended, body[0], 0})
	case msgStartInterrupt:
		r.polled = true
		r.send(msgInterruptStatus, id, []byte{ended, body[0]})
		r.push()
	case msgStopInterrupt:
		r.polled = false
		r.send(msgInterruptStatus, id, []byte{ended, body[0]})
	case msgControl:
		r.control(id, body)
	case msgBulk:
		r.bulk(id, body)
	case msgInterrupt:
		data := body[4:]
		r.send(msgInterrupt, id, []byte{body[0], ended, byte(len(data)), byte(len(data) >> 8)})
		r.report(data)
	}
	return nil
}

// control serves endpoint 0.
func (r *Reader) control(id uint64, body []byte) {
	if len(body) < 10 {
		return
	}
	request, kind := body[1], body[2]
	value, index := binary.LittleEndian.Uint16(body[4:]), binary.LittleEndian.Uint16(body[6:])
	length := int(binary.LittleEndian.Uint16(body[8:]))
	head := append([]byte(nil), body[:10]...)
	reply := func(status byte, data []byte) {
		head[3] = status
		if kind&0x80 != 0 {
			data = data[:min(len(data), length)]
			binary.LittleEndian.PutUint16(head[8:], uint16(len(data)))
		}
		r.send(msgControl, id, append(head, data...))
	}
	const getDescriptor, clearFeature, setIdle, setReport, setProtocol = 6, 1, 10, 9, 11
	switch {
	case request == getDescriptor && kind&0x80 != 0:
		if d := r.descriptor(value, index); d != nil {
			reply(ended, d)
			return
		}
		reply(stalled, nil)
	case request == clearFeature && kind == 2:
		delete(r.halted, byte(index))
		reply(ended, nil)
	case kind == 0x21 && request == setReport:
		reply(ended, nil)
		r.report(body[10:])
	case kind == 0x21 && (request == setIdle || request == setProtocol):
		reply(ended, nil)
	case kind == 0x80 && request == 0: // status
		reply(ended, []byte{0, 0})
	default:
		reply(stalled, nil)
	}
}

// bulk serves the bulk endpoints.
func (r *Reader) bulk(id uint64, body []byte) {
	if len(body) < 10 {
		return
	}
	endpoint := body[0]
	length := int(binary.LittleEndian.Uint16(body[2:])) | int(binary.LittleEndian.Uint16(body[8:]))<<16
	if endpoint&0x80 != 0 {
		r.waiting[endpoint] = append(r.waiting[endpoint], request{id: id, length: length})
		r.serve(endpoint)
		return
	}
	r.bulkReply(endpoint, id, ended, length, nil)
	r.received(endpoint, body[10:])
}

func (r *Reader) bulkReply(endpoint byte, id uint64, status byte, length int, data []byte) {
	head := []byte{endpoint, status, byte(length), byte(length >> 8), 0, 0, 0, 0, byte(length >> 16), byte(length >> 24)}
	r.send(msgBulk, id, append(head, data...))
}

// serve hands waiting packets to waiting requests: one ends with a packet that is
// not full, or when it is full itself.
func (r *Reader) serve(endpoint byte) {
	for len(r.waiting[endpoint]) > 0 {
		w := &r.waiting[endpoint][0]
		switch {
		case r.halted[endpoint]:
			r.bulkReply(endpoint, w.id, stalled, 0, nil)
		case r.babble[endpoint]:
			delete(r.babble, endpoint)
			r.bulkReply(endpoint, w.id, babbled, 0, nil)
		case len(r.out[endpoint]) == 0:
			return
		default:
			p := r.out[endpoint][0]
			r.out[endpoint] = r.out[endpoint][1:]
			w.got = append(w.got, p...)
			if len(p) == packet && len(w.got)+packet <= w.length {
				continue
			}
			r.bulkReply(endpoint, w.id, ended, len(w.got), w.got)
		}
		r.waiting[endpoint] = r.waiting[endpoint][1:]
	}
}

func (r *Reader) cancel(id uint64) {
	for endpoint, list := range r.waiting {
		for i, w := range list {
			if w.id == id {
				r.waiting[endpoint] = append(append([]request(nil), list[:i]...), list[i+1:]...)
				r.bulkReply(endpoint, id, canceled, 0, nil)
				return
			}
		}
	}
}

// Stale leaves an answer in the pipe as a killed host does.
func (r *Reader) Stale(answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer(answer, Fault{})
}

// Halted reports how many endpoints are halted.
func (r *Reader) Halted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.halted)
}
