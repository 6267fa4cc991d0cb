package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// programs builds a static program per target. -buildvcs stamps the commit
// whatever the environment's GOFLAGS say; -trimpath and the empty build id keep
// the machine's paths out.
func (r *release) programs(ctx context.Context) error {
	defer r.resource(ctx)() // the syso files lie in the source while programs are linked
	for _, t := range r.targets {
		path := filepath.Join(r.out, t.program())
		_, err := r.readWith(ctx, []string{"CGO_ENABLED=0", "GOOS=" + t.os, "GOARCH=" + t.arch}, "go", "build",
			"-buildvcs=true", "-trimpath", "-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", path, "./cmd/idtap")
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.log, "%-32s %5.1f MB\n", t.program(), float64(info.Size())/1e6)
	}
	return nil
}

// resource puts the version resource of the Windows programs where the linker
// takes it up, and returns what removes it again. The files are ignored by git, so
// that they make no tree dirty. Explorer shows their texts; a missing resource is
// no reason to fail, so it is said only.
func (r *release) resource(ctx context.Context) (remove func()) {
	prefix := filepath.Join(r.root, "cmd", "idtap", "rsrc")
	numbers := numeric(r.version)
	_, err := r.read(ctx, filepath.Join(r.tools, "go-winres"), "simply", "--arch", "amd64,arm64", "--out", prefix, "--manifest", "cli",
		"--file-version", numbers, "--product-version", r.version,
		"--file-description", "idtap: resident ID card taps at a service desk", "--product-name", "idtap", "--original-filename", "idtap.exe")
	if err != nil {
		fmt.Fprintln(r.log, "version resource: not there:", err)
	}
	return func() {
		for _, arch := range []string{"amd64", "arm64"} {
			os.Remove(prefix + "_windows_" + arch + ".syso")
		}
	}
}

// numeric is the version as four numbers, which is all that a resource holds.
func numeric(version string) string {
	core, _, _ := strings.Cut(version, "-")
	core, _, _ = strings.Cut(core, "+")
	return core + ".0"
}
