package config

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// machine is a Source with the given environment and files.
func machine(env map[string]string, files map[string]string) Source {
	return Source{
		Getenv: func(k string) string { return env[k] },
		Environ: func() []string {
			var list []string
			for k, v := range env {
				list = append(list, k+"="+v)
			}
			return list
		},
		Hostname: func() (string, error) { return "Front.Desk_07", nil },
		ReadFile: func(name string) ([]byte, error) {
			b, ok := files[name]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(b), nil
		},
		ReadDir: func(dir string) ([]string, error) {
			var list []string
			for name := range files {
				if filepath.Dir(name) == dir {
					list = append(list, filepath.Base(name))
				}
			}
			return list, nil
		},
		GOOS: "linux",
	}
}

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	return Load("desk.yaml", machine(map[string]string{"HOME": "/home/desk"}, map[string]string{"desk.yaml": text}))
}

func TestDefaults(t *testing.T) {
	c, err := Load("", machine(map[string]string{"HOME": "/home/desk"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.Desk.ID != "front-desk-07" || c.Outbox.Dir != "/home/desk/.local/state/idtap" {
		t.Errorf("id %q, dir %q", c.Desk.ID, c.Outbox.Dir)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].En, "desk.division") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestExampleIsTheDefaultAndNamesEveryKey(t *testing.T) {
	c, err := load(t, string(Example))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.fill(machine(map[string]string{"HOME": "/home/desk"}, nil))
	c.File, c.Warnings, c.Origins = "", nil, nil
	// Lists given as [] are empty, not absent.
	c.Readers, c.NATS.EncryptTo, c.Photo.Decoder, c.DeskPage.Origins, c.VendorPorts.Origins = nil, nil, nil, nil, nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("example gives\n%+v\nwant the defaults\n%+v", c, want)
	}
	eachKey(reflect.ValueOf(&want).Elem(), "", func(key string, _ reflect.Value) {
		last := key[strings.LastIndex(key, ".")+1:]
		if !strings.Contains(string(Example), last+":") {
			t.Errorf("example does not show %s", key)
		}
	})
	for _, k := range keys(reflect.TypeFor[Reader]()) {
		if !strings.Contains(string(Example), k+":") {
			t.Errorf("example does not show readers[].%s", k)
		}
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c, err := load(t, `
desk: {id: jinshui-wenhualu-03, name: 文化路街道便民服务中心, division: 410105, role: inflow}
readers:
  - {name: front, driver: serial, port: /dev/ttyUSB0, baud: auto}
  - {name: side, driver: pcsc, port: "ACS ACR1281*", profile: apdu, apdu_header: "FF 00 00 00"}
  - {name: tcp, driver: tcp, port: "10.0.0.8:4001", baud: 9600}
policy: {repeat_window: 0s, verify_reads: always, groups: [{name: all, max_age: 120}]}
nats:
  url: tls://bus.example.cn:4222
  encrypt_to: [{key: gansu.pub, hukou: "62"}]
outbox: {max_bytes: 1GiB, retain: 7d}
desk_page: {mask: false}
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Desk.Division != "410105" || c.Readers[2].Baud != 9600 || c.Readers[1].APDUHeader != "FF 00 00 00" ||
		c.Policy.RepeatWindow != 0 || len(c.Policy.Groups) != 1 || *c.Policy.Groups[0].MaxAge != 120 ||
		c.NATS.EncryptTo[0].Hukou != "62" || c.Outbox.MaxBytes != 1<<30 ||
		c.Outbox.Retain != Duration(7*24*time.Hour) || c.DeskPage.Mask {
		t.Errorf("%+v", c)
	}
}

func TestProblemsNameLineKeyAndRemedy(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
		key, says  string
	}{
		{"unknown key", "desk:\n  idd: x\n", 2, "desk.idd", "nearest is desk.id"},
		{"unknown top key", "log: {level: info}\nnat: {}\n", 2, "nat", "nearest is nats"},
		{"unknown reader key", "readers:\n  - {name: a, driver: serial, port: /dev/x, bauds: 9600}\n", 2, "readers[0].bauds", "nearest is readers[0].baud"},
		{"enum", "policy:\n  expired: reject\n", 2, "policy.expired", "flag, refuse"},
		{"duration", "policy:\n  repeat_window: 5 minutes\n", 2, "policy.repeat_window", "5m"},
		{"size", "outbox: {max_bytes: many}\n", 1, "outbox.max_bytes", "20MiB"},
		{"baud", "readers: [{name: a, driver: serial, port: /dev/x, baud: 12345}]\n", 1, "readers[0].baud", "115200"},
		{"boolean", "desk_page:\n  mask: maybe\n", 2, "desk_page.mask", "true nor false"},
		{"list wanted", "readers: front\n", 1, "readers", "list"},
		{"value wanted", "desk:\n  id: [a]\n", 2, "desk.id", "one value"},
		{"keys wanted", "desk: front\n", 1, "desk", "keys below it"},
		{"desk id", "desk: {id: Front Desk}\n", 1, "desk.id", "a-z"},
		{"division", "desk: {division: \"4101\"}\n", 1, "desk.division", "six digits"},
		{"two readers one name", "readers:\n  - {name: a, driver: serial, port: x}\n  - {name: a, driver: serial, port: y}\n", 3, "readers[1].name", "taken"},
		{"one port twice", "readers:\n  - {name: a, driver: serial, port: /dev/x}\n  - {name: b, driver: serial, port: /dev/x}\n", 3, "readers[1].port", "reader a"},
		{"one port by two spellings", "readers:\n  - {name: a, driver: serial, port: /dev/x}\n  - {name: b, driver: serial, port: /dev//./x}\n", 3, "readers[1].port", "reader a"},
		{"one Windows port twice", "readers:\n  - {name: a, driver: serial, port: COM7}\n  - {name: b, driver: serial, port: '\\\\.\\com7'}\n", 3, "readers[1].port", "reader a"},
		{"one server twice", "readers:\n  - {name: a, driver: tcp, port: 'Localhost:4001'}\n  - {name: b, driver: tcp, port: '127.0.0.1:4001'}\n", 3, "readers[1].port", "reader a"},
		{"one PC/SC reader twice", "readers:\n  - {name: a, driver: pcsc, port: R 00}\n  - {name: b, driver: pcsc, port: R 00}\n", 3, "readers[1].port", "reader a"},
		{"one USB reader twice", "readers:\n  - {name: a, driver: usb, port: '0400:C35A@1-2'}\n  - {name: b, driver: usb, port: '0400:c35a@1-2'}\n", 3, "readers[1].port", "reader a"},
		{"no driver", "readers: [{name: a, port: x}]\n", 1, "readers[0].driver", "missing"},
		{"profile without pcsc", "readers: [{name: a, driver: serial, port: x, profile: uid}]\n", 1, "readers[0].profile", "pcsc only"},
		{"url", "nats: {url: http://x}\n", 1, "nats.url", "nats://"},
		{"credentials in the url", "nats: {url: \"nats://a:b@x:4222\"}\n", 1, "nats.url", "password_file"},
		{"page beyond loopback", "desk_page:\n  listen: 0.0.0.0:7643\n", 2, "desk_page.listen", "tls"},
		{"origin", "desk_page: {origins: [example.cn]}\n", 1, "desk_page.origins[0]", "origin"},
		{"vendor port that nobody may ask", "vendor_ports: {cvr: \"127.0.0.1:19196\"}\n", 1, "vendor_ports.origins", "list its origin"},
		{"vendor port beyond this machine", "vendor_ports: {xzx: \"0.0.0.0:8989\", origins: [\"http://his.example.cn\"]}\n", 1, "vendor_ports.xzx", "loopback"},
		{"vendor port by name", "vendor_ports: {routon: \"localhost:18889\", origins: [\"http://his.example.cn\"]}\n", 1, "vendor_ports.routon", "loopback"},
		{"vendor port with a wildcard", "vendor_ports: {cvr: \"127.0.0.1:19196\", origins: [\"*\"]}\n", 1, "vendor_ports.origins[0]", "origin"},
		{"vendor port with a path", "vendor_ports: {cvr: \"127.0.0.1:19196\", origins: [\"http://his.example.cn/\"]}\n", 1, "vendor_ports.origins[0]", "origin"},
		{"time zone", "desk: {timezone: Mars/Base}\n", 1, "desk.timezone", "Asia/Shanghai"},
		{"anchor", "desk: {id: &a x}\n", 1, "desk.id", "anchors"},
		{"duplicate key", "desk: {}\ndesk: {}\n", 2, "", "already defined"},
		{"second document", "desk: {}\n---\ndesk: {}\n", 3, "", "second document"},
		{"not YAML", "desk: [\n", 1, "", "not YAML"},
		{"GBK", "desk:\n  name: \xce\xc4\n", 2, "", "UTF-8"},
		{"UTF-16", "\xff\xfed\x00e\x00s\x00k\x00", 1, "", "UTF-8"},
		{"after a byte order mark", "\ufeffdesk:\n  idd: x\n", 2, "desk.idd", "nearest is desk.id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.text)
			var p Problem
			if !errors.As(err, &p) {
				t.Fatalf("error %v, want a Problem", err)
			}
			if p.File != "desk.yaml" || p.Line != tt.line || p.Key != tt.key || !strings.Contains(p.Error(), tt.says) {
				t.Errorf("got %q (line %d, key %q), want line %d, key %q, saying %q", p, p.Line, p.Key, tt.line, tt.key, tt.says)
			}
			if zh := p.In("zh"); !strings.ContainsFunc(zh, isHan) {
				t.Errorf("in Chinese: %q", zh)
			}
		})
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// Every key in the package's source has a text.
func TestEveryTextIsInChinese(t *testing.T) {
	argument := map[string]int{"say": 0, "wrong": 0, "at": 1, "require": 2, "problem": 2} // which argument it is
	for _, file := range []string{"decode.go", "drivers.go", "load.go", "validate.go", "values.go"} {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if i, ok := argument[name]; ok && i < len(call.Args) {
				if text, ok := call.Args[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
					if key, _ := strconv.Unquote(text.Value); !texts.Has(key) {
						t.Errorf("%s: %q has no text", file, key)
					}
				}
			}
			return true
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := load(t, "desk: {idd: x, role: none}\npolicy: {poll: 1ms}\n")
	for _, key := range []string{"desk.idd", "desk.role", "policy.poll"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{
		"HOME": "/h", "IDTAP_DESK_ID": "from-env", "IDTAP_NATS_URL": "nats://127.0.0.1:4222",
		"IDTAP_POLICY_REPEAT_WINDOW": "1m", "IDTAP_DESK_PAGE_ORIGINS": "https://a.example,https://b.example",
		"IDTAP_READERS": "[{name: env, driver: tcp, port: \"127.0.0.1:9\"}]", "IDTAP_DESK_IDD": "x",
	}
	c, err := Load("desk.yaml", machine(env, map[string]string{"desk.yaml": "desk: {id: from-file, division: \"410105\"}"}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Desk.ID != "from-env" || c.NATS.URL != "nats://127.0.0.1:4222" || c.Policy.RepeatWindow != Duration(time.Minute) ||
		len(c.DeskPage.Origins) != 2 || len(c.Readers) != 1 || c.Readers[0].Driver != "tcp" {
		t.Errorf("%+v", c)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].En, "IDTAP_DESK_IDD") || !strings.Contains(c.Warnings[0].En, "IDTAP_DESK_ID") {
		t.Errorf("warnings %q", c.Warnings)
	}
	env["IDTAP_LOG_KEEP"] = "few"
	if _, err := Load("", machine(env, nil)); err == nil || !strings.Contains(err.Error(), "environment IDTAP_LOG_KEEP") {
		t.Errorf("error %v does not name the variable", err)
	}
}

func TestLimitedRecipientsAreWarnedOf(t *testing.T) {
	for text, want := range map[string]int{
		`nats: {encrypt_to: [{key: a.pub, hukou: "62"}]}`:                      1,
		`nats: {encrypt_to: [{key: a.pub, hukou: "62"}, {key: national.pub}]}`: 0,
	} {
		c, err := load(t, "desk: {division: \"410105\"}\n"+text)
		if err != nil || len(c.Warnings) != want {
			t.Errorf("%s: warnings %q, %v", text, c.Warnings, err)
		}
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load("none.yaml", machine(nil, nil))
	if err == nil || !strings.Contains(err.Error(), "none.yaml: cannot be read") {
		t.Errorf("error %v", err)
	}
}

func TestSchemaAcceptsTheExampleAndRefusesAnUnknownKey(t *testing.T) {
	b, err := json.Marshal(Schema())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("urn:idtap:schema:config", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("urn:idtap:schema:config")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		t.Helper()
		b, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	if err := check(string(Example)); err != nil {
		t.Errorf("example: %v", err)
	}
	for _, text := range []string{"desk: {idd: x}", "policy: {expired: reject}", "readers: front"} {
		if check(text) == nil {
			t.Errorf("schema accepts %s", text)
		}
	}
}

func TestValuesRoundTrip(t *testing.T) {
	for _, s := range []string{"150ms", "5m", "72h", "400d", "30s"} {
		var d Duration
		if err := d.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if b, _ := d.MarshalText(); string(b) != s {
			t.Errorf("%s comes back as %s", s, b)
		}
	}
	for _, s := range []string{"256MiB", "1GiB", "3KiB", "17B"} {
		var v Bytes
		if err := v.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if b, _ := v.MarshalText(); string(b) != s {
			t.Errorf("%s comes back as %s", s, b)
		}
	}
}

func TestDeskID(t *testing.T) {
	for host, want := range map[string]string{"Desk-01.local": "desk-01-local", "": "", "服务台": "", "a__b": "a-b", strings.Repeat("x", 60): strings.Repeat("x", 40)} {
		if got := DeskID(host); got != want {
			t.Errorf("DeskID(%q) = %q, want %q", host, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Example)
	f.Add([]byte("desk: {id: x}\nreaders: [{name: a}]\n"))
	f.Add([]byte("a: &b [*b]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		Load("fuzz.yaml", machine(nil, map[string]string{"fuzz.yaml": string(text)}))
	})
}

// What conf.d says goes over the file, in name order, and each problem and each
// value names the file it is from.
func TestDropIns(t *testing.T) {
	files := map[string]string{
		"/etc/idtap/idtap.yaml":               "outbox: {dir: /var/lib/idtap}\ndesk: {id: image, division: \"410105\"}\nreaders: [{name: a, driver: mock}, {name: b, driver: mock}]\n",
		"/etc/idtap/conf.d/10-fleet.yaml":     "nats: {url: tls://bus.example.cn:4222}\ndesk: {id: fleet, role: inflow}\n",
		"/etc/idtap/conf.d/50-desk.yaml":      "\ndesk:\n  id: desk-3\nreaders: [{name: front, driver: mock}]\n",
		"/etc/idtap/conf.d/60-empty.yaml":     "# nothing yet\n",
		"/etc/idtap/conf.d/.50-desk.yaml.swp": "x",
		"/etc/idtap/conf.d/70-more.yml":       "desk: {id: no}",
	}
	env := map[string]string{"HOME": "/h", "IDTAP_LOG_LEVEL": "warn"}
	c, err := Load("/etc/idtap/idtap.yaml", machine(env, files))
	if err != nil {
		t.Fatal(err)
	}
	if c.Desk.ID != "desk-3" || c.Desk.Role != "inflow" || c.Desk.Division != "410105" || len(c.Readers) != 1 {
		t.Errorf("desk %+v, readers %+v", c.Desk, c.Readers)
	}
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0].En, "70-more.yml") || !strings.Contains(c.Warnings[1].En, "nats.encrypt_to") {
		t.Errorf("warnings %q, want one of 70-more.yml and one of nats.encrypt_to", c.Warnings)
	}
	settings, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range settings {
		got[s.Key] = s.Value + " " + s.Origin.String()
	}
	for key, want := range map[string]string{
		"desk.id":       "desk-3 /etc/idtap/conf.d/50-desk.yaml:3",
		"desk.role":     "inflow /etc/idtap/conf.d/10-fleet.yaml:2",
		"desk.division": `"410105" /etc/idtap/idtap.yaml:2`,
		"log.level":     "warn environment IDTAP_LOG_LEVEL",
		"log.keep":      "5 ",
		"policy.poll":   "150ms ",
		"photo.decoder": "[] ",
	} {
		if got[key] != want {
			t.Errorf("%s = %s, want %s", key, got[key], want)
		}
	}
	if v := got["readers"]; !strings.Contains(v, "front") || !strings.HasSuffix(v, "50-desk.yaml:4") {
		t.Errorf("readers = %s", v)
	}

	files["/etc/idtap/conf.d/50-desk.yaml"] = "desk: {id: Desk 3}\n"
	if _, err = Load("/etc/idtap/idtap.yaml", machine(env, files)); err == nil || !strings.Contains(err.Error(), "50-desk.yaml:1: desk.id") {
		t.Errorf("error %v does not name the drop-in and its line", err)
	}
	files["/etc/idtap/conf.d/50-desk.yaml"] = "desk: {idd: x}\n"
	if _, err = Load("/etc/idtap/idtap.yaml", machine(env, files)); err == nil || !strings.Contains(err.Error(), "50-desk.yaml:1: desk.idd") {
		t.Errorf("error %v does not name the drop-in and its line", err)
	}
}

// A state folder that depends on where a command is started is an error.
func TestRelativeStateFolder(t *testing.T) {
	for name, s := range map[string]Source{
		"linux, no HOME":           machine(nil, nil),
		"windows, no LOCALAPPDATA": func() Source { s := machine(map[string]string{"HOME": "/h"}, nil); s.GOOS = "windows"; return s }(),
	} {
		if c, err := Load("", s); err == nil || !strings.Contains(err.Error(), "outbox.dir: is missing") {
			t.Errorf("%s: dir %q, error %v", name, c.Outbox.Dir, err)
		}
	}
	if _, err := load(t, "outbox: {dir: data}"); err == nil || !strings.Contains(err.Error(), "desk.yaml:1: outbox.dir") {
		t.Errorf("outbox.dir data: error %v", err)
	}
}

// TestUSBPorts: the forms of a USB reader's port.
func TestUSBPorts(t *testing.T) {
	for _, port := range []string{"", "port: auto", `port: "0400:c35a"`, `port: "0400:C35A@1-2.3"`, `port: "0400:c35a#A 1/7"`} {
		if _, err := load(t, "desk: {division: \"410105\"}\nreaders: [{name: left, driver: usb, "+port+"}]\n"); err != nil {
			t.Errorf("%s: %v", port, err)
		}
	}
	for _, port := range []string{"0400", "/dev/hidraw0", "0400:c35a@", "0400:c35a#", "400:c35a", "usb:0400:c35a"} {
		_, err := load(t, "readers: [{name: left, driver: usb, port: \""+port+"\"}]\n")
		if err == nil || !strings.Contains(err.Error(), "readers[0].port") || !strings.Contains(err.Error(), "0400:c35a@1-2") {
			t.Errorf("port %q: %v, want a problem of readers[0].port with the forms", port, err)
		}
	}
}

// TestPortsThatReadersShare: a pattern and a file of cards serve several readers,
// and one port name of two drivers is two ports.
func TestPortsThatReadersShare(t *testing.T) {
	for _, readers := range []string{
		"[{name: a, driver: pcsc, port: R*}, {name: b, driver: pcsc, port: R*}]",
		"[{name: a, driver: mock}, {name: b, driver: mock}]",
		"[{name: a, driver: mock, port: cards.yaml}, {name: b, driver: mock, port: cards.yaml}]",
		"[{name: a, driver: usb, port: auto}, {name: b, driver: usb, port: '0400:c35a'}]",
		"[{name: a, driver: serial, port: /dev/x}, {name: b, driver: serial, port: /dev/y}, {name: c, driver: tcp, port: 'h:1'}, {name: d, driver: tcp, port: 'h:2'}]",
	} {
		if _, err := load(t, "readers: "+readers+"\n"); err != nil {
			t.Errorf("%s: %v, want no error", readers, err)
		}
	}
}

// TestOnePortByALink: a link that udev made and the device itself are one port.
func TestOnePortByALink(t *testing.T) {
	dir := t.TempDir()
	port, link := filepath.Join(dir, "ttyUSB0"), filepath.Join(dir, "by-id")
	if err := errors.Join(os.WriteFile(port, nil, 0o600), os.Symlink(port, link)); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, "readers: [{name: a, driver: serial, port: "+port+"}, {name: b, driver: serial, port: "+link+"}]\n")
	if err == nil || !strings.Contains(err.Error(), "readers[1].port") {
		t.Errorf("load = %v, want an error at readers[1].port", err)
	}
}
