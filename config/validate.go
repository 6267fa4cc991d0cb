package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"idtap/internal/loopback"
)

var (
	name      = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	division  = regexp.MustCompile(`^[1-9][0-9]{5}$`)
	unit      = regexp.MustCompile(`^([0-9A-Z]{9}|[0-9]{12})$`)
	hukou     = regexp.MustCompile(`^[1-9][0-9]{1,5}$`)
	apiPrefix = regexp.MustCompile(`^[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+)*$`)
	stream    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	groupName = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
)

// validate reports whatever is wrong, each problem at its line.
func (c *Config) validate(d *decoder, s Source) {
	at := func(key, format string, args ...any) {
		o := d.origin(key)
		d.problems = append(d.problems, Problem{File: o.File, Line: o.Line, Key: key, Text: say(format, args...)})
	}
	require := func(ok bool, key, format string, args ...any) {
		if !ok {
			at(key, format, args...)
		}
	}
	enums(reflect.ValueOf(*c), "", at)

	require(name.MatchString(c.Desk.ID), "desk.id", "want_name", c.Desk.ID)
	if c.Desk.Division == "" {
		c.Warnings = append(c.Warnings, say("division_not_set"))
	} else {
		require(division.MatchString(c.Desk.Division), "desk.division", "want_division", c.Desk.Division)
	}
	require(c.Desk.Unit == "" || unit.MatchString(c.Desk.Unit), "desk.unit", "want_unit", c.Desk.Unit)
	if _, err := time.LoadLocation(c.Desk.Timezone); err != nil || c.Desk.Timezone == "" {
		at("desk.timezone", "no_time_zone", c.Desk.Timezone)
	}
	c.validateReaders(at)
	require(c.Policy.Poll >= Duration(20*time.Millisecond) && c.Policy.Poll <= Duration(5*time.Second), "policy.poll", "want_poll")
	require(c.Policy.RepeatWindow <= c.Outbox.Retain, "policy.repeat_window", "longer_than_retain")
	for i, g := range c.Policy.Groups {
		key := fmt.Sprintf("policy.groups[%d]", i)
		require(groupName.MatchString(g.Name), key+".name", "want_group_name", g.Name)
		require(g.MinAge == nil || g.MaxAge == nil || *g.MinAge <= *g.MaxAge, key, "ages_reversed")
	}
	c.validateNATS(at)
	switch {
	case c.Outbox.Dir == "":
		at("outbox.dir", "no_state_dir")
	case !isAbs(c.Outbox.Dir, s.GOOS):
		at("outbox.dir", "relative_path", c.Outbox.Dir)
	}
	require(c.Outbox.MaxBytes >= 1<<20, "outbox.max_bytes", "want_1mib")
	require(c.Outbox.Retain >= Duration(time.Hour), "outbox.retain", "want_1h")
	require(c.Outbox.KeepCounts >= c.Outbox.Retain, "outbox.keep_counts", "shorter_than_retain")
	c.validatePage(at)
	require(c.Log.MaxSize >= 1<<20, "log.max_size", "want_1mib")
	require(c.Log.Keep >= 0 && c.Log.Keep <= 1000, "log.keep", "want_0_to_1000")
}

func (c *Config) validateReaders(at func(string, string, ...any)) {
	seen, ports := map[string]bool{}, map[string]string{}
	for i, r := range c.Readers {
		key := fmt.Sprintf("readers[%d]", i)
		switch {
		case !name.MatchString(r.Name):
			at(key+".name", "want_name", r.Name)
		case seen[r.Name]:
			at(key+".name", "name_taken", r.Name)
		}
		seen[r.Name] = true
		r.validateDriver(key, at)
		if port := r.portKey(); port != "" {
			if other, taken := ports[port]; taken {
				at(key+".port", "port_taken", r.Port, other)
			}
			ports[port] = r.Name
		}
		if b, err := hex.DecodeString(strings.ReplaceAll(r.APDUHeader, " ", "")); err != nil || len(b) != 0 && len(b) != 4 {
			at(key+".apdu_header", "want_four_bytes", r.APDUHeader)
		}
		if r.MaxRFBytes > 0 && r.MaxRFBytes < 24 {
			at(key+".max_rf_bytes", "want_24_to_255")
		}
	}
}

// elsewhere reports whether an address is not on this machine.
func elsewhere(urls string) bool {
	for text := range strings.SplitSeq(urls, ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err == nil && u.Hostname() != "" && !loopback.Is(u.Hostname()) {
			return true
		}
	}
	return false
}

