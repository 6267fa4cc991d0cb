package provision

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idtap/config"
)

// Check loads the configuration in dir as it would be with the bundle's files laid
// over what is there. s is this machine; nothing is written.
func (b Bundle) Check(dir string, s config.Source) (config.Config, error) {
	inBundle := func(path string) ([]byte, bool) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return nil, false
		}
		content, ok := b.Files[filepath.ToSlash(name)]
		return content, ok
	}
	there := s
	s.ReadFile = func(path string) ([]byte, error) {
		if content, ok := inBundle(path); ok {
			return content, nil
		}
		content, err := there.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && path == filepath.Join(dir, mainName) {
			return []byte(packagedFile[s.GOOS]), nil
		}
		return content, err
	}
	s.ReadDir = func(path string) ([]string, error) {
		list, err := there.ReadDir(path)
		if errors.Is(err, fs.ErrNotExist) {
			list, err = nil, nil
		}
		for name := range b.Files {
			if base, ok := strings.CutPrefix(name, config.DropIns+"/"); ok && !slices.Contains(list, base) {
				list = append(list, base)
			}
		}
		return list, err
	}
	return config.Load(filepath.Join(dir, mainName), s)
}

const mainName = "idtap.yaml"

// Write puts the bundle's files in place, each at once, secrets first: settings
// never name a file that is not there yet. own gives a file to whoever may read it;
// secret ones only the service's account may.
func (b Bundle) Write(dir string, own func(path string, secret bool) error) error {
	names := make([]string, 0, len(b.Files))
	for name := range b.Files {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // "conf.d/..." last
		if x, y := isSettings(a), isSettings(b); x != y {
			if x {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := replace(path, b.Files[name], func(p string) error { return own(p, isSecret(name)) }); err != nil {
			return err
		}
	}
	return nil
}

func isSettings(name string) bool { return strings.HasPrefix(name, config.DropIns+"/") }

// isSecret reports whether a file is not for everyone who may look at the settings:
// all but settings, certificates and public keys.
func isSecret(name string) bool {
	return !isSettings(name) && !slices.Contains([]string{".pem", ".crt", ".cer", ".pub"}, filepath.Ext(name))
}

func replace(path string, content []byte, own func(string) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".provision-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := own(f.Name()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// OtherDesk returns the error of a queue that is another desk's.
func OtherDesk(id string, records uint64, dir string) error {
	return texts.Errorf("not_apart", id, records, dir)
}
