package serial

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"idtap/driver"
	"idtap/driver/sam"
)

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustOpen(t testing.TB, path string) *Port {
	t.Helper()
	p, err := Open(path, "front", 115200)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestFrameThereAndBack: a whole read answer in 7-byte pieces, every byte value,
// unchanged by the terminal's own habits.
func TestFrameThereAndBack(t *testing.T) {
	m, path := pty(t)
	p := mustOpen(t, path)
	var frame []byte
	for i := range 1295 {
		frame = append(frame, byte(i))
	}
	if err := p.Write(within(t), frame); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(frame))
	for n := 0; n < len(got); {
		k, err := m.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if !bytes.Equal(got, frame) {
		t.Fatal("the frame changed on the way out")
	}
	go func() {
		for f := frame; len(f) > 0; f = f[min(7, len(f)):] {
			m.Write(f[:min(7, len(f))])
		}
	}()
	var back []byte
	for buf := make([]byte, 4096); len(back) < len(frame); {
		n, err := p.Read(within(t), buf)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, buf[:n]...)
	}
	if !bytes.Equal(back, frame) {
		t.Fatal("the frame changed on the way in")
	}
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want error
	}{
		{filepath.Join(t.TempDir(), "ttyUSB9"), driver.ErrGone},
		{file, driver.ErrProtocol},
		{"/dev/null", driver.ErrProtocol},
		{t.TempDir(), driver.ErrGone},
	} {
		_, err := Open(c.path, "front", 115200)
		var e *driver.Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Reader != "front" {
			t.Errorf("Open(%s): %v, want %v", c.path, err, c.want)
		}
	}
}

