package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// emulator is a SAM module written for these tests alone, from the protocol's
// description and not with the project's own encoders or simulator, so that a
// misunderstanding shared by both ends of the project does not go unseen.
type emulator struct {
	cards []emulated

	// Firmware and line.
	findsAgain   bool    // finds a resting card again after it was read
	needsLifting bool    // refuses a second read until the card was lifted
	failsFirst   bool    // the first read of each card fails with 41
	piece        int     // answers come in pieces of so many bytes
	junk         bool    // bytes of other protocols before every answer
	stallEvery   int     // every n-th command gets no answer
	flip         float64 // share of answers with one flipped bit or junk
	columnFlip   float64 // share of reads with two flips in one bit column: the XOR still fits
	settle       int     // answers at the beginning that are left whole
	baud         uint32  // the rate the module understands; 0: any

	// The clerk lifts a card when it counted, or after patience, and then places
	// the same card again up to tries times.
	counted  <-chan struct{}
	patience time.Duration
	tries    int

	mu       sync.Mutex
	random   *rand.Rand
	present  int // index of the card in the field, -1 none
	found    bool
	selected bool
	reads    int // of the present card, attempts
	done     chan struct{}
	commands int
}

type emulated struct {
	text      [256]byte
	photo     []byte
	addresses [][70]byte
}

func (e *emulator) start() {
	e.present = -1
	e.random = rand.New(rand.NewPCG(11, 4))
	e.done = make(chan struct{})
}

// gap is how long no card lies there between two.
const gap = 60 * time.Millisecond

// place puts the cards down one after another, once somebody looks for a card.
func (e *emulator) place(stop <-chan struct{}) {
	defer close(e.done)
	pause := func(d time.Duration) bool {
		select {
		case <-stop:
			return false
		case <-time.After(d):
			return true
		}
	}
	for n := range e.cards {
		for try := 0; ; try++ {
			e.mu.Lock()
			e.present, e.found, e.selected, e.reads = n, false, false, 0
			e.mu.Unlock()
			counted := true
			select {
			case <-stop:
				return
			case <-e.counted:
			case <-time.After(e.patience):
				counted = false
			}
			e.mu.Lock()
			e.present, e.found, e.selected = -1, false, false
			e.mu.Unlock()
			if !pause(gap) {
				return
			}
			if counted || try >= e.tries {
				break
			}
		}
	}
}

// serve answers on one connection until it ends.
func (e *emulator) serve(port io.ReadWriter, rate func() uint32) {
	var pending []byte
	buf := make([]byte, 512)
	for {
		n, err := port.Read(buf)
		if err != nil {
			return
		}
		if e.baud != 0 && rate() != e.baud {
			continue // another rate is noise
		}
		pending = append(pending, buf[:n]...)
		for {
			start := bytes.Index(pending, []byte{0xAA, 0xAA, 0xAA, 0x96, 0x69})
			if start < 0 || len(pending) < start+7 {
				break
			}
			end := start + 7 + int(pending[start+5])<<8 + int(pending[start+6])
			if len(pending) < end {
				break
			}
			frame := pending[start:end]
			answer := e.answer(frame)
			pending = append([]byte(nil), pending[end:]...)
			if answer != nil && e.send(port, answer) != nil {
				return
			}
		}
	}
}

func (e *emulator) send(port io.Writer, answer []byte) error {
	size := len(answer)
	if e.piece > 0 {
		size = e.piece
	}
	for len(answer) > 0 {
		n := min(size, len(answer))
		if _, err := port.Write(answer[:n]); err != nil {
			return err
		}
		answer = answer[n:]
	}
	return nil
}

// wrap builds an answer: preamble, length, status, data, XOR.
func wrap(sw3 byte, data ...byte) []byte {
	length := 3 + len(data) + 1
	frame := append([]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, byte(length >> 8), byte(length), 0, 0, sw3}, data...)
	var sum byte
	for _, b := range frame[5:] {
		sum ^= b
	}
	return append(frame, sum)
}

