package usb

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The request numbers of usbfs (linux/usbdevice_fs.h), made as the kernel's _IOC
// does on the generic architectures: amd64, arm64, loong64, riscv64, arm, 386.
var (
	ioSubmit    = ioc(iocRead, 10, unsafe.Sizeof(urb{}))
	ioDiscard   = ioc(0, 11, 0)
	ioReap      = ioc(iocWrite, 13, unsafe.Sizeof(uintptr(0))) // REAPURBNDELAY; 12 blocks for good
	ioClaim     = ioc(iocRead, 15, unsafe.Sizeof(uint32(0)))
	ioReset     = ioc(0, 20, 0)
	ioClearHalt = ioc(iocRead, 21, unsafe.Sizeof(uint32(0)))
)

const (
	iocWrite = 1
	iocRead  = 2
)

func ioc(dir, nr, size uintptr) uintptr { return dir<<30 | size<<16 | 'U'<<8 | nr }

// urb is struct usbdevfs_urb.
type urb struct {
	kind     byte
	endpoint byte
	status   int32
	flags    uint32
	buffer   uintptr
	length   int32
	actual   int32
	start    int32
	packets  int32
	errors   int32
	signal   uint32
	context  uintptr
}

const (
	urbInterrupt = 1
	urbBulk      = 3

	// bufferSize is more than the longest answer (2321 bytes), and a whole multiple
	// of every packet size there is: a smaller buffer would lose packets.
	bufferSize = 4096
	slotSize   = 64 + bufferSize
)

// usbfs is the requests of a claimed interface. The file does not block: the
// kernel signals an ended request as "writable", so Go's poller waits for it, and
// Close ends the wait. Requests and buffers lie in memory of their own, because
// the kernel writes to them whenever a request is reaped.
type usbfs struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool

	mu     sync.RWMutex // held for reading while the kernel may use memory
	memory []byte
	slots  []*slot
}

var _ pipes = (*usbfs)(nil)

// slot is one endpoint's request.
type slot struct {
	Endpoint
	urb    *urb
	buffer []byte
}

// openUsbfs opens a device node and claims the interface: without a claim the
// kernel lets programs interleave.
func openUsbfs(node string, w wire) (*usbfs, error) {
	file, err := os.OpenFile(node, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	u := &usbfs{file: file}
	if u.raw, err = file.SyscallConn(); err != nil {
		file.Close()
		return nil, err
	}
	claimed := uint32(w.iface)
	if err := u.ioctl(ioClaim, unsafe.Pointer(&claimed)); err != nil {
		file.Close()
		return nil, err
	}
	endpoints := append(append([]Endpoint(nil), w.in...), w.out...)
	u.memory, err = unix.Mmap(-1, 0, len(endpoints)*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		file.Close()
		return nil, err
	}
	for i, e := range endpoints {
		at := u.memory[i*slotSize:][:slotSize]
		u.slots = append(u.slots, &slot{e, (*urb)(unsafe.Pointer(&at[0])), at[64:]})
	}
	return u, nil
}

// ioctl makes a call that does not wait.
func (u *usbfs) ioctl(request uintptr, p unsafe.Pointer) error {
	var errno syscall.Errno
	err := u.raw.Control(func(fd uintptr) { _, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(p)) })
	switch {
	case err != nil: // "use of closed file", which is not os.ErrClosed
		return os.ErrClosed
	case errno != 0:
		return errno
	}
	return nil
}

// use keeps the memory from being released meanwhile.
func (u *usbfs) use() (release func(), err error) {
	u.mu.RLock()
	if u.closed.Load() {
		u.mu.RUnlock()
		return nil, os.ErrClosed
	}
	return u.mu.RUnlock, nil
}

func (u *usbfs) slot(endpoint byte) *slot {
	for _, s := range u.slots {
		if s.Address == endpoint {
			return s
		}
	}
	return nil
}

func (u *usbfs) submit(endpoint byte, p []byte) error {
	release, err := u.use()
	if err != nil {
		return err
	}
	defer release()
	s := u.slot(endpoint)
	if s == nil || len(p) > bufferSize {
		return fmt.Errorf("usbfs: %d bytes for endpoint %02x", len(p), endpoint)
	}
	length := copy(s.buffer, p)
	if s.In() {
		length = bufferSize / s.Packet * s.Packet
	}
	*s.urb = urb{kind: urbBulk, endpoint: endpoint, buffer: uintptr(unsafe.Pointer(&s.buffer[0])), length: int32(length)}
	if s.Transfer == transferInterrupt {
		s.urb.kind = urbInterrupt
	}
	return u.ioctl(ioSubmit, unsafe.Pointer(s.urb))
}

func (u *usbfs) reap() (done, error) {
	release, err := u.use()
	if err != nil {
		return done{}, err
	}
	defer release()
	var ended uintptr
	var errno syscall.Errno
	err = u.raw.Write(func(fd uintptr) bool {
		for {
			_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, ioReap, uintptr(unsafe.Pointer(&ended)))
			if errno != unix.EINTR {
				return errno != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return done{}, os.ErrClosed
	case errno != 0:
		return done{}, errno
	}
	for _, s := range u.slots {
		if uintptr(unsafe.Pointer(s.urb)) != ended {
			continue
		}
		d := done{endpoint: s.Address}
		if s.urb.status != 0 {
			d.err = syscall.Errno(-s.urb.status)
		}
		if s.In() && d.err == nil {
			d.p = s.buffer[:min(max(s.urb.actual, 0), bufferSize)]
		}
		return d, nil
	}
	return done{}, errors.New("usbfs: an unknown request ended")
}

func (u *usbfs) clearHalt(endpoint byte) error {
	address := uint32(endpoint)
	return u.ioctl(ioClearHalt, unsafe.Pointer(&address))
}

func (u *usbfs) discard(endpoint byte) error {
	release, err := u.use()
	if err != nil {
		return err
	}
	defer release()
	s := u.slot(endpoint)
	if s == nil {
		return fmt.Errorf("usbfs: no endpoint %02x", endpoint)
	}
	return u.ioctl(ioDiscard, unsafe.Pointer(s.urb))
}

func (u *usbfs) reset() error { return u.ioctl(ioReset, nil) }

// Close lets go of the device. The kernel ends what is under way when the
// descriptor goes; only then is the memory released.
func (u *usbfs) Close() error {
	if u.closed.Swap(true) {
		return nil
	}
	err := u.file.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	return errors.Join(err, unix.Munmap(u.memory))
}
