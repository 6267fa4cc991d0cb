package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	name      = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	division  = regexp.MustCompile(`^[1-9][0-9]{5}$`)
	unit      = regexp.MustCompile(`^([0-9A-Z]{9}|[0-9]{12})$`)
	hukou     = regexp.MustCompile(`^[1-9][0-9]{1,5}$`)
	stream    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	groupName = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
)

// validate reports whatever is wrong, each problem at its line.
func (c *Config) validate(d *decoder) {
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

	require(name.MatchString(c.Desk.ID), "desk.id", "%q: want 1 to 40 of a-z, 0-9 and -", c.Desk.ID)
	if c.Desk.Division == "" {
		c.Warnings = append(c.Warnings, say("desk.division is not set: subjects carry _ and relations are unknown; set the county's six digits"))
	} else {
		require(division.MatchString(c.Desk.Division), "desk.division", "%q: want the six digits of a county-level division, in quotes", c.Desk.Division)
	}
	require(c.Desk.Unit == "" || unit.MatchString(c.Desk.Unit), "desk.unit", "%q: want 9 or 12 digits", c.Desk.Unit)
	if _, err := time.LoadLocation(c.Desk.Timezone); err != nil || c.Desk.Timezone == "" {
		at("desk.timezone", "%q is no time zone; Asia/Shanghai is the usual one", c.Desk.Timezone)
	}
	c.validateReaders(at)
	require(c.Policy.Poll >= Duration(20*time.Millisecond) && c.Policy.Poll <= Duration(5*time.Second), "policy.poll", "want 20ms to 5s")
	require(c.Policy.RepeatWindow <= c.Outbox.Retain, "policy.repeat_window", "is longer than outbox.retain, which is how long it can be remembered")
	for i, g := range c.Policy.Groups {
		key := fmt.Sprintf("policy.groups[%d]", i)
		require(groupName.MatchString(g.Name), key+".name", "%q: want 1 to 40 of a-z, 0-9 and _", g.Name)
		require(g.MinAge == nil || g.MaxAge == nil || *g.MinAge <= *g.MaxAge, key, "min_age is above max_age")
	}
	c.validateNATS(at)
	switch {
	case c.Outbox.Dir == "":
		at("outbox.dir", "is missing, and neither XDG_STATE_HOME, HOME nor LOCALAPPDATA is set: write it, e.g. /var/lib/idtap")
	case !filepath.IsAbs(c.Outbox.Dir):
		at("outbox.dir", "%q is relative to wherever a command is started: write the whole path", c.Outbox.Dir)
	}
	require(c.Outbox.MaxBytes >= 1<<20, "outbox.max_bytes", "want at least 1MiB")
	require(c.Outbox.Retain >= Duration(time.Hour), "outbox.retain", "want at least 1h")
	require(c.Outbox.KeepCounts >= c.Outbox.Retain, "outbox.keep_counts", "is shorter than outbox.retain")
	c.validatePage(at)
	require(c.Log.MaxSize >= 1<<20, "log.max_size", "want at least 1MiB")
	require(c.Log.Keep >= 0 && c.Log.Keep <= 1000, "log.keep", "want 0 to 1000")
}

func (c *Config) validateReaders(at func(string, string, ...any)) {
	seen := map[string]bool{}
	for i, r := range c.Readers {
		key := fmt.Sprintf("readers[%d]", i)
		switch {
		case !name.MatchString(r.Name):
			at(key+".name", "%q: want 1 to 40 of a-z, 0-9 and -", r.Name)
		case seen[r.Name]:
			at(key+".name", "%q is taken by an earlier reader", r.Name)
		}
		seen[r.Name] = true
		r.validateDriver(key, at)
		if b, err := hex.DecodeString(strings.ReplaceAll(r.APDUHeader, " ", "")); err != nil || len(b) != 0 && len(b) != 4 {
			at(key+".apdu_header", "%q: want four bytes in hex", r.APDUHeader)
		}
		if r.MaxRFBytes > 0 && r.MaxRFBytes < 24 {
			at(key+".max_rf_bytes", "want 24 to 255")
		}
	}
}

func (c *Config) validateNATS(at func(string, string, ...any)) {
	if c.NATS.URL != "" {
		for _, u := range strings.Split(c.NATS.URL, ",") {
			p, err := url.Parse(strings.TrimSpace(u))
			switch {
			case err != nil || p.Host == "" || p.Scheme != "nats" && p.Scheme != "tls":
				at("nats.url", "want nats://host:port or tls://host:port, comma-separated")
			case p.User != nil:
				at("nats.url", "holds credentials; use creds, nkey or user with password_file")
			}
		}
	}
	if !stream.MatchString(c.NATS.Stream) {
		at("nats.stream", "%q: want 1 to 64 letters, digits, _ and -", c.NATS.Stream)
	}
	if !slices.Contains([]int{1, 3, 5}, c.NATS.Replicas) {
		at("nats.replicas", "want 1, 3 or 5")
	}
	if (c.NATS.TLS.Cert == "") != (c.NATS.TLS.Key == "") {
		at("nats.tls", "cert and key go together")
	}
	if c.NATS.User != "" && c.NATS.PasswordFile == "" {
		at("nats.user", "needs password_file")
	}
	if l := c.NATS.Embedded.Listen; l != "" {
		if _, _, err := net.SplitHostPort(l); err != nil {
			at("nats.embedded.listen", "%q: want host:port, e.g. 127.0.0.1:4222", l)
		}
	}
	if len(c.NATS.EncryptTo) > 0 && !slices.ContainsFunc(c.NATS.EncryptTo, func(r Recipient) bool { return r.Hukou == "" }) {
		c.Warnings = append(c.Warnings, say("every key of nats.encrypt_to is limited by hukou: an event that none covers is set aside and never sent; add a key without hukou"))
	}
	for i, r := range c.NATS.EncryptTo {
		key := fmt.Sprintf("nats.encrypt_to[%d]", i)
		if r.Key == "" {
			at(key+".key", "is missing")
		}
		if r.Hukou != "" && !hukou.MatchString(r.Hukou) {
			at(key+".hukou", "%q: want 2 to 6 digits of a division", r.Hukou)
		}
	}
}

func (c *Config) validatePage(at func(string, string, ...any)) {
	p := c.DeskPage
	if (p.TLS.Cert == "") != (p.TLS.Key == "") {
		at("desk_page.tls", "cert and key go together")
	}
	if p.Listen != "" {
		host, _, err := net.SplitHostPort(p.Listen)
		switch {
		case err != nil:
			at("desk_page.listen", "%q: want host:port, e.g. 127.0.0.1:7643", p.Listen)
		case !loopback(host) && (p.TLS.Cert == "" || p.TokenFile == ""):
			at("desk_page.listen", "%q is beyond loopback: set desk_page.tls and desk_page.token_file, or listen on 127.0.0.1", p.Listen)
		}
	}
	for i, o := range p.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" {
			at(fmt.Sprintf("desk_page.origins[%d]", i), "%q: want an origin such as https://desk.example.cn", o)
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
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
				at(path, "%q: want %s", value, strings.Join(slices.DeleteFunc(allowed, func(s string) bool { return s == "" }), ", "))
			}
		}
	}
}
