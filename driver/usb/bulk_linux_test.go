package usb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/stream"
)

// kernel is a strict double of usbfs: requests end as the script says, one request
// per endpoint at a time, and nothing that the kernel would refuse is accepted.
type kernel struct {
	t      testing.TB
	answer func(frame []byte) []step // what the IN endpoints do once a request has gone out

	mu      sync.Mutex // guards all below
	wake    *sync.Cond
	pending map[byte]bool // IN requests under way
	ended   []done        // what reap hands out
	waiting []step        // what happens once its endpoint has a request
	sendEnd []error       // how the next OUT requests end; none: well
	stuck   bool          // OUT requests do not end
	frame   []byte
	gone    bool
	closed  bool
	halted  map[byte]bool
	resets  int
	calls   map[string]int
}

// step is something that an IN endpoint does.
type step struct {
	endpoint byte
	p        []byte
	err      error
	gone     bool // from here on the device is not there
}

func newKernel(t testing.TB, answer func(frame []byte) []step) *kernel {
	k := &kernel{t: t, answer: answer, pending: map[byte]bool{}, halted: map[byte]bool{}, calls: map[string]int{}}
	k.wake = sync.NewCond(&k.mu)
	return k
}

func (k *kernel) submit(endpoint byte, p []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls["submit"]++
	switch {
	case k.closed:
		return os.ErrClosed
	case k.gone:
		return unix.ENODEV
	case endpoint&dirIn != 0:
		if k.pending[endpoint] {
			k.t.Errorf("endpoint %02x has a request under way", endpoint)
		}
		k.pending[endpoint] = true
		k.move()
		return nil
	}
	if k.stuck {
		return nil
	}
	var end error
	if len(k.sendEnd) > 0 {
		end, k.sendEnd = k.sendEnd[0], k.sendEnd[1:]
	}
	k.ended = append(k.ended, done{endpoint: endpoint, err: end})
	if end == nil {
		k.frame = append(k.frame, p...)
		if len(k.frame) >= 9 && len(k.frame) == 7+int(k.frame[6]) {
			k.waiting = append(k.waiting, k.answer(k.frame)...)
			k.frame = nil
			k.move()
		}
	}
	k.wake.Broadcast()
	return nil
}

// move lets IN requests end with what waits for them.
func (k *kernel) move() {
	for i := 0; i < len(k.waiting); {
		s := k.waiting[i]
		if !k.pending[s.endpoint] {
			i++
			continue
		}
		k.waiting = append(k.waiting[:i:i], k.waiting[i+1:]...)
		delete(k.pending, s.endpoint)
		if s.err == unix.EPIPE {
			k.halted[s.endpoint] = true
		}
		k.ended = append(k.ended, done{endpoint: s.endpoint, p: bytes.Clone(s.p), err: s.err})
		k.gone = k.gone || s.gone
		i = 0
	}
	k.wake.Broadcast()
}

func (k *kernel) reap() (done, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.ended) == 0 {
		switch {
		case k.closed:
			return done{}, os.ErrClosed
		case k.gone:
			return done{}, unix.ENODEV
		}
		k.wake.Wait()
	}
	d := k.ended[0]
	k.ended = k.ended[1:]
	return d, nil
}

func (k *kernel) clearHalt(endpoint byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls["clear halt"]++
	if k.gone {
		return unix.ENODEV
	}
	if endpoint&dirIn != 0 && !k.halted[endpoint] {
		k.t.Errorf("endpoint %02x is not halted", endpoint)
	}
	delete(k.halted, endpoint)
	return nil
}

func (k *kernel) discard(endpoint byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls["discard"]++
	k.ended = append(k.ended, done{endpoint: endpoint, err: unix.ENOENT})
	k.wake.Broadcast()
	return nil
}

func (k *kernel) reset() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resets++
	return nil
}

func (k *kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls["close"]++
	k.closed = true
	k.wake.Broadcast()
	return nil
}

var (
	twoPipes  = wire{form: twoPipe, in: []Endpoint{{0x81, transferBulk, 64}}, out: []Endpoint{{0x02, transferBulk, 64}}}
	fourPipes = wire{form: fourPipe, in: []Endpoint{{0x81, transferBulk, 64}, {0x85, transferBulk, 64}},
		out: []Endpoint{{0x02, transferBulk, 64}, {0x06, transferBulk, 64}}}
)

var good = sam.Answer(0, 0, sam.OK, nil)

// whole answers every request well.
func whole([]byte) []step { return []step{{endpoint: 0x81, p: good}} }

