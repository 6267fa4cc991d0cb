package serial

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// tree builds a folder as sysfs and devfs have it: a value ends up in a file,
// "-> x" in a symlink, "" in a folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case content == "":
			err = os.MkdirAll(path, 0o700)
		case len(content) > 3 && content[:3] == "-> ":
			err = os.Symlink(filepath.Join(root, content[3:]), path)
		default:
			err = os.WriteFile(path, []byte(content+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestList(t *testing.T) {
	const usb = "devices/pci0/usb1/1-2"
	root := tree(t, map[string]string{
		"class/tty0":                    "",  // a console: no device
		"class/ttyS0/type":              "4", // a real UART
		"class/ttyS0/device":            "-> devices/pnp0/00:05",
		"devices/pnp0/00:05/driver":     "-> drivers/serial",
		"class/ttyS1/type":              "0", // a node without a chip
		"class/ttyS1/device":            "-> devices/platform/serial8250",
		"devices/platform/serial8250/x": "y",
		"drivers/serial":                "",
		// A bridge on ttyUSB0, an ACM device and a vendor's own name.
		"class/ttyUSB0/device":                           "-> " + usb + "/1-2:1.0/ttyUSB0",
		usb + "/1-2:1.0/ttyUSB0/driver":                  "-> drivers/ch341-uart",
		usb + "/1-2:1.0/bInterfaceNumber":                "00",
		usb + "/idVendor":                                "1A86",
		usb + "/idProduct":                               "7523",
		usb + "/serial":                                  "A1B2",
		"drivers/ch341-uart":                             "",
		"class/ttyXRUSB1/device":                         "-> devices/pci0/usb1/1-3/1-3:1.2",
		"devices/pci0/usb1/1-3/1-3:1.2/bInterfaceNumber": "02",
		"devices/pci0/usb1/1-3/idVendor":                 "04e2",
		"devices/pci0/usb1/1-3/idProduct":                "1410",
		"dev/serial/by-id/usb-1a86-if00-port0":           "-> dev/ttyUSB0",
		"dev/ttyUSB0":                                    "node",
	})
	got, err := list(filepath.Join(root, "class"), filepath.Join(root, "dev"))
	if err != nil {
		t.Fatal(err)
	}
	dev := func(name string) string { return filepath.Join(root, "dev", name) }
	want := []Info{
		{Path: dev("ttyS0"), Driver: "serial"},
		{Path: dev("ttyUSB0"), Stable: dev("serial/by-id/usb-1a86-if00-port0"), Driver: "ch341-uart", VID: "1a86", PID: "7523", Serial: "A1B2", Interface: "00"},
		{Path: dev("ttyXRUSB1"), VID: "04e2", PID: "1410", Interface: "02"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("list:\n %+v\nwant\n %+v", got, want)
	}
}

// TestPortsThatShareAName: two adapters without serial numbers have one link by
// id, so each is offered by its socket; one with a number keeps its own.
func TestPortsThatShareAName(t *testing.T) {
	files := map[string]string{"drivers/ch341-uart": "",
		"dev/serial/by-id/usb-1a86_USB_Serial-if00-port0":       "-> dev/ttyUSB1",
		"dev/serial/by-id/usb-1a86_USB_Serial_A9-if00-port0":    "-> dev/ttyUSB2",
		"dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0": "-> dev/ttyUSB0",
		"dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0": "-> dev/ttyUSB1",
		"dev/serial/by-path/pci-0000:00:14.0-usb-0:3:1.0-port0": "-> dev/ttyUSB2",
	}
	for i, number := range []string{"", "", "A9"} {
		usb := fmt.Sprintf("devices/usb1/1-%d", i+1)
		node := fmt.Sprintf("ttyUSB%d", i)
		files["class/"+node+"/device"] = "-> " + usb + "/if0/" + node
		files[usb+"/if0/"+node+"/driver"] = "-> drivers/ch341-uart"
		files[usb+"/if0/bInterfaceNumber"], files[usb+"/idVendor"], files[usb+"/idProduct"] = "00", "1a86", "7523"
		if number != "" {
			files[usb+"/serial"] = number
		}
		files["dev/"+node] = "node"
	}
	root := tree(t, files)
	got, err := list(filepath.Join(root, "class"), filepath.Join(root, "dev"))
	if err != nil || len(got) != 3 {
		t.Fatalf("list = %+v, %v, want three ports", got, err)
	}
	for i, want := range []struct {
		stable string
		shared bool
	}{{"by-path/pci-0000:00:14.0-usb-0:1:1.0-port0", true}, {"by-path/pci-0000:00:14.0-usb-0:2:1.0-port0", true}, {"by-id/usb-1a86_USB_Serial_A9-if00-port0", false}} {
		if p := got[i]; p.Stable != filepath.Join(root, "dev/serial", want.stable) || p.Shared != want.shared {
			t.Errorf("%s: stable %q, shared %v, want %q, %v", p.Path, p.Stable, p.Shared, want.stable, want.shared)
		}
	}
}

// TestPorts runs on whatever this machine has.
func TestPorts(t *testing.T) {
	if _, err := Ports(); err != nil {
		t.Error(err)
	}
	if got, err := list(filepath.Join(t.TempDir(), "none"), "/dev"); len(got) != 0 || err != nil {
		t.Errorf("a kernel without ttys: %v, %v", got, err)
	}
}
