package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
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
	GOOS     string
}

// Machine is the Source of the machine the program runs on.
func Machine() Source {
	return Source{Getenv: os.Getenv, Environ: os.Environ, Hostname: os.Hostname, ReadFile: readBounded, GOOS: runtime.GOOS}
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
}

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

// Load reads file over the defaults and the environment over both, and
// validates the whole. An empty name means no file. The error joins every
// [Problem] found, so that one run names them all.
func Load(file string, s Source) (Config, error) {
	c := Default()
	c.File = file
	d := decoder{lines: map[string]int{}}
	if file != "" {
		b, err := s.ReadFile(file)
		if err != nil {
			return c, Problem{File: file, Text: say("cannot be read: %s", cause(err))}
		}
		d.file = file
		d.document(b, &c)
	}
	d.environment(s, &c)
	c.fill(s)
	c.validate(&d)
	return c, errors.Join(d.problems...)
}

func cause(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
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
// directory, else the XDG state directory, else the local application data.
func StateDir(s Source) string {
	if v := s.Getenv("STATE_DIRECTORY"); v != "" {
		return v
	}
	if s.GOOS == "windows" {
		return filepath.Join(s.Getenv("LOCALAPPDATA"), "idtap")
	}
	if v := s.Getenv("XDG_STATE_HOME"); v != "" {
		return filepath.Join(v, "idtap")
	}
	return filepath.Join(s.Getenv("HOME"), ".local", "state", "idtap")
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
