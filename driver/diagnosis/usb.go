package diagnosis

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What can keep a USB reader from being used at all.
var (
	USBDriverMissing = NewEntry(texts, "usb_driver_missing", Warning)
	USBHeld          = NewEntry(texts, "usb_held", Warning)
)

// bridges are the serial bridges that card readers are built with, and the
// kernel module of each.
var bridges = map[string]string{
	"1a86:7523": "ch341", "1a86:5523": "ch341", "10c4:ea60": "cp210x", "0403:6001": "ftdi_sio", "0403:6015": "ftdi_sio",
	"067b:2303": "pl2303", "067b:23a3": "pl2303",
}

const classCCID = "0b"

// USBCheck looks for CCID readers and the bridges that serial readers are built
// with (readers of driver usb are that driver's business) under sysfs (/sys) and devfs (/dev), and whether anything drives them. It
// opens none.
func USBCheck(sys, dev string) Check {
	return Check{Name: "usb-readers", Group: System, Run: func(ctx context.Context, s *Sheet) {
		devices := filepath.Join(sys, "bus", "usb", "devices")
		entries, err := os.ReadDir(devices)
		if err != nil {
			s.NotChecked(texts.Say("no_usb"))
			return
		}
		for _, e := range entries {
			if ctx.Err() != nil {
				return
			}
			if d, ok := readUSB(filepath.Join(devices, e.Name())); ok {
				d.judge(s, dev)
			}
		}
	}}
}

// usbDevice is a device as sysfs has it.
type usbDevice struct {
	id, product string
	bus, num    int
	interfaces  []usbInterface
}

type usbInterface struct{ class, driver string }

func readUSB(dir string) (usbDevice, bool) {
	text := func(parts ...string) string {
		b, err := os.ReadFile(filepath.Join(append([]string{dir}, parts...)...))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	d := usbDevice{id: strings.ToLower(text("idVendor") + ":" + text("idProduct")), product: text("product")}
	if len(d.id) != len("0400:c35a") {
		return d, false // an interface or a hub without ids
	}
	d.bus, _ = strconv.Atoi(text("busnum"))
	d.num, _ = strconv.Atoi(text("devnum"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return d, false
	}
	for _, e := range entries {
		class := strings.ToLower(text(e.Name(), "bInterfaceClass"))
		if class == "" {
			continue
		}
		i := usbInterface{class: class}
		if target, err := os.Readlink(filepath.Join(dir, e.Name(), "driver")); err == nil {
			i.driver = filepath.Base(target)
		}
		d.interfaces = append(d.interfaces, i)
	}
	return d, true
}

func (d usbDevice) driven() bool {
	return slices.ContainsFunc(d.interfaces, func(i usbInterface) bool { return i.driver != "" && i.driver != "usbfs" })
}

func (d usbDevice) ccid() bool {
	return slices.ContainsFunc(d.interfaces, func(i usbInterface) bool { return i.class == classCCID })
}

func (d usbDevice) judge(s *Sheet, dev string) {
	module, bridge := bridges[d.id]
	if !bridge && !d.ccid() {
		return
	}
	name := "USB " + d.id
	if d.product != "" {
		name += " " + d.product
	}
	holders := Holders(filepath.Join(dev, "bus", "usb", fmt.Sprintf("%03d", d.bus), fmt.Sprintf("%03d", d.num)))
	for _, p := range holders {
		if p.Name != "pcscd" && !p.Idtap() {
			s.Find(USBHeld, name, p.String())
			return
		}
	}
	switch {
	case d.driven(), len(holders) > 0:
		s.Fact(texts.Say("usb_reader"), "%s", name)
	case bridge:
		s.Find(USBDriverMissing, name, "modprobe "+module)
	default:
		e := USBDriverMissing
		e.Because = []string{"pcsc_no_service", "pcsc_denied"} // of a CCID reader alone
		s.Find(e, name, texts.Say("ccid_not_taken"))
	}
}
