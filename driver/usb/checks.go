package usb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
)

// Group is where findings about USB readers stand in a diagnosis.
const Group diagnosis.Group = "usb"

// What can be wrong with a USB reader.
var (
	Missing      = diagnosis.NewEntry(texts, "usb_missing", diagnosis.Critical)
	NoPermission = diagnosis.NewEntry(texts, "usb_no_permission", diagnosis.Critical)
	Shared       = diagnosis.NewEntry(texts, "usb_shared", diagnosis.Critical)
	Detached     = diagnosis.NewEntry(texts, "usb_hid_detached", diagnosis.Critical)
	UnknownForm  = diagnosis.NewEntry(texts, "usb_unknown_form", diagnosis.Critical)
	Unsupported  = diagnosis.NewEntry(texts, "usb_unsupported", diagnosis.Warning)
	Silent       = diagnosis.NewEntry(texts, "usb_silent", diagnosis.Critical)
	NoDriver     = diagnosis.NewEntry(texts, "usb_no_driver", diagnosis.Critical)
	NotOnWindows = diagnosis.NewEntry(texts, "usb_not_on_windows", diagnosis.Warning)
	Autosuspend  = diagnosis.NewEntry(texts, "usb_autosuspend", diagnosis.Warning)
)

var (
	_ driver.Diagnoser = (*Driver)(nil)
	_ driver.Examiner  = (*Driver)(nil)
	_ driver.Describer = (*Driver)(nil)
)

// Codes implements driver.Diagnoser. A reader that another program holds is
// diagnosis.USBHeld, as any USB device is.
func (*Driver) Codes() []diagnosis.Entry {
	return []diagnosis.Entry{Missing, NoPermission, Shared, Detached, UnknownForm, Unsupported, Silent, NoDriver, NotOnWindows, Autosuspend}
}

// Checks implements driver.Diagnoser: what is plugged in, and what the system says
// of it without its being opened.
func (d *Driver) Checks(configured []driver.Spec, auto bool) []diagnosis.Check {
	return []diagnosis.Check{{Name: "usb-sam-readers", Group: Group, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		list, err := d.devices()
		if err != nil {
			s.NotChecked(texts.Say("not_listed"))
			return
		}
		known := 0
		for _, dev := range list {
			if m, ok := modelOf(dev.ID); ok {
				known++
				d.look(s, dev, m, auto || meant(configured, dev))
			}
		}
		if known == 0 {
			s.NotChecked(texts.Say("none"))
		}
	}}}
}

// meant reports whether a configured reader may be this device.
func meant(configured []driver.Spec, dev Device) bool {
	return slices.ContainsFunc(configured, func(s driver.Spec) bool {
		port, err := ParsePort(s.Port)
		return err == nil && port.fits(dev)
	})
}

// look notes what can be seen of a device. Why a reader that is in use does not
// open is left to Diagnose.
func (d *Driver) look(s *diagnosis.Sheet, dev Device, m Model, used bool) {
	w, err := wireOf(dev)
	line := dev.String()
	if err == nil {
		line += fmt.Sprintf(", %s, interface %d", w.form, w.iface)
	}
	if driven := dev.drivenBy(); driven != "" {
		line += ", driver " + driven
	}
	s.Fact(texts.Say("devices"), "%s", line)
	switch {
	case !m.Driven():
		e := Unsupported
		e.Why = diagnosis.Say(m.Maker.Zh+"："+m.Note.Zh, m.Maker.En+": "+m.Note.En)
		s.Find(e, dev.label())
		return
	case dev.Problem != "":
		e := NoDriver
		if dev.Driven() {
			e = NotOnWindows
		}
		s.Find(e, dev.label(), dev.Problem)
		return
	case !used:
		s.Fact(texts.Say("unconfigured"), "- {name: %s, driver: usb, port: %q}", dev.name(), dev.port())
	}
	if dev.Power == "auto" {
		s.Find(Autosuspend, dev.label(), dev.Path+"/power/control")
	}
	if w.framing == nil || !used {
		return
	}
	if others := strangers(w.node); len(others) > 0 { // a claim keeps them out of bulk readers
		s.Find(Shared, dev.label(), w.node, names(others))
	}
}

// Driven reports whether a driver of the system has an interface.
func (d Device) Driven() bool { return len(d.Drivers) > 0 }

// drivenBy lists the drivers of its interfaces.
func (d Device) drivenBy() string {
	return strings.Join(slices.Compact(slices.Sorted(maps.Values(d.Drivers))), ", ")
}

// label is how findings name the device.
func (d Device) label() string { return "USB " + d.ID.String() + "@" + d.Path }

// strangers are the programs that have a node open, idtap excepted.
func strangers(node string) []diagnosis.Process {
	return slices.DeleteFunc(diagnosis.Holders(node), diagnosis.Process.Idtap)
}

func names(list []diagnosis.Process) string {
	all := make([]string, len(list))
	for i, p := range list {
		all[i] = p.String()
	}
	return strings.Join(all, ", ")
}

