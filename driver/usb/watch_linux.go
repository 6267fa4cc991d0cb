package usb

import (
	"bytes"
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Groups of the kernel's event socket: its own, which come before udev has set a
// node's group and mode, and udev's, which come after and not at all without udev.
const (
	groupKernel = 1
	groupUdev   = 2
)

// watch listens to the kernel's and udev's events. Where that is not to be had (a
// container, a unit without AF_NETLINK) it returns: who waits for a reader looks
// for it again and again anyway.
func (linux) watch(ctx context.Context, changed func()) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return
	}
	events := os.NewFile(uintptr(fd), "uevent")
	defer events.Close()
	if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel | groupUdev}) != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { events.Close() })()
	for buf := make([]byte, 16<<10); ; {
		n, err := events.Read(buf)
		switch {
		case err == nil && ofReader(buf[:n]), errors.Is(err, unix.ENOBUFS): // some were lost
			changed()
		case err != nil:
			return
		}
	}
}

// ofReader reports whether an event is about a device of the kind that readers
// are. The fields are separated by NUL, in udev's messages after a binary head.
func ofReader(event []byte) bool {
	for field := range bytes.SplitSeq(event, []byte{0}) {
		switch string(field) {
		case "SUBSYSTEM=usb", "SUBSYSTEM=hidraw":
			return true
		}
	}
	return false
}
