package provision

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"idtap/config"
)

// Dirs are the configuration's folders that the packages make.
var Dirs = map[string]string{"linux": "/etc/idtap", "windows": `C:\ProgramData\idtap`}

// packagedFile is the least that the packaged configuration says.
var packagedFile = map[string]string{
	"linux":   "outbox: {dir: /var/lib/idtap}\n",
	"windows": "outbox: {dir: 'C:\\ProgramData\\idtap\\state'}\n",
}

// Fleet is what all desks have in common.
type Fleet struct {
	Settings []byte // YAML; may be empty
	Dir      string // where files that the settings name are taken from
}

// Make makes a desk's bundle. The settings are loaded as the desk will load them,
// so that a mistake is found here and not two hundred times there. Files that they
// name in the configuration's folder, such as /etc/idtap/ca.pem, are taken from
// the fleet's folder under their name, if they are there; the desk's login is the
// one that the table names, relative to tableDir.
func Make(d Desk, fleet Fleet, tableDir string) (Bundle, config.Config, error) {
	dir := Dirs[d.System]
	b := Bundle{Desk: d.ID, Files: map[string][]byte{DeskName: d.Settings(dir)}}
	if len(bytes.TrimSpace(fleet.Settings)) > 0 {
		b.Files[FleetName] = fleet.Settings
	}
	wrong := func(err error) (Bundle, config.Config, error) {
		return Bundle{}, config.Config{}, texts.Errorf("desk_settings", d.Line, d.ID, err)
	}
	c, err := b.load(dir, d.System, packagedFile[d.System])
	if err != nil {
		return wrong(err)
	}
	if d.Creds != "" {
		path := d.Creds
		if !filepath.IsAbs(path) {
			path = filepath.Join(tableDir, path)
		}
		if b.Files[credsName], err = os.ReadFile(path); err != nil {
			return wrong(err)
		}
	}
	for _, named := range files(c) {
		name, inside := strings.CutPrefix(named, joinPath(d.System, dir, ""))
		if !inside || b.Files[name] != nil || !fileName.MatchString(name) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(fleet.Dir, name))
		if errors.Is(err, fs.ErrNotExist) { // the site's own means bring it
			continue
		}
		if err != nil {
			return wrong(err)
		}
		b.Files[name] = content
	}
	return b, c, nil
}

// files are the paths that a configuration names.
func files(c config.Config) []string {
	list := []string{c.NATS.Creds, c.NATS.NKey, c.NATS.PasswordFile, c.NATS.TLS.CA, c.NATS.TLS.Cert, c.NATS.TLS.Key, c.NATS.Embedded.Config,
		c.Desk.RefKeyFile, c.DeskPage.TokenFile, c.DeskPage.PINFile, c.DeskPage.TLS.Cert, c.DeskPage.TLS.Key, c.Outbox.KeyFile}
	for _, r := range c.NATS.EncryptTo {
		list = append(list, r.Key)
	}
	return list
}

// load reads the bundle's settings over the main file's text, as config.Load does
// at the desk.
func (b Bundle) load(dir, system, main string) (config.Config, error) {
	file := filepath.Join(dir, "idtap.yaml")
	s := config.Source{
		Getenv:   func(string) string { return "" },
		Environ:  func() []string { return nil },
		Hostname: func() (string, error) { return b.Desk, nil },
		GOOS:     system,
		ReadFile: func(path string) ([]byte, error) {
			if path == file {
				return []byte(main), nil
			}
			return b.Files[config.DropIns+"/"+filepath.Base(path)], nil
		},
		ReadDir: func(string) ([]string, error) {
			var list []string
			for name := range b.Files {
				if base, ok := strings.CutPrefix(name, config.DropIns+"/"); ok {
					list = append(list, base)
				}
			}
			return list, nil
		},
	}
	return config.Load(file, s)
}