// Diagnose implements driver.Diagnoser.
func (d *Driver) Diagnose(s *diagnosis.Sheet, spec driver.Spec, err error) {
	if errors.Is(err, driver.ErrTimeout) {
		s.In(Group).Find(Silent, spec.Name, spec.Port)
		s.In(diagnosis.SAM).NotChecked(texts.Say("not_open", spec.Name))
		return
	}
	var e *driver.Error
	if !errors.As(err, &e) || e.Op != "open" {
		if f, ok := sam.Explain(spec.Name, err); ok {
			s.In(diagnosis.SAM).Add(f)
			return
		}
	}
	s.In(diagnosis.SAM).NotChecked(texts.Say("not_open", spec.Name))
	d.explain(s.In(Group), spec, err)
}

// explain says why a reader does not open.
func (d *Driver) explain(s *diagnosis.Sheet, spec driver.Spec, err error) {
	list, _ := d.devices()
	port, _ := ParsePort(spec.Port)
	list = slices.DeleteFunc(list, func(dev Device) bool { return !port.fits(dev) })
	if len(list) == 0 {
		s.Find(Missing, spec.Port, "reader "+spec.Name)
		return
	}
	dev := list[0]
	node := dev.Node
	w, wrong := wireOf(dev)
	if wrong == nil && w.framing != nil {
		node = w.node
	}
	switch {
	case errors.Is(wrong, errUnsupported): // told where devices are listed
	case errors.Is(wrong, errForm):
		s.Find(UnknownForm, dev.label(), wrong.Error())
		s.Fact(texts.Say("descriptors"), "%x", dev.Raw)
		for _, h := range dev.HIDs {
			s.Fact(texts.Say("descriptors"), "HID %d: %x", h.Interface, h.Report)
		}
	case errors.Is(wrong, errDetached):
		s.Find(Detached, dev.label(), "driver "+dev.drivenBy(), names(strangers(dev.Node)))
	case errors.Is(err, driver.ErrDenied):
		s.Find(NoPermission, dev.label(), permissions(node), rule(dev))
	case errors.Is(err, driver.ErrBusy):
		s.Add(heldBy(dev, node))
	default:
		s.Find(Missing, dev.label(), err.Error())
	}
}

// heldBy names who has a reader: another idtap is a finding of its own.
func heldBy(dev Device, node string) diagnosis.Finding {
	e := diagnosis.USBHeld
	e.Level = diagnosis.Critical
	holders := diagnosis.Holders(node)
	switch {
	case len(holders) == 0:
		e.Because = diagnosis.HiddenDaemon
		return diagnosis.NewFinding(e, dev.label(), node, "seen by root only")
	case holders[0].Idtap():
		return diagnosis.NewFinding(diagnosis.SecondDaemon, fmt.Sprintf("pid %d", holders[0].PID), node)
	}
	return diagnosis.NewFinding(e, dev.label(), node, names(holders))
}

// rule is the line of the udev rules that opens a device.
func rule(d Device) string {
	if m, _ := modelOf(d.ID); m.Form == formBulk {
		return fmt.Sprintf(`SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="%04x", ATTR{idProduct}=="%04x", GROUP="idtap", MODE="0660", ATTR{power/control}="on"`,
			d.ID.Vendor, d.ID.Product)
	}
	return fmt.Sprintf(`SUBSYSTEM=="hidraw", ATTRS{idVendor}=="%04x", ATTRS{idProduct}=="%04x", GROUP="idtap", MODE="0660"`, d.ID.Vendor, d.ID.Product)
}

// Examine implements driver.Examiner: a module that says nothing behind USB has
// other causes than one on a line.
func (d *Driver) Examine(ctx context.Context, s *diagnosis.Sheet, spec driver.Spec) {
	w := sam.NewStopwatch(d.Clock)
	spec.Wire = w
	dev, err := d.Open(ctx, spec)
	if err != nil {
		d.Diagnose(s, spec, err)
		return
	}
	defer dev.Close()
	module := s.In(diagnosis.SAM)
	sam.Examine(ctx, module, spec.Name, dev, w)
	if module.Found(sam.Silent.Code) {
		module.Clear()
		d.Diagnose(s, spec, driver.ErrTimeout)
	}
}

// Describe implements driver.Describer.
func (d *Driver) Describe(spec driver.Spec) []string {
	list, err := d.devices()
	port, wrong := ParsePort(spec.Port)
	if err != nil || wrong != nil {
		return nil
	}
	for _, dev := range list {
		if !port.fits(dev) {
			continue
		}
		lines := []string{dev.String(), fmt.Sprintf("descriptors %x", dev.Raw)}
		if w, err := wireOf(dev); err == nil {
			lines = append(lines, "form "+w.form)
		}
		for _, h := range dev.HIDs {
			lines = append(lines, fmt.Sprintf("HID report descriptor %d %x", h.Interface, h.Report))
		}
		return lines
	}
	return nil
}
