package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// materials writes what is inside the programs: a bill of materials per system
// and the licences of every module that is linked in.
func (r *release) materials(ctx context.Context) error {
	modules := map[string]module{}
	for _, t := range r.targets {
		env := []string{"CGO_ENABLED=0", "GOOS=" + t.os, "GOARCH=" + t.arch}
		list, err := r.readWith(ctx, env, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}", "./cmd/idtap")
		if err != nil {
			return err
		}
		for line := range strings.Lines(list) {
			if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && f[1] != "" { // no version: this module
				modules[f[0]] = module{path: f[0], version: f[1], dir: f[2]}
			}
		}
	}
	if err := r.licences(ctx, modules); err != nil {
		return err
	}
	done := map[string]bool{}
	for _, t := range r.targets {
		if done[t.os] {
			continue
		}
		done[t.os] = true
		out := filepath.Join(r.out, "idtap-"+t.os+".cdx.json")
		_, err := r.readWith(ctx, []string{"CGO_ENABLED=0", "GOOS=" + t.os, "GOARCH=" + t.arch}, filepath.Join(r.tools, "cyclonedx-gomod"),
			"app", "-json", "-licenses", "-noserial", "-notimestamp", "-output", out, "-main", "cmd/idtap", ".")
		if err != nil {
			return err
		}
	}
	return nil
}

type module struct{ path, version, dir string }

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([-._].*)?$`)

// licences writes one file with the licence of Go and of every module. A module
// without one is an error: it may not be shipped.
func (r *release) licences(ctx context.Context, modules map[string]module) error {
	goroot, err := r.read(ctx, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	all := append([]module{{path: "Go, its runtime and standard library", dir: goroot}},
		slices.SortedFunc(maps.Values(modules), func(a, b module) int { return strings.Compare(a.path, b.path) })...)
	for _, m := range all {
		files, err := os.ReadDir(m.dir)
		if err != nil {
			return err
		}
		found := false
		for _, f := range files {
			if f.IsDir() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(m.dir, f.Name()))
			if err != nil {
				return err
			}
			found = true
			fmt.Fprintf(&b, "%s\n%s %s: %s\n\n%s\n", strings.Repeat("=", 78), m.path, m.version, f.Name(), bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
		}
		if !found && m.dir != goroot { // distributions put Go's elsewhere
			return fmt.Errorf("%s %s has no licence file", m.path, m.version)
		}
	}
	fmt.Fprintf(r.log, "%-32s %d modules\n", "THIRD_PARTY.txt", len(modules))
	return os.WriteFile(filepath.Join(r.out, "THIRD_PARTY.txt"), b.Bytes(), 0o644)
}

// sums writes SHA256SUMS over everything that is released.
func (r *release) sums() error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, f := range files {
		if f.IsDir() || f.Name() == sumsFile {
			continue
		}
		content, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(content), f.Name())
	}
	if b.Len() == 0 {
		return errors.New("nothing was made")
	}
	return os.WriteFile(filepath.Join(r.out, sumsFile), []byte(b.String()), 0o644)
}

const sumsFile = "SHA256SUMS"
