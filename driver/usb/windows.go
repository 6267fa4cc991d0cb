//go:build windows

package usb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"idtap/driver"
	"idtap/driver/stream"
)

// Built, never run on a machine with a reader.
//
// HID collections are opened by way of hid.dll, which needs no driver and no
// administrator. Bulk readers are recognised and explained: they belong to a
// vendor's driver, of which no recording exists.

var (
	hidDLL             = windows.NewLazySystemDLL("hid.dll")
	setNumInputBuffers = hidDLL.NewProc("HidD_SetNumInputBuffers")
	getPreparsedData   = hidDLL.NewProc("HidD_GetPreparsedData")
	freePreparsedData  = hidDLL.NewProc("HidD_FreePreparsedData")
	getCaps            = hidDLL.NewProc("HidP_GetCaps")

	hidInterface = windows.GUID{Data1: 0x4D1E55B2, Data2: 0xF16F, Data3: 0x11CF, Data4: [8]byte{0x88, 0xCB, 0x00, 0x11, 0x11, 0x00, 0x00, 0x30}}
)

// ring is how many reports the system keeps: 32 are too few for the longest
// answer, which takes 37.
const ring = 128

type win struct{}

var system host = win{}

func (win) name() string { return "hid.dll" }

// watch tells nothing: readers are looked for again and again anyway.
func (win) watch(context.Context, func()) {}

var instanceText = regexp.MustCompile(`(?i)[\\#]vid_([0-9a-f]{4})&pid_([0-9a-f]{4})[^\\#]*[\\#]([^\\#]+)`)

// instanceOf reads id and instance from a device or interface name.
func instanceOf(name string) (ID, string, bool) {
	m := instanceText.FindStringSubmatch(name)
	if m == nil {
		return ID{}, "", false
	}
	vendor, _ := strconv.ParseUint(m[1], 16, 16)
	product, _ := strconv.ParseUint(m[2], 16, 16)
	return ID{uint16(vendor), uint16(product)}, strings.ToLower(m[3]), true
}

// devices lists HID collections and bulk readers whose ids are in the table.
func (win) devices() ([]Device, error) {
	names, err := windows.CM_Get_Device_Interface_List("", &hidInterface, windows.CM_GET_DEVICE_INTERFACE_LIST_PRESENT)
	if err != nil {
		return nil, err
	}
	list := bulkReaders()
	for _, name := range names {
		id, instance, ok := instanceOf(name)
		m, known := modelOf(id)
		if !ok || !known || m.Form == formBulk {
			continue
		}
		d := Device{ID: id, Path: instance, Node: name, Interfaces: []Interface{{Class: "03/00/00"}}, HIDs: []HID{{Node: name}}}
		if m.Driven() {
			if sizes, err := collection(name); err == nil {
				d.HIDs[0].sizes = &sizes
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// bulkReaders lists what is on USB and of a bulk form, with the driver that it has.
func bulkReaders() []Device {
	set, err := windows.SetupDiGetClassDevsEx(nil, "USB", 0, windows.DIGCF_ALLCLASSES|windows.DIGCF_PRESENT, 0, "")
	if err != nil {
		return nil
	}
	defer set.Close()
	var list []Device
	for i := 0; ; i++ {
		data, err := set.EnumDeviceInfo(i)
		if err != nil {
			return list
		}
		name, err := set.DeviceInstanceID(data)
		if err != nil {
			continue
		}
		id, instance, ok := instanceOf(`\` + name)
		if m, known := modelOf(id); !ok || !known || m.Form != formBulk {
			continue
		}
		d := Device{ID: id, Path: instance, Node: name, Malformed: errors.New("not driven on Windows")}
		var status, problem uint32
		windows.CM_Get_DevNode_Status(&status, &problem, data.DevInst, 0)
		service, _ := set.DeviceRegistryProperty(data, windows.SPDRP_SERVICE)
		d.Problem = fmt.Sprintf("problem code %d", problem)
		if s, ok := service.(string); ok && s != "" {
			d.Problem += ", service " + s
			d.Drivers = map[int]string{0: s}
		}
		list = append(list, d)
	}
}

func openCollection(name string, access, share uint32) (windows.Handle, error) {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return windows.InvalidHandle, err
	}
	return windows.CreateFile(path, access, share, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OVERLAPPED, 0)
}

// collection asks for the sizes of a collection's reports, which needs no right to
// read or write.
func collection(name string) (reportSizes, error) {
	h, err := openCollection(name, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
	if err != nil {
		return reportSizes{}, err
	}
	defer windows.CloseHandle(h)
	var parsed uintptr
	if ok, _, err := getPreparsedData.Call(uintptr(h), uintptr(unsafe.Pointer(&parsed))); ok == 0 {
		return reportSizes{}, err
	}
	defer freePreparsedData.Call(parsed)
	var caps [64]byte // HIDP_CAPS: usage, page, bytes in, bytes out, ... as 16-bit numbers
	const success = 0x00110000
	if status, _, _ := getCaps.Call(parsed, uintptr(unsafe.Pointer(&caps))); status != success {
		return reportSizes{}, fmt.Errorf("HidP_GetCaps: status %08x", status)
	}
	field := func(n int) int { return int(binary.LittleEndian.Uint16(caps[2*n:])) }
	return reportSizes{in: field(2) - 1, out: field(3) - 1, vendor: field(1) >= 0xff00}, nil // less the id
}

// connect opens a collection; nobody else may have it open meanwhile.
func (win) connect(_ Device, w wire, _ bool) (stream.Conn, error) {
	if w.framing == nil {
		return nil, driver.ErrNotBuilt
	}
	h, err := openCollection(w.node, windows.GENERIC_READ|windows.GENERIC_WRITE, 0)
	if err != nil {
		return nil, err
	}
	setNumInputBuffers.Call(uintptr(h), ring)
	return newHID(&winReports{File: os.NewFile(uintptr(h), w.node)}, w.framing), nil
}

// winReports is an open collection. Reports have their id, 0, before them.
type winReports struct {
	*os.File
	buf [1 + reportSize]byte
}

var _ reports = (*winReports)(nil)

func (r *winReports) read(p []byte) (int, error) {
	n, err := r.File.Read(r.buf[:])
	if err != nil || n == 0 {
		return 0, err
	}
	return copy(p, r.buf[1:n]), nil
}

func (r *winReports) write(p []byte) error {
	_, err := r.File.Write(append(make([]byte, 1, 1+len(p)), p...))
	return err
}

// kindOf sorts what opening a device can fail with.
func kindOf(err error) error {
	switch {
	case errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return driver.ErrBusy
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return driver.ErrDenied
	case errors.Is(err, errForm), errors.Is(err, errUnsupported):
		return driver.ErrProtocol
	}
	return driver.ErrGone
}
