package usb

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/diagnosis"
)

// tree writes a device as sysfs has it.
func tree(t *testing.T, sys, path string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(sys, "bus", "usb", "devices", path, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSysfs: what the kernel says of a device is what the list has.
func TestSysfs(t *testing.T) {
	sys := t.TempDir()
	raw := described(h2721, iface(0, 3, 0, 0, endpoint(0x81, 3), endpoint(0x01, 3)))
	tree(t, sys, "1-2.3", map[string]string{"idVendor": "2b8b\n", "idProduct": "2721\n", "busnum": "1\n", "devnum": "12\n", "serial": "A7\n", "product": "reader\n",
		"bConfigurationValue": "1\n", "descriptors": string(raw), "speed": "12\n", "power/control": "auto\n",
		"1-2.3:1.0/0003:2B8B:2721.0001/report_descriptor": string(vendorReport), "1-2.3:1.0/0003:2B8B:2721.0001/hidraw/hidraw4/dev": "1:2\n"})
	tree(t, sys, "usb1", map[string]string{"idVendor": "1d6b\n", "idProduct": "0002\n"})
	tree(t, sys, "1-2.3:1.0", map[string]string{"bInterfaceClass": "03\n"})
	tree(t, sys, "1-4", map[string]string{"idVendor": "046d\n", "idProduct": "c31c\n"})
	list, err := linux{sys, "/dev"}.devices()
	if err != nil || len(list) != 2 {
		t.Fatalf("devices = %+v, %v, want the reader and the keyboard", list, err)
	}
	d := list[0]
	if d.Path == "1-4" {
		d = list[1]
	}
	if d.ID != h2721 || d.Path != "1-2.3" || d.Node != "/dev/bus/usb/001/012" || d.Serial != "A7" || d.Power != "auto" || d.Revision != 0x63 {
		t.Errorf("device = %+v", d)
	}
	if w, err := wireOf(d); err != nil || w.node != "/dev/hidraw4" || w.form != formBare {
		t.Errorf("wireOf = %+v, %v, want hidraw4", w, err)
	}
	if got, want := d.String(), "2b8b:2721 rev 0063 at 1-2.3, reader, serial A7, 12 Mbit/s"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if list, err := (linux{t.TempDir(), "/dev"}).devices(); list != nil || err != nil {
		t.Errorf("devices without USB = %v, %v, want none", list, err)
	}
}

// heldNode is a file that another program has open.
func heldNode(t *testing.T) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "node"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other := exec.Command("sleep", "120")
	other.ExtraFiles = []*os.File{f}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	return f.Name()
}

// TestDiagnosis: each fault of a USB reader is named once, with its place and what
// a technician needs.
func TestDiagnosis(t *testing.T) {
	held := heldNode(t)
	hid := func(node string) Device {
		return Device{ID: h2721, Path: "1-2", Node: "/n/1", Interfaces: []Interface{{Class: "03/00/00"}}, HIDs: []HID{{Node: node, Report: vendorReport}}}
	}
	odd := bulkReader("1-1", "/n/1")
	odd.Raw = described(c35a, iface(0, 8, 6, 0x50))
	odd.Interfaces = []Interface{{Class: "08/06/50"}}
	sleepy := bulkReader("1-1", "/n/1")
	sleepy.Power = "auto"
	detached := hid("")
	detached.Drivers = map[int]string{0: "usbfs"}
	windows := bulkReader("1-1", "/n/1")
	windows.Problem = "code 28"
	for name, tt := range map[string]struct {
		list   []Device
		refuse error
		silent bool
		port   string
		code   string
		detail []string
	}{
		"well":            {[]Device{bulkReader("1-1", "/n/1")}, nil, false, "auto", "", nil},
		"missing":         {nil, nil, false, "0400:c35a@1-7", "usb_missing", []string{"0400:c35a@1-7", "left"}},
		"no permission":   {[]Device{bulkReader("1-1", held)}, syscall.EACCES, false, "auto", "usb_no_permission", []string{"0400:c35a@1-1", "mode 0644", `ATTR{idProduct}=="c35a"`, "udevadm trigger"}},
		"held":            {[]Device{bulkReader("1-1", held)}, syscall.EBUSY, false, "auto", "usb_held", []string{"sleep (pid "}},
		"two programs":    {[]Device{hid(held)}, nil, false, "auto", "usb_shared", []string{"sleep (pid "}},
		"detached":        {[]Device{detached}, nil, false, "auto", "usb_hid_detached", []string{"usbfs"}},
		"unknown form":    {[]Device{odd}, nil, false, "auto", "usb_unknown_form", []string{"0400:c35a@1-1", "class ff"}},
		"not driven":      {[]Device{{ID: ID{0x0483, 0x572b}, Path: "1-5", Node: "/n/5"}}, nil, false, "0483:572b", "usb_unsupported", []string{"cloud", "0483:572b@1-5"}},
		"silent":          {[]Device{bulkReader("1-1", "/n/1")}, nil, true, "auto", "usb_silent", []string{"left"}},
		"autosuspend":     {[]Device{sleepy}, nil, false, "auto", "usb_autosuspend", []string{"power/control"}},
		"no driver there": {[]Device{windows}, nil, false, "auto", "usb_no_driver", []string{"code 28", "never replace its driver"}},
	} {
		t.Run(name, func(t *testing.T) {
			here := newDesk(t, tt.list...)
			here.silent = tt.silent
			d := &Driver{host: hosting{here}}
			if len(tt.list) > 0 && tt.refuse != nil {
				here.refuse[tt.list[0].Node] = tt.refuse
				d.devices()
				d.known[tt.list[0].Node].since = time.Now().Add(-time.Hour)
			}
			spec := driver.Spec{Name: "left", Driver: "usb", Port: tt.port}
			checks := append(d.Checks([]driver.Spec{spec}, false), diagnosis.Check{Name: "reader-left", Group: diagnosis.SAM,
				Run: func(ctx context.Context, s *diagnosis.Sheet) { d.Examine(ctx, s, spec) }})
			report := diagnosis.Run(t.Context(), clockwork.NewRealClock(), diagnosis.Limit, checks)
			found := report.Findings()
			if tt.code == "" {
				if len(found) > 0 {
					t.Fatalf("findings %+v, want none", found)
				}
				return
			}
			n := 0
			for _, f := range found {
				if f.Code != tt.code {
					t.Errorf("also found %s (%s)", f.Code, f.Detail)
					continue
				}
				n++
				told := f.Subject + " " + f.Detail + " " + f.Why.En + " " + f.Do.En
				for _, want := range tt.detail {
					if !strings.Contains(told, want) {
						t.Errorf("%q lacks %q", told, want)
					}
				}
			}
			if n != 1 {
				t.Errorf("%s was found %d times, want once: %+v", tt.code, n, report.Results)
			}
		})
	}
}

// TestUdevRules: the rules that are installed have a line for every id that is
// driven, as diag prints it.
func TestUdevRules(t *testing.T) {
	rules, err := os.ReadFile("../../packaging/udev/60-idtap-usb.rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models() {
		line := rule(Device{ID: m.ID}) + "\n"
		if got := bytes.Contains(rules, []byte(line)); got != m.Driven() {
			t.Errorf("%s: a rule is there: %v, want %v\n%s", m.ID, got, m.Driven(), line)
		}
	}
}
