package provision

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/config"
	"idtap/internal/text"
)

func county(code string) bool { return code == "410105" || code == "620402" }

func TestReadDesks(t *testing.T) {
	desks, err := ReadDesks(strings.NewReader("\ufeffid,name,division,driver,port,system\r\n"+
		"jinshui-01, 文化路街道便民服务中心 ,410105,serial,/dev/ttyUSB0,\r\n\"baiyin-2\",\"白银, 二楼\",620402,,,windows\r\n"), county)
	if err != nil {
		t.Fatal(err)
	}
	want := []Desk{
		{Line: 2, ID: "jinshui-01", Name: "文化路街道便民服务中心", Division: "410105", Driver: "serial", Port: "/dev/ttyUSB0", System: "linux"},
		{Line: 3, ID: "baiyin-2", Name: "白银, 二楼", Division: "620402", System: "windows"},
	}
	if len(desks) != 2 || desks[0] != want[0] || desks[1] != want[1] {
		t.Errorf("ReadDesks = %+v, want %+v", desks, want)
	}
}

func TestBadTables(t *testing.T) {
	gbk := string([]byte{0xce, 0xc4, 0xbb, 0xaf})
	for name, tt := range map[string]struct{ table, en, zh string }{
		"empty":           {"", "no desks", "没有服务台"},
		"header only":     {"id,division\n", "no desks", "没有服务台"},
		"GBK":             {"id,name,division\na," + gbk + ",410105\n", "line 2 is not UTF-8", "CSV UTF-8"},
		"unknown column":  {"id,division,devision\n", `no column is called "devision"`, "可用的列"},
		"missing column":  {"id,name\na,b\n", `"division" is missing`, "缺少“division”列"},
		"column twice":    {"id,id,division\na,b,410105\n", `"id" is there twice`, "出现两次"},
		"ragged":          {"id,division\na\n", "not CSV", "不是 CSV"},
		"id twice":        {"id,division\na,410105\nb,410105\na,410105\n", "line 4: the desk id a is used in line 2", "第 4 行"},
		"id of capitals":  {"id,division\nDesk 1,410105\n", `desk id "Desk 1"`, "“Desk 1”"},
		"no id":           {"id,division\n,410105\n", "line 2: id is missing", "缺少 id"},
		"no division":     {"id,division\na,\n", "line 2: division is missing", "缺少 division"},
		"wrong division":  {"id,division\na,410100\n", "410100 is not a county-level division", "410100 不是"},
		"unknown system":  {"id,division,system\na,410105,dos\n", `system "dos"`, "“dos”"},
		"several at once": {"id,division\nA,410105\nb,1\n", "line 3: 1 is not", "第 3 行"},
	} {
		_, err := ReadDesks(strings.NewReader(tt.table), county)
		if err == nil || !strings.Contains(err.Error(), tt.en) || !strings.Contains(text.Of(err, text.Zh), tt.zh) {
			t.Errorf("%s: error %v (%s), want %q and %q", name, err, text.Of(err, text.Zh), tt.en, tt.zh)
		}
	}
}

// fleet is a folder with the settings and files that all desks have in common.
func fleet(t *testing.T) (Fleet, string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"ca.pem": "CA", "registry.pub": "KEY", "creds/a.creds": "SECRET"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Fleet{Dir: dir, Settings: []byte("nats: {url: tls://bus.example.cn:4222, tls: {ca: /etc/idtap/ca.pem}, encrypt_to: [{key: /etc/idtap/registry.pub}]}\n")}, dir
}

func made(t *testing.T) (Bundle, []byte) {
	t.Helper()
	f, dir := fleet(t)
	b, c, err := Make(Desk{Line: 2, ID: "a", Name: `名"字`, Division: "410105", Driver: "serial", Port: "/dev/ttyUSB0", Creds: "creds/a.creds", System: "linux"}, f, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Desk.Name != `名"字` || c.NATS.URL == "" || c.NATS.Creds != "/etc/idtap/desk.creds" || len(c.Readers) != 1 {
		t.Errorf("the desk's configuration: %+v", c)
	}
	var zip bytes.Buffer
	if err := b.Pack(&zip); err != nil {
		t.Fatal(err)
	}
	return b, zip.Bytes()
}

func TestBundle(t *testing.T) {
	_, raw := made(t)
	if _, again := made(t); !bytes.Equal(raw, again) {
		t.Error("the same desk makes two different bundles")
	}
	b, err := Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ca.pem": "CA", "registry.pub": "KEY", "desk.creds": "SECRET"} {
		if string(b.Files[name]) != want {
			t.Errorf("%s holds %q, want %q", name, b.Files[name], want)
		}
	}
	if b.Desk != "a" || b.Files[FleetName] == nil || b.Files[DeskName] == nil {
		t.Errorf("bundle of %s with %d files", b.Desk, len(b.Files))
	}
}

