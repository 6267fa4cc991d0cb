// Package serial reaches SAM modules on serial ports: RS-232, USB bridges and
// pseudo-terminals; 8 data bits, no parity, 1 stop bit, no flow control [EAST,
// SOFTS, SDTC].
//
// Line settings are go.bug.st/serial's (v1.8.0). What it does not do, this
// package does:
//
//   - Bytes pass through a descriptor of our own on Unix: the library's Write
//     cannot be ended, not even by Close, and after Close may hit another file;
//     its Read panics on descriptors from 1024 on; its PortClosed does not tell
//     an unplugged port from one that we closed.
//   - The port is locked (flock): TIOCEXCL does not keep root out.
//   - Ports are listed from /sys/class/tty: the library's listing opens every
//     ttyS and resets the settings of ports that are in use.
//
// A serial bridge may be anything, so none is ever opened unasked.
package serial
