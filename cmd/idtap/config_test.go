package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the daemon would refuse, the check of its file refuses.
func TestConfigCheckRefusesPlaintext(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "desk.yaml")
	for text, want := range map[string]int{
		`nats: {url: "nats://bus.example.cn:4222"}`:                        exitUsage,
		`nats: {url: "nats://bus.example.cn:4222", allow_plaintext: true}`: exitOK,
		`nats: {url: "tls://bus.example.cn:4222"}`:                         exitOK,
		`nats: {url: "nats://127.0.0.1:4222"}`:                             exitOK,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errs := executeIn(t, dir, "config", "check", file)
		if _, _, zh := executeIn(t, dir, "--lang", "zh", "config", "check", file); want == exitUsage && !strings.Contains(zh, "请改用 tls://") {
			t.Errorf("in Chinese: %s", zh)
		}
		if code != want || want == exitUsage && !strings.Contains(errs, "nats.url") {
			t.Errorf("%s: %d, want %d: %s", text, code, want, errs)
		}
	}
}

// A division that no desk can stand in is refused with what to write instead;
// one that a desk stood in until lately is taken with a warning.
func TestConfigCheckLooksTheDivisionUp(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "desk.yaml")
	for _, tt := range []struct {
		division string
		code     int
		en, zh   string
	}{
		{"410105", exitOK, "", ""},
		{"441900", exitOK, "", ""},
		{"620200", exitOK, "", ""},
		{"419999", exitUsage, "desk.division: 419999 is no division's code; the nearest are 419001", "不是任何县级区划的代码"},
		{"810101", exitUsage, "desk.division: 810101 is no division's code", "不是任何县级区划的代码"},
		{"410000", exitUsage, "desk.division: 410000 is a province or prefecture", "省级或地级代码"},
		{"410100", exitUsage, "name the county that the desk stands in, e.g. 410102", "省级或地级代码"},
		{"330104", exitOK, "today it is 330102 上城区, 330114 钱塘区", "已撤销，今为 330102"},
		{"110103", exitOK, "today it is 110101", "已撤销，今为 110101"},
		{"130171", exitOK, "zone of the statistics lists", "统计用的开发区"},
	} {
		if err := os.WriteFile(file, []byte("desk: {division: \""+tt.division+"\"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for lang, want := range map[string]string{"en": tt.en, "zh": tt.zh} {
			code, _, errs := executeIn(t, dir, "--lang", lang, "config", "check", file)
			if code != tt.code || !strings.Contains(errs, want) || want == "" && strings.Contains(errs, "desk.division") {
				t.Errorf("config check of %s in %s = %d, %s; want %d, %q", tt.division, lang, code, errs, tt.code, want)
			}
		}
	}
}

// Each value is shown with the place it was set at; a file in conf.d goes over the
// packaged one, which every command takes that is given none.
func TestConfigShow(t *testing.T) {
	dir := t.TempDir()
	packaged, desk := filepath.Join(dir, "idtap.yaml"), filepath.Join(dir, "conf.d", "50-desk.yaml")
	if err := os.Mkdir(filepath.Dir(desk), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		packaged: "outbox: {dir: /var/lib/idtap}\n",
		desk:     "desk: {id: desk-3, division: \"410105\"}\nnats: {url: tls://bus.example.cn:4222, creds: /etc/idtap/desk.creds}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs strings.Builder
	a := &app{out: &out, err: &errs, packaged: packaged, getenv: func(string) string { return "" }, environ: func() []string { return nil }}
	if code := a.execute(t.Context(), []string{"config", "show"}); code != exitOK {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	for _, want := range []string{"outbox.dir: /var/lib/idtap", packaged + ":1", "desk.id: desk-3", "# " + desk + ":1", "nats.creds: /etc/idtap/desk.creds", "# " + desk + ":2", "policy.poll: 150ms", "# default"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("config show has no %q:\n%s", want, &out)
		}
	}
	a.packaged = filepath.Join(dir, "none.yaml")
	out.Reset()
	if code := a.execute(t.Context(), []string{"config", "show"}); code != exitUsage || !strings.Contains(errs.String(), "outbox.dir: is missing") {
		t.Errorf("no file, no HOME: exit %d, %s", code, &errs)
	}
}
