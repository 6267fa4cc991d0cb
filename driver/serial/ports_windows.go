package serial

import (
	"strings"

	"go.bug.st/serial/enumerator"
)

// Ports lists the serial ports as Windows' device tree has them and opens none.
func Ports() ([]Info, error) {
	details, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return nil, err
	}
	var ports []Info
	for _, d := range details {
		if d.Name == "" { // a device without a port
			continue
		}
		ports = append(ports, Info{Path: d.Name, VID: strings.ToLower(d.VID), PID: strings.ToLower(d.PID), Serial: d.SerialNumber})
	}
	return ports, nil
}
