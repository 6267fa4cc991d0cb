package config

import (
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// portForm says what a driver takes as the port of a reader.
type portForm int

const (
	pathPort     portForm = iota // a device file, or a name of the system such as COM3
	patternPort                  // a name in which * and ? stand for others
	hostPort                     // host:port
	optionalPort                 // some text, or none
	usbPort                      // auto, a USB id, one with a port path or a serial number; or none
)

// usbID is what a USB reader's port may be, beside auto.
var usbID = regexp.MustCompile(`^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(@[A-Za-z0-9][A-Za-z0-9.&_-]*|#.+)?$`)

// drivers are the names that a reader's driver may have, in the order in which
// people read them. Which of them a build has is known to cmd alone.
var drivers = []struct {
	name string
	port portForm
}{
	{"serial", pathPort},
	{"tcp", hostPort},
	{"pcsc", patternPort},
	{"usb", usbPort},
	{"mock", optionalPort},
}

// driverNames lists the names.
func driverNames() []string {
	names := make([]string, len(drivers))
	for i, d := range drivers {
		names[i] = d.name
	}
	return names
}

// validateDriver reports what a reader's driver and the keys that depend on it
// lack.
func (r Reader) validateDriver(entry string, at func(string, string, ...any)) {
	names := driverNames()
	if r.Driver == "" {
		last := len(names) - 1
		at(entry+".driver", "driver_missing", strings.Join(names[:last], ", "), names[last])
	}
	form := pathPort
	for _, d := range drivers {
		if d.name == r.Driver {
			form = d.port
		}
	}
	if r.Port == "" {
		if form != optionalPort && form != usbPort {
			at(entry+".port", "missing")
		}
	} else if form == usbPort && r.Port != "auto" && !usbID.MatchString(r.Port) {
		at(entry+".port", "want_usb_port", r.Port)
	} else if _, port, err := net.SplitHostPort(r.Port); form == hostPort && (err != nil || port == "") {
		at(entry+".port", "want_address", r.Port)
	}
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if only := f.Tag.Get("driver"); only != "" && only != r.Driver && !v.Field(i).IsZero() {
			at(entry+"."+key(f), "for_driver_only", only)
		}
	}
}

// portKey returns what two readers must not have in common: the port by whatever
// name, with everything that has several spellings in one; "" where the port may
// serve several readers, as a pattern does.
func (r Reader) portKey() string {
	for _, d := range drivers {
		if d.name != r.Driver || r.Port == "" {
			continue
		}
		switch d.port {
		case pathPort:
			if real, err := filepath.EvalSymlinks(r.Port); err == nil {
				return real
			}
			if com := strings.ToUpper(strings.TrimPrefix(r.Port, `\\.\`)); windowsPort.MatchString(com) {
				return com
			}
			return filepath.Clean(r.Port)
		case patternPort:
			if !strings.ContainsAny(r.Port, "*?") {
				return r.Driver + " " + r.Port
			}
		case hostPort:
			host, port, _ := net.SplitHostPort(r.Port)
			if host = strings.ToLower(host); host == "localhost" || host == "::1" {
				host = "127.0.0.1"
			}
			return net.JoinHostPort(host, port)
		case usbPort:
			if strings.ContainsAny(r.Port, "@#") {
				id, place, _ := strings.Cut(r.Port, "@")
				return r.Driver + " " + strings.ToLower(id) + "@" + place
			}
		}
	}
	return ""
}

// windowsPort is a port's name on Windows.
var windowsPort = regexp.MustCompile(`^COM[0-9]+$`)
