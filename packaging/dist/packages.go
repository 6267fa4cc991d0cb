package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// packages makes deb and rpm of each Linux program and a zip of each Windows one.
func (r *release) packages(ctx context.Context) error {
	if err := r.documents(ctx); err != nil {
		return err
	}
	for _, t := range r.targets {
		if t.os == "windows" {
			if err := r.zip(t); err != nil {
				return err
			}
			continue
		}
		for _, format := range []string{"deb", "rpm"} {
			if err := r.nfpm(ctx, t, format); err != nil {
				return err
			}
		}
	}
	return nil
}

// documents writes man pages and completions into the stage. They are the
// program's own words, so this machine's program is asked.
func (r *release) documents(ctx context.Context) error {
	man, shells := filepath.Join(r.stage, "man"), filepath.Join(r.stage, "completions")
	for _, dir := range []string{man, shells} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if _, err := r.read(ctx, "go", "test", "-count=1", "-vet=off", "./cmd/idtap", "-run", "^TestManPages$", "-man", man, "-date", r.time.Format("2006-01-02")); err != nil {
		return err
	}
	if err := compress(man); err != nil {
		return err
	}
	host := filepath.Join(r.stage, "idtap")
	if _, err := r.readWith(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", host, "./cmd/idtap"); err != nil {
		return err
	}
	for shell, file := range map[string]string{"bash": "idtap", "zsh": "_idtap", "fish": "idtap.fish", "powershell": "idtap.ps1"} {
		text, err := r.read(ctx, host, "completion", shell)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(shells, file), []byte(text+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compress turns every file of a folder into its .gz, without name or time.
func compress(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		w.Write(text)
		if err := w.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(path+".gz", b.Bytes(), 0o644); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// nfpm fills in the description of the package and has nfpm make it.
func (r *release) nfpm(ctx context.Context, t target, format string) error {
	description, err := template.ParseFiles(filepath.Join(r.root, "packaging", "nfpm.yaml.tmpl"))
	if err != nil {
		return err
	}
	path := filepath.Join(r.stage, "nfpm-"+t.arch+"-"+format+".yaml")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = description.Execute(f, map[string]string{"Arch": t.arch, "Version": r.version, "Time": r.time.Format("2006-01-02T15:04:05Z"),
		"Program": filepath.Join(r.out, t.program()), "Out": r.out, "Stage": r.stage, "Packaging": filepath.Join(r.root, "packaging"), "Root": r.root})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("idtap-linux-%s.%s", t.arch, format)
	_, err = r.readWith(ctx, []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.time.Unix())}, filepath.Join(r.tools, "nfpm"),
		"package", "-f", path, "-p", format, "-t", filepath.Join(r.out, name))
	if err == nil {
		fmt.Fprintln(r.log, name)
	}
	return err
}

// zip makes the archive of a Windows program: no installer, `idtap service
// install` does the rest.
func (r *release) zip(t target) error {
	files := map[string]string{
		"idtap.exe":        filepath.Join(r.out, t.program()),
		"idtap.ps1":        filepath.Join(r.stage, "completions", "idtap.ps1"),
		"LICENSE.txt":      filepath.Join(r.root, "LICENSE"),
		"THIRD_PARTY.txt":  filepath.Join(r.out, "THIRD_PARTY.txt"),
		"install.md":       filepath.Join(r.root, "docs", "install.md"),
		"install.zh-CN.md": filepath.Join(r.root, "docs", "install.zh-CN.md"),
		"codes.md":         filepath.Join(r.root, "docs", "codes.md"),
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, err := os.ReadFile(files[name])
		if err != nil {
			return err
		}
		if !strings.HasSuffix(name, ".exe") { // Notepad of Windows 10 before 1809 shows LF on one line
			content = bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		}
		part, err := w.CreateHeader(&zip.FileHeader{Name: "idtap/" + name, Method: zip.Deflate, Modified: r.time})
		if err != nil {
			return err
		}
		if _, err := part.Write(content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	name := "idtap-windows-" + t.arch + ".zip"
	fmt.Fprintln(r.log, name)
	return os.WriteFile(filepath.Join(r.out, name), b.Bytes(), 0o644)
}