// before does something else first, once.
func before(steps ...step) func([]byte) []step {
	return func(f []byte) []step {
		now := steps
		steps = nil
		return append(now, whole(f)...)
	}
}

// TestMishaps is the table of what a request can end with: what the reader's owner
// sees of it and what is asked of the kernel meanwhile.
func TestMishaps(t *testing.T) {
	in := func(err error, n int) (list []step) {
		for range n {
			list = append(list, step{endpoint: 0x81, err: err})
		}
		return list
	}
	for name, tt := range map[string]struct {
		answer func([]byte) []step
		send   []error
		want   error // of the exchange; nil: a good answer
		halts  int
		errors uint64
	}{
		"nothing amiss":            {whole, nil, nil, 0, 0},
		"zero-length packets":      {before(step{endpoint: 0x81}, step{endpoint: 0x81}), nil, nil, 0, 0},
		"asleep and awake":         {before(in(unix.ESHUTDOWN, 1)...), nil, nil, 0, 0},
		"asleep, then not there":   {before(step{endpoint: 0x81, err: unix.ESHUTDOWN, gone: true}), nil, driver.ErrGone, 0, 0},
		"unplugged":                {before(step{endpoint: 0x81, err: unix.ENODEV, gone: true}), nil, driver.ErrGone, 0, 0},
		"stalled":                  {before(in(unix.EPIPE, 1)...), nil, nil, 1, 1},
		"stalled three times":      {before(in(unix.EPIPE, 3)...), nil, nil, 3, 3},
		"stalled for good":         {before(in(unix.EPIPE, 200)...), nil, driver.ErrGone, mostTrouble + 1, mostTrouble + 1},
		"babble":                   {before(in(unix.EOVERFLOW, 1)...), nil, nil, 0, 1},
		"babble for good":          {before(in(unix.EOVERFLOW, 200)...), nil, driver.ErrGone, 0, mostTrouble + 1},
		"line trouble once":        {before(in(unix.EPROTO, 1)...), nil, nil, 0, 1},
		"line trouble twice":       {before(in(unix.EILSEQ, 2)...), nil, nil, 0, 2},
		"line trouble for good":    {before(in(unix.ETIME, 200)...), nil, driver.ErrGone, 0, lineTries + 1},
		"an error in no table":     {before(in(unix.EREMOTEIO, 200)...), nil, driver.ErrGone, 0, lineTries + 1},
		"shut down for good":       {before(in(unix.ESHUTDOWN, 200)...), nil, driver.ErrGone, 0, 0},
		"request stalled":          {whole, []error{unix.EPIPE}, nil, 1, 1},
		"request lost on the line": {whole, []error{unix.EPROTO, unix.EPROTO}, nil, 0, 2},
		"request never goes out":   {whole, []error{unix.EPROTO, unix.EPROTO, unix.EPROTO, unix.EPROTO}, driver.ErrGone, 0, 2},
		"request to nobody":        {whole, []error{unix.ENODEV}, driver.ErrGone, 0, 0},
		"answer in pieces of 20 bytes": {func([]byte) []step {
			return []step{{endpoint: 0x81, p: good[:5]}, {endpoint: 0x81}, {endpoint: 0x81, p: good[5:]}}
		}, nil, nil, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKernel(t, tt.answer)
				k.sendEnd = tt.send
				c, err := newBulk(k, twoPipes)
				if err != nil {
					t.Fatal(err)
				}
				tr := stream.New(c, "r")
				err = exchange(t, tr)
				if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("exchange = %v, want %v", err, tt.want)
				}
				if c.lineErrors() != tt.errors || k.calls["clear halt"] != tt.halts {
					t.Errorf("%d line errors, %d halts cleared, want %d, %d", c.lineErrors(), k.calls["clear halt"], tt.errors, tt.halts)
				}
				if k.calls["submit"] > 2*mostTrouble+10 {
					t.Errorf("%d requests: it spins", k.calls["submit"])
				}
				tr.Close()
				if _, err := tr.Read(t.Context(), make([]byte, 8)); tt.want == nil && !errors.Is(err, os.ErrClosed) {
					t.Errorf("a read after Close = %v, want %v", err, os.ErrClosed)
				}
				if k.resets != 0 {
					t.Errorf("the device was reset %d times, want never", k.resets)
				}
			})
		})
	}
}