func TestKind(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{unix.ENOENT, driver.ErrGone},
		{unix.ENODEV, driver.ErrGone},
		{unix.EIO, driver.ErrGone},
		{unix.EACCES, driver.ErrDenied},
		{unix.EPERM, driver.ErrDenied},
		{fs.ErrPermission, driver.ErrDenied},
		{unix.EBUSY, driver.ErrBusy},
		{errHeld, driver.ErrBusy},
	} {
		if got := kind(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
}

// TestSecondOpenIsBusy: also for root, whom TIOCEXCL does not keep out; and the
// port is free again after Close.
func TestSecondOpenIsBusy(t *testing.T) {
	_, path := pty(t)
	p := mustOpen(t, path)
	if _, err := Open(path, "side", 9600); !errors.Is(err, driver.ErrBusy) {
		t.Fatalf("second Open: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}

// TestUnplug: the other side goes away; every call says so, at once.
func TestUnplug(t *testing.T) {
	m, path := pty(t)
	p := mustOpen(t, path)
	read := make(chan error)
	go func() {
		_, err := p.Read(context.Background(), make([]byte, 8))
		read <- err
	}()
	m.Close()
	if err := <-read; !errors.Is(err, driver.ErrGone) || errors.Is(err, os.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if _, err := p.Read(within(t), make([]byte, 8)); !errors.Is(err, driver.ErrGone) {
		t.Errorf("second Read: %v", err)
	}
	if err := p.Write(within(t), []byte{1}); !errors.Is(err, driver.ErrGone) {
		t.Errorf("Write: %v", err)
	}
	if err := p.SetBaud(9600); !errors.Is(err, driver.ErrGone) {
		t.Errorf("SetBaud: %v", err)
	}
}

// TestOwnClose: not taken for an unplug, and a Write after it goes nowhere.
func TestOwnClose(t *testing.T) {
	_, path := pty(t)
	p := mustOpen(t, path)
	read := make(chan error)
	go func() {
		_, err := p.Read(context.Background(), make([]byte, 8))
		read <- err
	}()
	p.Close()
	if err := <-read; !errors.Is(err, os.ErrClosed) || errors.Is(err, driver.ErrGone) {
		t.Errorf("Read: %v", err)
	}
	if err := p.Write(within(t), []byte{1}); !errors.Is(err, os.ErrClosed) || errors.Is(err, driver.ErrGone) {
		t.Errorf("Write: %v", err)
	}
}

// TestPartnerThatTakesNothing: a pseudo-terminal whose other side reads nothing
// takes some kilobytes and then blocks. No Write hangs, Close neither, and
// nothing stays behind.
func TestPartnerThatTakesNothing(t *testing.T) {
	_, path := pty(t)
	before := runtime.NumGoroutine()
	p := mustOpen(t, path)
	frame := make([]byte, 4096)
	var err error
	for range 100 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		err = p.Write(ctx, frame)
		cancel()
		if err != nil {
			break
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Write never blocked: %v", err)
	}
	blocked := make(chan error)
	go func() { blocked <- p.Write(context.Background(), frame) }()
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-blocked; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write under way: %v", err)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestManyDescriptors: a program with more than 1024 open files can still read.
func TestManyDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < 1200 {
		t.Fatalf("the limit of open files is %d, this test needs 1200", limit.Cur)
	}
	for range 1040 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	m, path := pty(t)
	p := mustOpen(t, path)
	m.Write([]byte("ab"))
	if n, err := p.Read(within(t), make([]byte, 2)); n == 0 || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
}

// TestOpenAndCloseOften leaves neither goroutines nor descriptors.
func TestOpenAndCloseOften(t *testing.T) {
	_, path := pty(t)
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before, goroutines := count(), runtime.NumGoroutine()
	for range 200 {
		p, err := Open(path, "front", 115200)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := count(); after > before+1 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	if after := runtime.NumGoroutine(); after > goroutines+1 {
		t.Errorf("%d goroutines, %d before", after, goroutines)
	}
}

// TestDriver: a module at 9600 is found by itself, the rate is tried first the
// next time, and a configured one is used as it is.
func TestDriver(t *testing.T) {
	m, path := pty(t)
	mod := module{baud: 9600, tried: make(chan int, 100)}
	serve(t, m, mod)
	var d Driver
	for i, want := range [][]int{{115200, 57600, 38400, 19200, 9600}, {9600}, nil} {
		spec := driver.Spec{Name: "front", Port: path}
		if want == nil {
			spec.Baud = 9600
		}
		dev, err := d.Open(within(t), spec)
		if err != nil {
			t.Fatalf("Open %d: %v", i, err)
		}
		for _, w := range want {
			if got := mod.next(t); got != w {
				t.Errorf("Open %d tried %d, want %d", i, got, w)
			}
		}
		id, err := dev.Identify(within(t))
		if err != nil || id.Baud != 9600 || id.Status != sam.OK || id.SAM == "" {
			t.Errorf("Identify: %+v, %v", id, err)
		}
		for range 2 {
			mod.next(t)
		}
		if ok, err := dev.Find(within(t)); ok || err != nil {
			t.Errorf("Find: %v, %v", ok, err)
		}
		for range 2 {
			mod.next(t)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}

// wire collects what passes.
type wire struct{ sent, received bytes.Buffer }

func (w *wire) Sent(p []byte)     { w.sent.Write(p) }
func (w *wire) Received(p []byte) { w.received.Write(p) }

// TestWire: an observer sees the search for the rate and all that follows.
func TestWire(t *testing.T) {
	m, path := pty(t)
	serve(t, m, module{baud: 115200, tried: make(chan int, 100)})
	var w wire
	var d Driver
	dev, err := d.Open(within(t), driver.Spec{Name: "front", Port: path, Wire: &w})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if _, err := dev.Find(within(t)); err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{sam.CmdSelfTest.Frame(), sam.CmdFind.Frame(), sam.CmdFind.Frame()}, nil)
	if !bytes.Equal(w.sent.Bytes(), want) {
		t.Errorf("sent % X", w.sent.Bytes())
	}
	none := sam.Answer(0, 0, sam.NoCard, nil)
	if want := bytes.Join([][]byte{sam.Answer(0, 0, sam.OK, nil), none, none}, nil); !bytes.Equal(w.received.Bytes(), want) {
		t.Errorf("received % X", w.received.Bytes())
	}
}

// TestNothingAnswers: no module at any rate is said in bounded time, and the
// port is free afterwards.
func TestNothingAnswers(t *testing.T) {
	_, path := pty(t)
	var d Driver
	if _, err := d.Open(within(t), driver.Spec{Name: "front", Port: path}); !errors.Is(err, driver.ErrTimeout) {
		t.Errorf("Open: %v", err)
	}
	mustOpen(t, path)
}

// TestDiscover: no serial port is ever taken for a reader unasked.
func TestDiscover(t *testing.T) {
	if found, err := new(Driver).Discover(within(t)); len(found) != 0 || err != nil {
		t.Errorf("Discover: %v, %v", found, err)
	}
}
