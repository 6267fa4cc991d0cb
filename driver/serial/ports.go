package serial

// Info is a serial port that is there, as far as the system knows it without
// opening it.
type Info struct {
	Path      string // what Open takes
	Stable    string // a name that stays when ports are renumbered, or ""
	Driver    string // the kernel's driver, e.g. "ch341"; empty on Windows
	VID, PID  string // USB ids, four lower-case hex digits, or ""
	Serial    string // the USB bridge's serial number, or ""
	Interface string // USB interface number, two digits, or ""
	// Shared says that another port of this machine has the same name by id, for
	// neither adapter has a serial number: the one plugged in last owns it. Stable
	// is then the name by the socket.
	Shared bool
}