// exchange sends a self-test and wants a good answer.
func exchange(t *testing.T, tr driver.Transport) error {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := tr.Write(ctx, sam.CmdSelfTest.Frame()); err != nil {
		return err
	}
	var got []byte
	for len(got) < len(good) {
		buf := make([]byte, 4096)
		n, err := tr.Read(ctx, buf)
		if err != nil {
			return err
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, good) {
		return fmt.Errorf("got % x", got)
	}
	return nil
}

// TestFourPipes: head and body over pipes of their own, whichever ends first.
func TestFourPipes(t *testing.T) {
	for name, answer := range map[string]func([]byte) []step{
		"head first":         func([]byte) []step { return []step{{endpoint: 0x81, p: good[:7]}, {endpoint: 0x85, p: good[7:]}} },
		"body first":         func([]byte) []step { return []step{{endpoint: 0x85, p: good[7:]}, {endpoint: 0x81, p: good[:7]}} },
		"body halted once":   before4(step{endpoint: 0x85, err: unix.EPIPE}),
		"a wrong head first": before4(step{endpoint: 0x81, p: []byte("USBS\x00\x00\x00")}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := newBulk(newKernel(t, answer), fourPipes)
				if err != nil {
					t.Fatal(err)
				}
				tr := stream.New(c, "r")
				defer tr.Close()
				for range 3 {
					if err := exchange(t, tr); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

func before4(s ...step) func([]byte) []step {
	return func([]byte) []step {
		now := s
		s = nil
		return append(now, step{endpoint: 0x81, p: good[:7]}, step{endpoint: 0x85, p: good[7:]})
	}
}

// TestWriteGivenUp: a request that the device does not take ends with the context,
// is taken back from the kernel, and the next one goes out.
func TestWriteGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel(t, whole)
		k.stuck = true
		c, err := newBulk(k, twoPipes)
		if err != nil {
			t.Fatal(err)
		}
		tr := stream.New(c, "r")
		defer tr.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tr.Write(ctx, sam.CmdSelfTest.Frame()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Write = %v, want %v", err, context.DeadlineExceeded)
		}
		if k.calls["discard"] != 1 {
			t.Errorf("%d requests were taken back, want 1", k.calls["discard"])
		}
		k.mu.Lock()
		k.stuck = false
		k.mu.Unlock()
		if err := exchange(t, tr); err != nil {
			t.Errorf("the next exchange = %v, want nil", err)
		}
	})
}

// TestCloseEndsWaiting: Close ends a blocked Read and a blocked Write, and may
// come twice.
func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel(t, whole)
		k.stuck = true
		c, err := newBulk(k, twoPipes)
		if err != nil {
			t.Fatal(err)
		}
		tr := stream.New(c, "r")
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := tr.Write(t.Context(), sam.CmdSelfTest.Frame()); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Write = %v, want %v", err, os.ErrClosed)
			}
		})
		waiting.Go(func() {
			if _, err := tr.Read(t.Context(), make([]byte, 8)); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read = %v, want %v", err, os.ErrClosed)
			}
		})
		synctest.Wait()
		tr.Close()
		tr.Close()
		waiting.Wait()
		if k.calls["close"] != 1 {
			t.Errorf("closed %d times, want once", k.calls["close"])
		}
	})
}

// TestRequestNumbers: the kernel's numbers and layout on 64-bit machines, as
// linux/usbdevice_fs.h has them.
func TestRequestNumbers(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		return // other sizes, other numbers: both follow from the types
	}
	got := []uintptr{ioSubmit, ioDiscard, ioReap, ioClaim, ioReset, ioClearHalt, unsafe.Sizeof(urb{}), unsafe.Offsetof(urb{}.buffer), unsafe.Offsetof(urb{}.context)}
	want := []uintptr{0x8038550a, 0x550b, 0x4008550d, 0x8004550f, 0x5514, 0x80045515, 56, 16, 48}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// TestKindOf: what opening a node ends with.
func TestKindOf(t *testing.T) {
	for err, want := range map[error]error{
		syscall.EACCES: driver.ErrDenied, syscall.EPERM: driver.ErrDenied, syscall.EBUSY: driver.ErrBusy, errLocked: driver.ErrBusy,
		syscall.ENOENT: driver.ErrGone, syscall.ENODEV: driver.ErrGone, errForm: driver.ErrProtocol, errUnsupported: driver.ErrProtocol, errDetached: driver.ErrGone,
	} {
		if got := kindOf(fmt.Errorf("x: %w", err)); got != want {
			t.Errorf("kindOf(%v) = %v, want %v", err, got, want)
		}
	}
}
