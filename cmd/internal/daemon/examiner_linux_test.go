package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestExaminerUSBReaderHeld: a vendor's service that has opened the device itself.
func TestExaminerUSBReaderHeld(t *testing.T) {
	g := fakeDesk(t, "")
	device := filepath.Join(g.sys, "bus", "usb", "devices", "2-3")
	for attribute, value := range map[string]string{"idVendor": "0400", "idProduct": "c35a", "busnum": "2", "devnum": "7", "2-3:1.0/bInterfaceClass": "0b"} {
		writeFile(t, filepath.Join(device, attribute), value+"\n")
	}
	node := filepath.Join(g.dev, "bus", "usb", "002", "007")
	writeFile(t, node, "")
	f, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "120") // has the file from now on
	other.ExtraFiles = []*os.File{f}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	fault{"usb_held", "technician", "sleep (pid "}.check(t, g.Report(t.Context(), false))
}
