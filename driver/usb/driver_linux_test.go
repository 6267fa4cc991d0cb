package usb

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/stream"
)

// desk is a double of the system: devices in sockets, each with a module behind
// the double of usbfs.
type desk struct {
	t *testing.T

	mu     sync.Mutex // guards all below
	list   []Device
	refuse map[string]error // by node: what connecting ends with
	opened int
	held   map[string]bool // a claim: by node
	resets int
	silent bool // modules say nothing
	stale  []byte
	id     byte // of the modules
	kernel *kernel
}

func (d *desk) name() string { return "double" }

func (d *desk) devices() ([]Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Device(nil), d.list...), nil
}

func (d *desk) watch(context.Context, func()) {}

// claimed is a connection that holds a descriptor and a claim until it is closed.
type claimed struct {
	stream.Conn
	r, w *os.File
	free func()
}

func (c claimed) Close() error {
	c.free()
	return errors.Join(c.Conn.Close(), c.r.Close(), c.w.Close())
}

func (d *desk) claim(node string) (*kernel, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	if err := d.refuse[node]; err != nil {
		return nil, err
	}
	if d.held[node] {
		return nil, syscall.EBUSY
	}
	d.held[node] = true
	d.kernel = newKernel(d.t, d.answer)
	if d.stale != nil {
		d.kernel.waiting = append(d.kernel.waiting, step{endpoint: 0x81, p: d.stale})
	}
	return d.kernel, nil
}

// answer is what the modules say.
func (d *desk) answer(frame []byte) []step {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		return nil
	}
	data := []byte(nil)
	sw := sam.OK
	switch sam.Code(uint16(frame[7])<<8 | uint16(frame[8])) {
	case sam.CmdSAMID:
		data = make([]byte, 16)
		data[12] = d.id
	case sam.CmdFind:
		sw = sam.NoCard
	}
	return []step{{endpoint: 0x81, p: sam.Answer(0, 0, sw, data)}}
}

// hosting is the desk as a host.
type hosting struct{ *desk }

func (s hosting) connect(dev Device, w wire, reset bool) (stream.Conn, error) {
	k, err := s.claim(dev.Node)
	if err != nil {
		return nil, err
	}
	free := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, dev.Node)
		if reset {
			s.resets += k.resets
		}
	}
	if w.framing != nil { // the double has pipes only
		w = twoPipes
	}
	c, err := begin(k, w, reset)
	if err != nil {
		free()
		return nil, err
	}
	r, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return claimed{c, r, pw, free}, nil
}

func bulkReader(path, node string) Device {
	_, rev, list, _ := parseDescriptors(described(c35a, iface(0, 0xff, 0, 0, endpoint(0x81, 2), endpoint(0x02, 2))), 1)
	return Device{ID: c35a, Path: path, Node: node, Revision: rev, Interfaces: list}
}

func newDesk(t *testing.T, devices ...Device) *desk {
	return &desk{t: t, list: devices, refuse: map[string]error{}, held: map[string]bool{}}
}

func open(ctx context.Context, d *Driver, port string) (driver.Device, error) {
	return d.Open(ctx, driver.Spec{Name: "left", Driver: "usb", Port: port})
}

// TestOpen: which reader is opened, and what it says of itself.
func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newDesk(t, bulkReader("1-1", "/n/1"), bulkReader("1-2", "/n/2"), Device{ID: ID{0x0483, 0x572b}, Path: "1-3"})
		d := &Driver{host: hosting{here}}
		specs, err := d.Discover(t.Context())
		if err != nil || len(specs) != 2 || specs[0].Port != "0400:c35a@1-1" || specs[1].Name != "usb-1-2" {
			t.Fatalf("Discover = %+v, %v, want the two readers by their path", specs, err)
		}
		a, err := open(t.Context(), d, "auto")
		if err != nil {
			t.Fatal(err)
		}
		b, err := open(t.Context(), d, "0400:c35a")
		if err != nil {
			t.Fatal(err)
		}
		id, err := b.Identify(t.Context())
		if err != nil || id.Detail != "usb 0400:c35a@1-2, two-pipe" || id.Baud != 0 || id.SAM == "" {
			t.Errorf("Identify = %+v, %v", id, err)
		}
		if found, err := a.Find(t.Context()); found || err != nil {
			t.Errorf("Find = %v, %v, want no card", found, err)
		}
		for port, want := range map[string]error{
			"auto": driver.ErrBusy, "0400:c35a@1-2": driver.ErrBusy, "0400:c35a@1-9": driver.ErrGone, "0400:c35a#1": driver.ErrGone,
			"0316:5020": driver.ErrGone, "0483:572b": driver.ErrProtocol, "nonsense": driver.ErrProtocol,
		} {
			if _, err := open(t.Context(), d, port); !errors.Is(err, want) {
				t.Errorf("Open(%s) = %v, want %v", port, err, want)
			}
		}
		a.Close()
		b.Close()
		b.Close()
	})
}

// TestStaleAnswer: one unread answer of an earlier host does not shift the later
// ones.
func TestStaleAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newDesk(t, bulkReader("1-1", "/n/1"))
		here.stale = sam.Answer(0, 0, sam.CardFound, make([]byte, 4))
		r, err := open(t.Context(), &Driver{host: hosting{here}}, "auto")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 3 {
			if found, err := r.Find(t.Context()); found || err != nil {
				t.Fatalf("Find = %v, %v, want no card", found, err)
			}
		}
		if n := driver.LineErrors(r); n != 0 {
			t.Errorf("%d line errors, want none", n)
		}
	})
}

