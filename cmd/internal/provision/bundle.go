package provision

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"idtap/config"
)

// Format is the version of the bundle.
const Format = 1

// Names in a bundle.
const (
	manifestName = "manifest.json"
	FleetName    = config.DropIns + "/10-fleet.yaml"
	DeskName     = config.DropIns + "/50-desk.yaml"
	credsName    = "desk.creds"
)

// maxFile and maxBundle bound what a bundle may hold.
const (
	maxFile   = 256 << 10
	maxBundle = 4 << 20
)

// Bundle is what one desk is given: files by their name in the configuration's
// folder.
type Bundle struct {
	Desk  string
	Files map[string][]byte
}

type manifest struct {
	Format int               `json:"format"`
	Desk   string            `json:"desk"`
	SHA256 map[string]string `json:"sha256"`
}

// fileName is what a bundle's file may be called: nothing that leads elsewhere.
var fileName = regexp.MustCompile(`^(conf\.d/)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// Settings are the desk's own as YAML. dir is the configuration's folder at the
// desk; its login is found there.
func (d Desk) Settings(dir string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "desk:\n")
	for _, k := range []struct{ key, value string }{{"id", d.ID}, {"name", d.Name}, {"division", d.Division}, {"unit", d.Unit}, {"operator", d.Operator}} {
		if k.value != "" {
			fmt.Fprintf(&b, "  %s: %s\n", k.key, quote(k.value))
		}
	}
	if d.Driver != "" {
		fmt.Fprintf(&b, "readers:\n  - {name: front, driver: %s", quote(d.Driver))
		if d.Port != "" {
			fmt.Fprintf(&b, ", port: %s", quote(d.Port))
		}
		fmt.Fprintf(&b, "}\n")
	}
	if d.Creds != "" {
		fmt.Fprintf(&b, "nats:\n  creds: %s\n", quote(joinPath(d.System, dir, credsName)))
	}
	return b.Bytes()
}

// quote writes a YAML string that means exactly s: JSON's strings are YAML's.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}

func joinPath(system, dir, name string) string {
	if system == "windows" {
		return dir + `\` + name
	}
	return dir + "/" + name
}

// Pack writes the bundle as a zip, the same bytes for the same bundle.
func (b Bundle) Pack(w io.Writer) error {
	m := manifest{Format: Format, Desk: b.Desk, SHA256: map[string]string{}}
	for name, content := range b.Files {
		sum := sha256.Sum256(content)
		m.SHA256[name] = hex.EncodeToString(sum[:])
	}
	head, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	add := func(name string, content []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = f.Write(content)
		}
		return err
	}
	if err := add(manifestName, head); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		if err := add(name, b.Files[name]); err != nil {
			return err
		}
	}
	return z.Close()
}

// Open reads a bundle and checks every sum.
func Open(raw []byte) (Bundle, error) {
	b := Bundle{Files: map[string][]byte{}}
	if len(raw) > maxBundle {
		return b, texts.Errorf("too_large", "zip", maxBundle)
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return b, texts.Errorf("not_bundle", err)
	}
	var m manifest
	for _, f := range z.File {
		content, err := readPart(f)
		if err != nil {
			return b, err
		}
		if f.Name == manifestName {
			if err := json.Unmarshal(content, &m); err != nil {
				return b, texts.Errorf("damaged", manifestName)
			}
			continue
		}
		if _, twice := b.Files[f.Name]; twice || !fileName.MatchString(f.Name) {
			return b, texts.Errorf("not_bundle", f.Name)
		}
		b.Files[f.Name] = content
	}
	if m.Format != Format || !deskID.MatchString(m.Desk) || b.Files[DeskName] == nil {
		return b, texts.Errorf("not_bundle", manifestName)
	}
	b.Desk = m.Desk
	for name, content := range b.Files {
		if sum := sha256.Sum256(content); m.SHA256[name] != hex.EncodeToString(sum[:]) {
			return b, texts.Errorf("damaged", name)
		}
	}
	for name := range m.SHA256 {
		if b.Files[name] == nil {
			return b, texts.Errorf("damaged", name)
		}
	}
	return b, nil
}

func readPart(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, texts.Errorf("damaged", f.Name)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, texts.Errorf("damaged", f.Name)
	}
	if len(b) > maxFile {
		return nil, texts.Errorf("too_large", f.Name, maxFile)
	}
	return b, nil
}