func (c *Config) validateNATS(at func(string, string, ...any)) {
	if c.NATS.URL != "" {
		for _, u := range strings.Split(c.NATS.URL, ",") {
			p, err := url.Parse(strings.TrimSpace(u))
			switch {
			case err != nil || p.Host == "" || p.Scheme != "nats" && p.Scheme != "tls":
				at("nats.url", "want_nats_url")
			case p.User != nil:
				at("nats.url", "url_credentials")
			}
		}
	}
	if !stream.MatchString(c.NATS.Stream) {
		at("nats.stream", "want_stream_name", c.NATS.Stream)
	}
	if p := c.NATS.APIPrefix; p != "" && !apiPrefix.MatchString(p) {
		at("nats.api_prefix", "want_subject", p)
	}
	if !slices.Contains([]int{1, 3, 5}, c.NATS.Replicas) {
		at("nats.replicas", "want_1_3_5")
	}
	if (c.NATS.TLS.Cert == "") != (c.NATS.TLS.Key == "") {
		at("nats.tls", "cert_and_key")
	}
	if c.NATS.User != "" && c.NATS.PasswordFile == "" {
		at("nats.user", "needs_password_file")
	}
	if l := c.NATS.Embedded.Listen; l != "" {
		if _, _, err := net.SplitHostPort(l); err != nil {
			at("nats.embedded.listen", "want_bus_address", l)
		}
	}
	if len(c.NATS.EncryptTo) > 0 && !slices.ContainsFunc(c.NATS.EncryptTo, func(r Recipient) bool { return r.Hukou == "" }) {
		c.Warnings = append(c.Warnings, say("keys_all_limited"))
	}
	if len(c.NATS.EncryptTo) == 0 && elsewhere(c.NATS.URL) {
		if c.NATS.Strict {
			c.Warnings = append(c.Warnings, say("unsealed_strict"))
		} else {
			c.Warnings = append(c.Warnings, say("unsealed"))
		}
	}
	for i, r := range c.NATS.EncryptTo {
		key := fmt.Sprintf("nats.encrypt_to[%d]", i)
		if r.Key == "" {
			at(key+".key", "missing")
		}
		if r.Hukou != "" && !hukou.MatchString(r.Hukou) {
			at(key+".hukou", "want_division_prefix", r.Hukou)
		}
	}
}

func (c *Config) validatePage(at func(string, string, ...any)) {
	p := c.DeskPage
	if (p.TLS.Cert == "") != (p.TLS.Key == "") {
		at("desk_page.tls", "cert_and_key")
	}
	if p.Listen != "" {
		host, _, err := net.SplitHostPort(p.Listen)
		switch {
		case err != nil:
			at("desk_page.listen", "want_page_address", p.Listen)
		case !loopback.Is(host) && (p.TLS.Cert == "" || p.TokenFile == ""):
			at("desk_page.listen", "beyond_loopback", p.Listen)
		}
	}
	for i, o := range p.Origins {
		if !isOrigin(o) {
			at(fmt.Sprintf("desk_page.origins[%d]", i), "want_origin", o)
		}
	}
	v := c.VendorPorts
	for key, address := range map[string]string{"cvr": v.CVR, "xzx": v.XZX, "routon": v.Routon} {
		if host, _, err := net.SplitHostPort(address); address != "" && (err != nil || net.ParseIP(host) == nil || !loopback.Is(host)) {
			at("vendor_ports."+key, "want_loopback", address)
		}
	}
	for i, o := range v.Origins {
		if !isOrigin(o) {
			at(fmt.Sprintf("vendor_ports.origins[%d]", i), "want_origin", o)
		}
	}
	if v.On() && len(v.Origins) == 0 {
		at("vendor_ports.origins", "want_origins")
	}
}

// isOrigin reports whether a text is a web origin: scheme and host, nothing more.
func isOrigin(o string) bool {
	u, err := url.Parse(o)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.Scheme+"://"+u.Host == o

}

var windowsRoot = regexp.MustCompile(`^([A-Za-z]:[\\/]|\\\\)`)

// isAbs is filepath.IsAbs for the system that the configuration is for.
func isAbs(path, goos string) bool {
	if goos == "windows" {
		return windowsRoot.MatchString(path)
	}
	return strings.HasPrefix(path, "/")
}

// choices lists what a field with an enum tag may be, nil for one without. The
// tag "drivers" stands for the drivers' names.
func choices(f reflect.StructField) []string {
	switch tag := f.Tag.Get("enum"); tag {
	case "":
		return nil
	case "drivers":
		return driverNames()
	default:
		return strings.Split(tag, ",")
	}
}

// enums checks every field with an enum tag.
func enums(v reflect.Value, prefix string, at func(string, string, ...any)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		k := key(f)
		if k == "-" {
			continue
		}
		path := join(prefix, k)
		switch f.Type.Kind() {
		case reflect.Struct:
			enums(v.Field(i), path, at)
		case reflect.Slice:
			for j := range v.Field(i).Len() {
				if e := v.Field(i).Index(j); e.Kind() == reflect.Struct {
					enums(e, fmt.Sprintf("%s[%d]", path, j), at)
				}
			}
		case reflect.String:
			allowed, value := choices(f), v.Field(i).String()
			if allowed != nil && value != "" && !slices.Contains(allowed, value) {
				at(path, "want_one_of", value, strings.Join(slices.DeleteFunc(allowed, func(s string) bool { return s == "" }), ", "))
			}
		}
	}
}
