package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/config"
	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/mock"
	"idtap/driver/pcsc"
	"idtap/driver/serial"
	"idtap/driver/tcp"
)

// loadConfig is the configuration of a desk with a queue of its own and no page.
func loadConfig(t *testing.T, lines string) config.Config {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "desk.yaml")
	text := "desk: {id: d1, division: \"410105\"}\n" + lines + "\noutbox: {dir: " + filepath.Join(dir, "queue") + "}\n"
	if !strings.Contains(lines, "desk_page:") {
		text += "desk_page: {listen: \"\"}\n"
	}
	writeFile(t, file, text)
	s := config.Machine()
	s.Environ = func() []string { return nil }
	s.Getenv = func(k string) string { return map[string]string{"HOME": dir}[k] }
	cfg, err := config.Load(file, s)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fakeDesk is a desk on a machine without hardware of its own.
func fakeDesk(t *testing.T, lines string) *Examiner {
	t.Helper()
	g := NewExaminer(loadConfig(t, lines), Options{Drivers: driver.Registry{
		"mock": &mock.Driver{}, "serial": &serial.Driver{}, "tcp": tcp.Driver{}, "pcsc": fakePCSC{pcsc.Survey{Service: pcsc.Running}}}})
	g.sys, g.dev = filepath.Join(t.TempDir(), "sys"), filepath.Join(t.TempDir(), "dev")
	if err := os.MkdirAll(filepath.Join(g.sys, "bus", "usb", "devices"), 0o755); err != nil {
		t.Fatal(err)
	}
	return g
}

// beside returns what a report finds beside daemon_stopped, which comes first
// where no daemon runs.
func beside(t *testing.T, r diagnosis.Report) []diagnosis.Finding {
	t.Helper()
	found := r.Findings()
	if len(found) == 0 || found[0].Code != daemonStopped.Code || r.Level != diagnosis.Critical {
		t.Fatalf("no daemon runs, and the first of %d findings, level %s, is not %s", len(found), r.Level, daemonStopped.Code)
	}
	return found[1:]
}

// fault is what a report has to say beside that no daemon runs: one finding, who
// mends it, and nothing else.
type fault struct {
	code    string
	who     diagnosis.Who
	details string // in the finding's subject or detail
}

func (f fault) check(t *testing.T, r diagnosis.Report) {
	t.Helper()
	found := beside(t, r)
	if len(found) != 1 || found[0].Code != f.code {
		var list []string
		for _, o := range found {
			list = append(list, fmt.Sprintf("%s %s (%s)", o.Code, o.Subject, o.Detail))
		}
		t.Fatalf("found %q, want %s alone", list, f.code)
	}
	got := found[0]
	if got.Who != f.who {
		t.Errorf("%s is the %s's, want the %s's", got.Code, got.Who, f.who)
	}
	if !strings.Contains(got.Subject+" "+got.Detail+" "+got.What.En, f.details) {
		t.Errorf("%q (%q) does not say %q", got.Subject, got.Detail, f.details)
	}
}

// fakePCSC is a PC/SC service in a given condition.
type fakePCSC struct{ survey pcsc.Survey }

func (f fakePCSC) Survey(context.Context) pcsc.Survey { return f.survey }
func (f fakePCSC) Codes() []diagnosis.Entry           { return (*pcsc.Driver).Codes(nil) }
func (f fakePCSC) Checks(own []driver.Spec, auto bool) []diagnosis.Check {
	return []diagnosis.Check{pcsc.ServiceCheck(f, own, auto)}
}
func (f fakePCSC) Diagnose(s *diagnosis.Sheet, spec driver.Spec, err error) {
	(*pcsc.Driver).Diagnose(nil, s, spec, err)
}
func (f fakePCSC) Detail() string                                  { return "fake" }
func (f fakePCSC) Discover(context.Context) ([]driver.Spec, error) { return nil, f.survey.Err }
func (f fakePCSC) Open(context.Context, driver.Spec) (driver.Device, error) {
	return nil, driver.ErrGone
}

// TestExaminerWithoutReaders: what keeps a desk from having a reader.
func TestExaminerWithoutReaders(t *testing.T) {
	for name, tt := range map[string]struct {
		service pcsc.Survey
		usb     map[string]string
		want    fault
	}{
		"no pcscd":      {pcsc.Survey{Service: pcsc.Absent}, nil, fault{"pcsc_no_service", "technician", ""}},
		"pcscd refuses": {pcsc.Survey{Service: pcsc.Refused}, nil, fault{"pcsc_denied", "technician", ""}},
		"no reader":     {pcsc.Survey{Service: pcsc.Running}, nil, fault{"reader_none", "technician", ""}},
		"reader without a module": {pcsc.Survey{Service: pcsc.Running, Readers: []pcsc.Listed{{Name: "ACS ACR122U 00 00", Model: "ACR122", Profile: "uid"}}}, nil,
			fault{"reader_no_sam", "technician", "ACR122U"}},
		"bridge without a driver": {pcsc.Survey{Service: pcsc.Running}, map[string]string{"idVendor": "1a86", "idProduct": "7523", "busnum": "1", "devnum": "4",
			"product": "USB Serial", "1-1:1.0/bInterfaceClass": "ff"}, fault{"usb_driver_missing", "technician", "modprobe ch341"}},
		"reader that pcscd does not know": {pcsc.Survey{Service: pcsc.Running}, map[string]string{"idVendor": "0400", "idProduct": "c35a", "busnum": "1", "devnum": "5",
			"1-1:1.0/bInterfaceClass": "0b"}, fault{"usb_driver_missing", "technician", "CCID"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := fakeDesk(t, "")
			g.drivers["pcsc"] = fakePCSC{tt.service}
			device := filepath.Join(g.sys, "bus", "usb", "devices", "1-1")
			for attribute, value := range tt.usb {
				writeFile(t, filepath.Join(device, attribute), value+"\n")
			}
			tt.want.check(t, g.Report(t.Context(), false))
		})
	}
}

// TestExaminerClock: a clock before the program's own birth.
func TestExaminerClock(t *testing.T) {
	g := fakeDesk(t, "readers: [{name: front, driver: mock}]\n")
	g.floor = time.Now().Add(24 * time.Hour)
	fault{"clock_wrong", "technician", ""}.check(t, g.Report(t.Context(), false))
}