func TestDeskSettingsAreChecked(t *testing.T) {
	f, dir := fleet(t)
	for name, tt := range map[string]struct {
		desk Desk
		want string
	}{
		"driver":        {Desk{Line: 4, ID: "a", Division: "410105", Driver: "usbx", Port: "x", System: "linux"}, "line 4 (a)"},
		"port":          {Desk{Line: 5, ID: "a", Division: "410105", Driver: "serial", System: "linux"}, "readers[0].port"},
		"missing creds": {Desk{Line: 6, ID: "a", Division: "410105", Creds: "none.creds", System: "linux"}, "none.creds"},
	} {
		if _, _, err := Make(tt.desk, f, dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
	f.Settings = []byte("nats: {urll: x}\n")
	if _, _, err := Make(Desk{Line: 2, ID: "a", Division: "410105", System: "windows"}, f, dir); err == nil || !strings.Contains(err.Error(), "10-fleet.yaml:1: nats.urll") {
		t.Errorf("a misspelt key of the fleet: %v", err)
	}
}

// repack changes a bundle's files on their way to the zip.
func repack(t *testing.T, raw []byte, change func(name string, content []byte) (string, []byte)) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range r.File {
		content, err := readPart(f)
		if err != nil {
			t.Fatal(err)
		}
		name, content := change(f.Name, content)
		if name == "" {
			continue
		}
		part, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadBundles(t *testing.T) {
	_, raw := made(t)
	rename := func(from, to string) func(string, []byte) (string, []byte) {
		return func(name string, content []byte) (string, []byte) {
			if name == from {
				name = to
			}
			return name, content
		}
	}
	for name, bad := range map[string][]byte{
		"no zip": []byte("hello"),
		"cut":    raw[:len(raw)-30],
		"changed": repack(t, raw, func(n string, c []byte) (string, []byte) {
			return n, bytes.ReplaceAll(c, []byte("SECRET"), []byte("OTHER!"))
		}),
		"file missing":  repack(t, raw, rename("ca.pem", "")),
		"file more":     repack(t, raw, rename("ca.pem", "other.pem")),
		"no manifest":   repack(t, raw, rename(manifestName, "")),
		"no settings":   repack(t, raw, rename(DeskName, "")),
		"leads out":     repack(t, raw, rename("ca.pem", "../../etc/passwd")),
		"absolute":      repack(t, raw, rename("ca.pem", "/etc/passwd")),
		"backslashes":   repack(t, raw, rename("ca.pem", `..\..\x`)),
		"a file twice":  repack(t, raw, rename("ca.pem", "registry.pub")),
		"larger inside": repack(t, raw, func(n string, c []byte) (string, []byte) { return n, append(c, make([]byte, maxFile-len(c))...) }),
	} {
		if _, err := Open(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What a bundle comes to with the settings that are there is checked before
// anything is written.
func TestCheckAndWrite(t *testing.T) {
	b, _ := made(t)
	dir := t.TempDir()
	s := config.Machine()
	s.Getenv, s.Environ = func(string) string { return "" }, func() []string { return nil }
	c, err := b.Check(dir, s)
	if err != nil || c.Desk.ID != "a" || c.Outbox.Dir != "/var/lib/idtap" {
		t.Fatalf("Check = %+v, %v", c.Desk, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("Check wrote %v, %v", list, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(dir, "conf.d", "90-local.yaml")
	if err := os.WriteFile(local, []byte("desk: {role: inflow}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = b.Check(dir, s); err != nil || c.Desk.Role != "inflow" {
		t.Errorf("the desk's own drop-in is not counted: %+v, %v", c.Desk, err)
	}
	if err := os.WriteFile(local, []byte("desk: {role: all}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = b.Check(dir, s); err == nil || !strings.Contains(err.Error(), "90-local.yaml:1: desk.role") {
		t.Errorf("a mistake in the desk's own drop-in: %v", err)
	}
	secrets := map[string]bool{}
	if err := b.Write(dir, func(path string, secret bool) error {
		content, err := os.ReadFile(path)
		secrets[string(content)] = secret
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !secrets["SECRET"] || secrets["CA"] || secrets["KEY"] || secrets[string(b.Files[DeskName])] {
		t.Errorf("secret are %v", secrets)
	}
	for name, content := range b.Files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	left, err := fs.Glob(os.DirFS(dir), "*/.provision-*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func FuzzReadDesks(f *testing.F) {
	f.Add("id,division\na,410105\n")
	f.Add("\ufeffid,name,division,system\n\"a\n\",x,1,dos\n")
	f.Fuzz(func(t *testing.T, table string) {
		desks, err := ReadDesks(strings.NewReader(table), county)
		if err != nil {
			return
		}
		for _, d := range desks {
			if !deskID.MatchString(d.ID) || !county(d.Division) || d.Line < 2 {
				t.Errorf("accepted %+v", d)
			}
		}
	})
}
