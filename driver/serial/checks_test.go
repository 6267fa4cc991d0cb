package serial

import (
	"strings"
	"testing"

	"github.com/jonboulle/clockwork"

	"idtap/driver/diagnosis"
)

// TestPortsCheck: ports that nobody configured are listed with the line to add,
// configured ones by either of their names are not, and none is a warning.
func TestPortsCheck(t *testing.T) {
	ports := []Info{
		{Path: "/dev/ttyUSB0", Stable: "/dev/serial/by-id/usb-1a86-if00", Driver: "ch341-uart", VID: "1a86", PID: "7523", Serial: "A1"},
		{Path: "/dev/ttyUSB1", Stable: "/dev/serial/by-id/usb-0403-if00", Driver: "ftdi_sio", VID: "0403", PID: "6001"},
		{Path: "/dev/ttyS0", Driver: "serial"},
	}
	list := func() ([]Info, error) { return ports, nil }
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), diagnosis.Limit,
		[]diagnosis.Check{PortsCheck(list, []string{"/dev/serial/by-id/usb-0403-if00", "/dev/ttyS0"})})
	if r.Level != diagnosis.OK {
		t.Errorf("%+v", r)
	}
	var facts []string
	for _, f := range r.Results[0].Facts {
		facts = append(facts, f.What.En+": "+f.Value)
	}
	want := []string{
		"port not configured (not opened): /dev/ttyUSB0, USB 1a86:7523, ch341-uart, serial A1",
		"if it is a reader, add to readers: - {name: front, driver: serial, port: /dev/serial/by-id/usb-1a86-if00, baud: auto}",
		"configured port: /dev/ttyUSB1, USB 0403:6001, ftdi_sio",
		"configured port: /dev/ttyS0, serial",
	}
	if strings.Join(facts, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(facts, "\n"))
	}
}

// TestPortsCheckSaysWhyBySocket: a port whose name another one shares is offered
// by its socket, with the reason.
func TestPortsCheckSaysWhyBySocket(t *testing.T) {
	list := func() ([]Info, error) {
		return []Info{{Path: "/dev/ttyUSB0", Stable: "/dev/serial/by-path/pci-usb-1", VID: "1a86", PID: "7523", Shared: true}}, nil
	}
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), diagnosis.Limit, []diagnosis.Check{PortsCheck(list, nil)})
	var facts []string
	for _, f := range r.Results[0].Facts {
		facts = append(facts, f.What.En+": "+f.Value)
	}
	if all := strings.Join(facts, "\n"); !strings.Contains(all, "owned by the last plugged in") || !strings.Contains(all, "port: /dev/serial/by-path/pci-usb-1,") {
		t.Errorf("facts are\n%s\nwant the reason and the line by the socket", all)
	}
}
