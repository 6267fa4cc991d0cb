package serial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
	"idtap/internal/text"
)

// What can be wrong with a port.
var (
	Missing = diagnosis.NewEntry(texts, "port_missing", diagnosis.Critical)
	Denied  = diagnosis.NewEntry(texts, "port_denied", diagnosis.Critical)
	Held    = diagnosis.NewEntry(texts, "port_held", diagnosis.Critical)
	NoPort  = diagnosis.NewEntry(texts, "port_unusable", diagnosis.Critical)
)

// Codes implements driver.Diagnoser.
func (*Driver) Codes() []diagnosis.Entry { return []diagnosis.Entry{Missing, Denied, Held, NoPort} }

// Checks implements driver.Diagnoser: it lists the ports that are there.
func (*Driver) Checks(configured []driver.Spec, _ bool) []diagnosis.Check {
	paths := make([]string, len(configured))
	for i, s := range configured {
		paths[i] = s.Port
	}
	return []diagnosis.Check{PortsCheck(Ports, paths)}
}

// Explain is the finding that stands behind a failure to open a port, or a
// failure of what is on it.
func Explain(reader, path string, err error) diagnosis.Finding {
	switch {
	case errors.Is(err, driver.ErrBusy):
		return heldBy(path)
	case errors.Is(err, driver.ErrDenied):
		return diagnosis.NewFinding(Denied, path, permissions(path))
	}
	if _, there := os.Stat(path); errors.Is(err, driver.ErrGone) && there != nil {
		return diagnosis.NewFinding(Missing, path, others(path))
	}
	var e *driver.Error
	if errors.Is(err, driver.ErrProtocol) && errors.As(err, &e) && e.Op == "open" {
		return diagnosis.NewFinding(NoPort, path)
	}
	if f, ok := sam.Explain(reader, err); ok {
		return diagnosis.NewFinding(f.Entry, f.Subject, path)
	}
	return diagnosis.NewFinding(NoPort, path)
}

// heldBy names who has a port: another idtap is a finding of its own.
func heldBy(path string) diagnosis.Finding {
	holders := diagnosis.Holders(path)
	if len(holders) == 0 {
		f := diagnosis.NewFinding(Held, path, texts.Say("root_only"))
		f.Because = diagnosis.HiddenDaemon
		return f
	}
	if p := holders[0]; p.Idtap() {
		return diagnosis.NewFinding(diagnosis.SecondDaemon, fmt.Sprintf("pid %d", p.PID), path)
	}
	names := make([]string, len(holders))
	for i, p := range holders {
		names[i] = p.String()
	}
	return diagnosis.NewFinding(Held, path, strings.Join(names, ", "))
}

// others names the ports that are there instead.
func others(path string) text.Text {
	ports, err := Ports()
	if err != nil || len(ports) == 0 {
		return texts.Say("no_ports")
	}
	var names []string
	for _, p := range ports {
		if p.Path != path {
			names = append(names, p.stableOr())
		}
	}
	return texts.Say("other_ports", strings.Join(names, ", "))
}

func (p Info) stableOr() string {
	if p.Stable != "" {
		return p.Stable
	}
	return p.Path
}

// describe is a port as a technician knows it.
func (p Info) describe() string {
	parts := []string{p.Path}
	if p.VID != "" {
		parts = append(parts, "USB "+p.VID+":"+p.PID)
	}
	if p.Driver != "" {
		parts = append(parts, p.Driver)
	}
	if p.Serial != "" {
		parts = append(parts, "serial "+p.Serial)
	}
	return strings.Join(parts, ", ")
}

// ConfigLine is the line of the readers' list that makes a port a reader.
func (p Info) ConfigLine() string {
	return fmt.Sprintf("- {name: front, driver: serial, port: %s, baud: auto}", p.stableOr())
}

