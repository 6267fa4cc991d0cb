package serial

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"idtap/driver/sam"
)

// pty makes a pseudo-terminal: the master, and the path of the port.
func pty(t testing.TB) (*os.File, string) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	var n int
	control(t, m, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	path := fmt.Sprintf("/dev/pts/%d", n)
	// Held open: while nobody has this end, a read at the other gives EIO, and a
	// module that is between two hosts would be over.
	held, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	return m, path
}

func control(t testing.TB, f *os.File, do func(fd int) error) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// rate is what the port is set to at the moment.
func rate(t testing.TB, m *os.File) int {
	var baud int
	control(t, m, func(fd int) error {
		s, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err == nil {
			baud = int(s.Ospeed)
		}
		return err
	})
	return baud
}

// module answers every request on a pseudo-terminal while the port is at its
// rate, and noise otherwise, until the master is closed.
type module struct {
	baud  int
	tried chan int // the port's rate at each request
}

// next is the port's rate at the next request.
func (m module) next(t *testing.T) int {
	t.Helper()
	select {
	case baud := <-m.tried:
		return baud
	case <-within(t).Done():
		t.Fatal("no request came")
		return 0
	}
}

func serve(t testing.TB, m *os.File, mod module) {
	done := make(chan struct{})
	t.Cleanup(func() {
		m.Close()
		<-done
	})
	answer := map[sam.Code][]byte{
		sam.CmdSelfTest: sam.Answer(0, 0, sam.OK, nil),
		sam.CmdSAMID:    sam.Answer(0, 0, sam.OK, make([]byte, 16)),
		sam.CmdFind:     sam.Answer(0, 0, sam.NoCard, nil),
	}
	go func() {
		defer close(done)
		s := sam.Sniffer{Commands: true}
		buf := make([]byte, 4096)
		for {
			n, err := m.Read(buf)
			if err != nil {
				return
			}
			s.Write(buf[:n])
			for {
				b, ok := s.Next()
				if !ok {
					break
				}
				now := rate(t, m)
				mod.tried <- now
				if now != mod.baud {
					m.Write([]byte{0x13, 0xFF})
					continue
				}
				m.Write(answer[b.Code()])
			}
		}
	}()
}
