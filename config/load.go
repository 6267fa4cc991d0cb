package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// maxFile bounds a configuration file: a larger one is a mistake, and the YAML
// parser's time grows with the square of what nests.
const maxFile = 64 << 10

// Source is the machine a configuration is loaded on; tests set their own.
type Source struct {
	Getenv   func(string) string
	Environ  func() []string
	Hostname func() (string, error)
	ReadFile func(string) ([]byte, error)
	ReadDir  func(string) ([]string, error) // names in order
	GOOS     string
}

// Machine is the Source of the machine the program runs on.
func Machine() Source {
	return Source{Getenv: os.Getenv, Environ: os.Environ, Hostname: os.Hostname, ReadFile: readBounded, ReadDir: names, GOOS: runtime.GOOS}
}

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list, err
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("larger than %d bytes: this is no configuration", maxFile)
	}
	return b, err
}

// Problem is one thing wrong with a configuration.
type Problem struct {
	File string // or the environment variable
	Line int    // 0 where there is none
	Key  string
	Text Text
	Err  error // the cause, where there is one
}

// Unwrap returns the cause.
func (p Problem) Unwrap() error { return p.Err }

func (p Problem) Error() string { return p.In("en") }

// In is the problem in a language, zh or en.
func (p Problem) In(lang string) string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text.In(lang))
	return b.String()
}

// Load reads file over the defaults, then conf.d/*.yaml beside it in name order,
// then the environment, each over what came before, and validates the whole. An
// empty name means no file. The error joins every [Problem] found, so that one run
// names them all.
func Load(file string, s Source) (Config, error) {
	c := Default()
	c.File, c.Origins = file, map[string]Origin{}
	d := decoder{origins: c.Origins}
	if file != "" {
		if err := d.read(file, s, &c); err != nil {
			return c, err
		}
		if err := d.dropIns(filepath.Join(filepath.Dir(file), DropIns), s, &c); err != nil {
			return c, err
		}
		d.file = file
	}
	d.environment(s, &c)
	c.fill(s)
	c.validate(&d, s)
	return c, errors.Join(d.problems...)
}

// DropIns is the folder beside the configuration file whose *.yaml are read after
// it: what a fleet has in common and what is this desk's own lie there, each in a
// file of its own, so that the packaged file is never edited.
const DropIns = "conf.d"

func (d *decoder) read(file string, s Source, c *Config) error {
	b, err := s.ReadFile(file)
	if err != nil {
		return Problem{File: file, Text: say("cannot_read", cause(err)), Err: err}
	}
	d.file = file
	d.document(b, c)
	return nil
}

func (d *decoder) dropIns(dir string, s Source, c *Config) error {
	list, err := s.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Problem{File: dir, Text: say("cannot_read", cause(err)), Err: err}
	}
	slices.Sort(list)
	for _, name := range list {
		path := filepath.Join(dir, name)
		switch ext := filepath.Ext(name); {
		case strings.HasPrefix(name, "."): // an editor's
		case ext == ".yaml":
			if err := d.read(path, s, c); err != nil {
				return err
			}
		case ext == ".yml":
			c.Warnings = append(c.Warnings, say("not_yaml_name", path))
		}
	}
	return nil
}

func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// fill sets what depends on the machine.
func (c *Config) fill(s Source) {
	if c.Desk.ID == "" {
		host, err := s.Hostname()
		c.Desk.ID = DeskID(host)
		if err != nil || c.Desk.ID == "" {
			c.Desk.ID = "desk"
		}
	}
	if c.Outbox.Dir == "" {
		c.Outbox.Dir = StateDir(s)
	}
}

// StateDir is where a daemon of this user keeps its data: systemd's state
// directory, else the XDG state directory, else the local application data. It is
// empty where the environment names none; a path relative to wherever the program
// was started would be another one for each command.
func StateDir(s Source) string {
	if v := s.Getenv("STATE_DIRECTORY"); v != "" {
		return v
	}
	below := func(variable string, parts ...string) string {
		if v := s.Getenv(variable); v != "" {
			return filepath.Join(append([]string{v}, parts...)...)
		}
		return ""
	}
	if s.GOOS == "windows" {
		return below("LOCALAPPDATA", "idtap")
	}
	return cmp.Or(below("XDG_STATE_HOME", "idtap"), below("HOME", ".local", "state", "idtap"))
}

// Packaged is where a package puts the configuration file.
func Packaged(s Source) string {
	if s.GOOS == "windows" {
		return filepath.Join(cmp.Or(s.Getenv("ProgramData"), `C:\ProgramData`), "idtap", "idtap.yaml")
	}
	return "/etc/idtap/idtap.yaml"
}

// DeskID reduces a host name to [a-z0-9-]{1,40}; it is "" if nothing is left.
func DeskID(host string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(host) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 40 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}