// PortsCheck lists the ports that no reader is configured for, with the line to
// add. It opens none of them: a serial bridge may be anything.
func PortsCheck(list func() ([]Info, error), configured []string) diagnosis.Check {
	return diagnosis.Check{Name: "serial-ports", Group: diagnosis.Serial, Run: func(_ context.Context, s *diagnosis.Sheet) {
		ports, err := list()
		if err != nil {
			s.NotChecked(texts.Say("ports_cannot_be_listed"))
			return
		}
		for _, p := range ports {
			if p.Shared {
				s.Fact(texts.Say("shared_name"), "%s", p.stableOr())
			}
			if slices.Contains(configured, p.Path) || p.Stable != "" && slices.Contains(configured, p.Stable) {
				s.Fact(texts.Say("configured_port"), "%s", p.describe())
				continue
			}
			s.Fact(texts.Say("unconfigured_port"), "%s", p.describe())
			s.Fact(texts.Say("if_reader_add"), "%s", p.ConfigLine())
		}
		if len(ports) == 0 {
			s.Fact(texts.Say("serial_ports"), "0")
		}
	}}
}

// Examine opens a reader's port, which nothing else of this program has open,
// and tries the module on it.
func (d *Driver) Examine(ctx context.Context, s *diagnosis.Sheet, spec driver.Spec) {
	module := s.In(diagnosis.SAM)
	w := sam.NewStopwatch(d.Clock)
	spec.Wire = w
	dev, err := d.Open(ctx, spec)
	if err != nil {
		d.Diagnose(s, spec, err)
		return
	}
	sam.Examine(ctx, module, spec.Name, dev, w)
	dev.Close()
	if spec.Baud == 0 || !module.Found(sam.Silent.Code) && !module.Found(sam.Foreign.Code) {
		return
	}
	// Nothing good at the configured rate: is there another?
	other := spec
	other.Baud, other.Wire = 0, nil
	found, err := (&Driver{Clock: d.Clock}).Open(ctx, other)
	if err != nil {
		return
	}
	id, err := found.Identify(ctx)
	found.Close()
	if err == nil && id.Baud != spec.Baud {
		module.Clear()
		sam.Identified(module, spec.Name, id, nil)
		module.Find(sam.WrongBaud, spec.Name, texts.Say("rate_differs", spec.Baud, id.Baud))
	}
}

// Diagnose implements driver.Diagnoser: what the port is to blame for is noted in
// the port's group, anything else in the module's.
func (*Driver) Diagnose(s *diagnosis.Sheet, spec driver.Spec, err error) {
	f := Explain(spec.Name, spec.Port, err)
	if f.Subject == spec.Name {
		s.In(diagnosis.SAM).Add(f)
		return
	}
	s.In(diagnosis.Serial).Add(f)
	s.In(diagnosis.SAM).NotChecked(texts.Say("port_closed", spec.Name))
}

// Probe implements driver.Prober. Any file may be a port: a name of two ids with
// a colon between is a USB device's, and not a file's.
func (d *Driver) Probe(port string) (diagnosis.Check, bool) {
	if strings.Contains(port, ":") && !strings.ContainsAny(port, `/\`) {
		return diagnosis.Check{}, false
	}
	return ProbeCheck(d.Clock, port), true
}

// ProbeCheck asks one named port for a module at every rate; no other port is
// touched.
func ProbeCheck(clock clockwork.Clock, path string) diagnosis.Check {
	return diagnosis.Check{Name: "probe-port", Group: diagnosis.SAM, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		port, err := Open(path, path, 0)
		if err != nil {
			s.Add(Explain(path, path, err))
			return
		}
		defer port.Close()
		w := sam.NewStopwatch(clock)
		observed := line{driver.Observed(port, w), port}
		heard, rate, err := sam.Probe(ctx, observed, sam.Options{Name: path, Detail: "serial " + path, Clock: clock})
		foreign := false
		for _, h := range heard {
			foreign = foreign || h.Answer == "other"
			s.Fact(texts.Say("baud", h.Baud), "%s", answers[h.Answer])
		}
		switch {
		case err != nil:
			s.Add(Explain(path, path, err))
		case rate == 0 && foreign:
			s.Find(sam.Foreign, path)
		case rate == 0:
			s.Find(sam.Silent, path)
		default:
			w.Reset()
			sam.Examine(ctx, s, path, sam.NewClient(observed, sam.Options{Name: path, Detail: "serial " + path, Baud: rate, Clock: clock}), w)
			line := Info{Path: path}
			if ports, err := Ports(); err == nil {
				if i := slices.IndexFunc(ports, func(p Info) bool { return p.Path == path }); i >= 0 {
					line = ports[i]
				}
			}
			s.Fact(texts.Say("add_readers"), "%s", line.ConfigLine())
		}
	}}
}

var answers = map[string]string{"sam": "SAM", "other": "?", "": "-"}
