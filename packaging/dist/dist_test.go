package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestVersionOf(t *testing.T) {
	at := time.Date(2026, 11, 25, 8, 5, 0, 0, time.UTC)
	for described, want := range map[string]string{
		"v1.2.0":                  "1.2.0",
		"v1.2.0-dirty":            "1.2.0+dirty",
		"v1.2.0-5-gabc1234":       "1.2.0+5.gabc1234",
		"v1.2.0-5-gabc1234-dirty": "1.2.0+5.gabc1234.dirty",
		"v1.3.0-rc.1":             "1.3.0-rc.1",
		"v1.3.0-rc.1-2-gabc1234":  "1.3.0-rc.1+2.gabc1234",
		"abc1234":                 "0.1.0-dev.20261125080500.gabc1234",
		"abc1234-dirty":           "0.1.0-dev.20261125080500.gabc1234.dirty",
	} {
		if got := versionOf(described, at); got != want {
			t.Errorf("versionOf(%q) = %s, want %s", described, got, want)
		}
	}
	if got := numeric("1.2.3-rc.1+5.gabc"); got != "1.2.3.0" {
		t.Errorf("numeric = %s, want 1.2.3.0", got)
	}
}

func TestChosen(t *testing.T) {
	if all, err := chosen(""); err != nil || len(all) != 5 {
		t.Errorf("chosen(\"\") = %v, %v, want all five", all, err)
	}
	two, err := chosen("windows/arm64,linux/loong64")
	if err != nil || len(two) != 2 || two[0].program() != "idtap-windows-arm64.exe" || two[1].program() != "idtap-linux-loong64" {
		t.Errorf("chosen of two = %v, %v", two, err)
	}
	if _, err := chosen("plan9/386"); err == nil {
		t.Error("an unknown target: no error")
	}
}

// tree makes the files that a zip takes, and a release over them.
func tree(t *testing.T) *release {
	t.Helper()
	r := &release{root: t.TempDir(), out: t.TempDir(), stage: t.TempDir(), time: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), log: io.Discard}
	for path, content := range map[string]string{
		filepath.Join(r.out, "idtap-windows-amd64.exe"):    "MZ\nprogram",
		filepath.Join(r.out, "THIRD_PARTY.txt"):            "a\nb\r\nc\n",
		filepath.Join(r.stage, "completions", "idtap.ps1"): "x\n",
		filepath.Join(r.root, "LICENSE"):                   "l\n",
		filepath.Join(r.root, "docs", "install.md"):        "i\n",
		filepath.Join(r.root, "docs", "install.zh-CN.md"):  "安装\n",
		filepath.Join(r.root, "docs", "codes.md"):          "c\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestZip(t *testing.T) {
	r := tree(t)
	read := func() []byte {
		if err := r.zip(target{"windows", "amd64"}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(r.out, "idtap-windows-amd64.zip"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := read()
	if !bytes.Equal(first, read()) {
		t.Error("two runs differ")
	}
	z, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"idtap/idtap.exe": "MZ\nprogram", "idtap/THIRD_PARTY.txt": "a\r\nb\r\nc\r\n", "idtap/install.zh-CN.md": "安装\r\n"} {
		f, err := z.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v, want %q", name, got, err, want)
		}
	}
	if err := os.Remove(filepath.Join(r.root, "LICENSE")); err != nil {
		t.Fatal(err)
	}
	if err := r.zip(target{"windows", "amd64"}); err == nil {
		t.Error("without a licence: no error")
	}
}

func TestLicences(t *testing.T) {
	r := tree(t)
	r.root = "." // where go env can be asked
	with, without := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(with, "LICENSE.md"), []byte("free\r\nto use\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.licences(t.Context(), map[string]module{"example.org/a": {"example.org/a", "v1.0.0", with}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(r.out, "THIRD_PARTY.txt"))
	if err != nil || !strings.Contains(string(b), "example.org/a v1.0.0: LICENSE.md\n\nfree\nto use\n") {
		t.Errorf("%s, %v", b, err)
	}
	err = r.licences(t.Context(), map[string]module{"example.org/b": {"example.org/b", "v2.0.0", without}})
	if err == nil || !strings.Contains(err.Error(), "example.org/b v2.0.0 has no licence file") {
		t.Errorf("a module without a licence: %v", err)
	}
}

func TestSums(t *testing.T) {
	r := &release{out: t.TempDir()}
	if err := r.sums(); err == nil {
		t.Error("sums of nothing: no error")
	}
	if err := os.WriteFile(filepath.Join(r.out, "a"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // its own file is not among them
		if err := r.sums(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(r.out, sumsFile))
	if want := "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n"; err != nil || string(b) != want {
		t.Errorf("sums = %q, %v, want %q", b, err, want)
	}
}