// TestPermissionThatComesLate: a node that refuses just after it appeared is waited
// for; one that is old is not.
func TestPermissionThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newDesk(t, bulkReader("1-1", "/n/1"))
		here.refuse["/n/1"] = syscall.EACCES
		d := &Driver{host: hosting{here}}
		time.AfterFunc(500*time.Millisecond, func() {
			here.mu.Lock()
			defer here.mu.Unlock()
			delete(here.refuse, "/n/1")
		})
		began := time.Now()
		r, err := open(t.Context(), d, "auto")
		if took := time.Since(began); err != nil || took > 750*time.Millisecond {
			t.Fatalf("Open = %v after %v, want it soon after the permission came", err, took)
		}
		r.Close()
		here.mu.Lock()
		here.refuse["/n/1"] = syscall.EACCES
		here.mu.Unlock()
		time.Sleep(permissionWait)
		began = time.Now()
		if _, err := open(t.Context(), d, "auto"); !errors.Is(err, driver.ErrDenied) || time.Since(began) > 0 {
			t.Errorf("Open = %v after %v, want %v at once", err, time.Since(began), driver.ErrDenied)
		}
		here.list[0].Node = "/n/2" // plugged in again
		here.refuse["/n/2"] = syscall.EACCES
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := open(ctx, d, "auto"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open = %v, want the context's end", err)
		}
		if _, err := open(t.Context(), d, "auto"); !errors.Is(err, driver.ErrDenied) || time.Since(began) != permissionWait {
			t.Errorf("Open = %v after %v, want %v after %v", err, time.Since(began), driver.ErrDenied, permissionWait)
		}
	})
}

// TestSilentReaderIsResetOnce: after three sessions without a byte the device is
// reset, and never again until it was plugged in anew.
func TestSilentReaderIsResetOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newDesk(t, bulkReader("1-1", "/n/1"))
		here.silent = true
		d := &Driver{host: hosting{here}}
		session := func() {
			r, err := open(t.Context(), d, "auto")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Identify(t.Context()); !errors.Is(err, driver.ErrTimeout) {
				t.Fatalf("Identify = %v, want %v", err, driver.ErrTimeout)
			}
			r.Close()
		}
		for n := range 10 {
			session()
			if want := min(1, (n+1)/(silentSessions+1)); here.resets != want {
				t.Fatalf("after %d sessions: %d resets, want %d", n+1, here.resets, want)
			}
		}
		here.list[0].Node = "/n/2"
		for range 5 {
			session()
		}
		if here.resets != 2 {
			t.Errorf("%d resets after it was plugged in again, want 2", here.resets)
		}
	})
}

// TestExchangedReader: another module in the same place is told.
func TestExchangedReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newDesk(t, bulkReader("1-1", "/n/1"))
		d := &Driver{host: hosting{here}}
		for i, want := range []bool{false, false, true, false} {
			if i == 2 {
				here.id = 7
			}
			r, err := open(t.Context(), d, "auto")
			if err != nil {
				t.Fatal(err)
			}
			id, err := r.Identify(t.Context())
			if err != nil || strings.Contains(id.Detail, "another reader") != want {
				t.Errorf("session %d: %q, %v, exchanged: want %v", i, id.Detail, err, want)
			}
			r.Close()
		}
	})
}

// TestPlugCyclesAreFlat: 2,000 times a reader is plugged in, used and pulled in the
// middle of a command. Nothing stays behind.
func TestPlugCyclesAreFlat(t *testing.T) {
	here := newDesk(t, bulkReader("1-1", ""))
	d := &Driver{host: hosting{here}}
	nodes := []string{"/n/1", "/n/2", "/n/3"}
	cycle := func(n int) {
		here.mu.Lock()
		here.list[0].Node = nodes[n%len(nodes)]
		here.mu.Unlock()
		w, err := wireOf(here.list[0])
		if err != nil {
			t.Fatal(err)
		}
		conn, err := d.tryConnect(here.list[0], w, d.plugged(here.list[0].Node))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.devices(); err != nil {
			t.Fatal(err)
		}
		tr := stream.New(conn, "left")
		if err := exchange(t, tr); err != nil {
			t.Fatal(err)
		}
		here.mu.Lock()
		k := here.kernel
		here.silent = true
		here.mu.Unlock()
		if err := tr.Write(t.Context(), sam.CmdFind.Frame()); err != nil {
			t.Fatal(err)
		}
		k.mu.Lock()
		k.gone = true
		k.wake.Broadcast()
		k.mu.Unlock()
		if _, err := tr.Read(t.Context(), make([]byte, 64)); !errors.Is(err, driver.ErrGone) {
			t.Fatalf("cycle %d: Read = %v, want %v", n, err, driver.ErrGone)
		}
		tr.Close()
		here.mu.Lock()
		here.silent = false
		here.mu.Unlock()
	}
	measure := func() (descriptors, goroutines int, bytes uint64) {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return len(list), runtime.NumGoroutine(), m.HeapAlloc
	}
	for n := range 200 {
		cycle(n)
	}
	fds, goroutines, heap := measure()
	for n := range 2000 {
		cycle(n)
	}
	fds2, goroutines2, heap2 := measure()
	if fds2 > fds || goroutines2 > goroutines || heap2 > heap+512<<10 {
		t.Errorf("descriptors %d to %d, goroutines %d to %d, heap %d to %d; want them flat", fds, fds2, goroutines, goroutines2, heap, heap2)
	}
	if len(d.known) > 1 {
		t.Errorf("%d pluggings remembered, want those that are there", len(d.known))
	}
}
