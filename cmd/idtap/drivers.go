package main

import (
	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/pcsc"
	"idtap/driver/serial"
	"idtap/driver/tcp"
	"idtap/driver/usb"
)

// drivers are the kinds of reader this build can open.
func (a *app) drivers() driver.Registry {
	return driver.Registry{
		"serial": &serial.Driver{},
		"tcp":    tcp.Driver{},
		"pcsc":   &pcsc.Driver{},
		"usb":    &usb.Driver{},
		"mock":   &mock.Driver{},
	}
}