func (e *emulator) answer(request []byte) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commands++
	if e.stallEvery > 0 && e.commands%e.stallEvery == 0 {
		return nil
	}
	if len(request) < 10 {
		return wrap(0x11)
	}
	var sum byte
	for _, b := range request[5:] {
		sum ^= b
	}
	if sum != 0 {
		return wrap(0x10)
	}
	read := false
	var a []byte
	switch [2]byte{request[7], request[8]} {
	case [2]byte{0x10, 0xFF}, [2]byte{0x11, 0xFF}, [2]byte{0x61, 0xFF}:
		a = wrap(0x90)
	case [2]byte{0x12, 0xFF}:
		a = wrap(0x90, 5, 0, 1, 0, 0x5B, 3, 0x33, 1, 0x5A, 0xB3, 0x1E, 0, 0, 0, 0, 0)
	case [2]byte{0x20, 0x01}:
		if e.present < 0 || e.found && !e.findsAgain && e.reads > 0 && !e.failsFirst {
			a = wrap(0x80)
		} else {
			e.found, e.selected = true, false
			a = wrap(0x9F, 0, 0, 0, 0)
		}
	case [2]byte{0x20, 0x02}:
		if e.present < 0 || !e.found {
			a = wrap(0x81)
		} else {
			e.selected = true
			a = wrap(0x90, 0, 0, 0, 0, 0, 0, 0, 0)
		}
	case [2]byte{0x30, 0x01}:
		a, read = e.read()
	case [2]byte{0x30, 0x03}:
		a = e.address()
	default:
		a = wrap(0x21)
	}
	return e.spoil(a, read)
}

func (e *emulator) read() (answer []byte, whole bool) {
	if e.present < 0 || !e.selected {
		return wrap(0x41), false
	}
	e.reads++
	if e.failsFirst && e.reads == 1 {
		e.found, e.selected = false, false
		return wrap(0x41), false
	}
	if e.needsLifting && e.reads > 1 {
		return wrap(0x41), false
	}
	c := e.cards[e.present]
	data := append([]byte{1, 0, 4, 0}, c.text[:]...)
	data = append(data, c.photo...)
	return wrap(0x90, data...), true
}

func (e *emulator) address() []byte {
	if e.present < 0 || !e.selected {
		return wrap(0x80)
	}
	list := e.cards[e.present].addresses
	if len(list) == 0 {
		return wrap(0x91)
	}
	var data []byte
	for _, a := range list {
		data = append(data, a[:]...)
	}
	return wrap(0x90, data...)
}

// spoil damages answers as a bad line does.
func (e *emulator) spoil(a []byte, read bool) []byte {
	if e.commands <= e.settle {
		return a
	}
	if read && e.random.Float64() < e.columnFlip {
		bit := byte(1) << e.random.IntN(8)
		i, j := 14+e.random.IntN(256), 14+e.random.IntN(256)
		if i != j {
			a[i] ^= bit
			a[j] ^= bit
		}
	}
	if e.random.Float64() < e.flip {
		if e.random.IntN(2) == 0 {
			a[e.random.IntN(len(a))] ^= 1 << e.random.IntN(8)
		} else {
			a = append([]byte{0x02, 0x00, 0x13, 0xAA, 0xAA, 0x17}, a...)
		}
	}
	if e.junk {
		a = append([]byte("+OK\r\n\x80\x00\x03"), a...)
	}
	return a
}

// rawPTY is a pseudo terminal as other people's emulators make it (cfmakeraw: no
// echo, no line editing). The far end is held open: a host may come and go.
func rawPTY(t *testing.T) (master, slave *os.File, path string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	if slave, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	raw, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	raw.Iflag, raw.Oflag, raw.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, raw); err != nil {
		t.Fatal(err)
	}
	return master, slave, path
}

// onPTY serves the emulator on a pseudo terminal and gives the host's path.
func (e *emulator) onPTY(t *testing.T) string {
	t.Helper()
	master, slave, path := rawPTY(t)
	rate := func() uint32 {
		s, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS2)
		if err != nil {
			return 0
		}
		return s.Ospeed
	}
	e.start()
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { e.serve(master, rate) })
	running.Go(func() { e.place(stop) })
	t.Cleanup(func() {
		close(stop)
		slave.Close()
		master.Close()
		running.Wait()
	})
	return path
}

// onTCP serves the emulator on a loopback port and gives its address.
func (e *emulator) onTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.start()
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { e.place(stop) })
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				go func() {
					<-stop
					c.Close()
				}()
				e.serve(c, func() uint32 { return e.baud })
			})
		}
	})
	t.Cleanup(func() {
		close(stop)
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}
