package mock

import (
	"net"

	"golang.org/x/sys/unix"
)

// quickAck has the next bytes acknowledged at once. vpcd as packaged sends length
// and body by two writes, of which the second waits for the acknowledgement of
// the first: 40 ms for each APDU. The setting holds for one read.
func quickAck(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}
