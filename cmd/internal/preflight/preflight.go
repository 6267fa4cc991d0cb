// Package preflight looks at everything on this machine that a configuration
// names and that a start depends on: files exist, can be read, are what they
// should be and are nobody else's to change; the data directory can be written
// and belongs to the account that runs the daemon. `run`, `config check` and
// `diag` ask it alike: what it passes starts.
//
// A full disk, an absent reader and an absent bus are no faults here: the daemon
// starts all the same and its page says so.
package preflight

import (
	"crypto/tls"
	_ "embed"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"idtap/config"
	"idtap/driver/diagnosis"
	"idtap/internal/securefile"
	"idtap/internal/text"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/event"
)

//go:embed texts.json
var textsFile []byte

var texts = text.MustLoad("cmd/internal/preflight", textsFile)

// What can keep a daemon from starting.
var (
	missing = diagnosis.NewEntry(texts, "file_missing", diagnosis.Critical)
	denied  = diagnosis.NewEntry(texts, "file_denied", diagnosis.Critical)
	exposed = diagnosis.NewEntry(texts, "file_exposed", diagnosis.Critical)
	invalid = diagnosis.NewEntry(texts, "file_invalid", diagnosis.Critical)
	foreign = diagnosis.NewEntry(texts, "data_foreign", diagnosis.Critical)
	noData  = diagnosis.NewEntry(texts, "data_denied", diagnosis.Critical)
	taken   = diagnosis.NewEntry(texts, "port_taken", diagnosis.Critical)
)

// Entries lists what a preflight finds.
func Entries() []diagnosis.Entry {
	return []diagnosis.Entry{missing, denied, exposed, invalid, foreign, noData, taken}
}

// Fault is one thing that is wrong.
type Fault struct {
	diagnosis.Finding
	Key    string // of the configuration
	Owner  string // account that the data directory belongs to, as a shell's word; "": this one
	Blocks bool   // the daemon does not start
}

// In says the fault in one paragraph.
func (f Fault) In(lang text.Lang) string {
	s := f.Key
	if f.Subject != "" {
		s += " " + f.Subject
	}
	s += ": " + f.What.In(lang)
	if d := f.DetailIn(lang); d != "" {
		s += " (" + d + ")"
	}
	return s + ": " + f.Do.In(lang)
}

// maxFile is the size of the largest file that a configuration names.
const maxFile = 1 << 20

// file is one file of a configuration.
type file struct {
	key, path string
	secret    bool
	blocks    bool                    // whatever is wrong with it, exposure apart
	strict    bool                    // exposure blocks, too
	check     func(path string) error // nil: not looked into
	parse     func([]byte) error      // nil: not looked into
}

// Files judges the files and directories that a configuration names. Nothing in
// what it returns holds anything of a file's content.
func Files(c config.Config) []Fault {
	var faults []Fault
	for _, f := range files(c) {
		if f.path != "" {
			faults = append(faults, f.judge()...)
		}
	}
	faults = append(faults, decoder(c.Photo.Decoder)...)
	return append(faults, data(c.Outbox.Dir)...)
}

// Blocking reports whether any fault keeps the daemon from starting.
func Blocking(list []Fault) bool {
	for _, f := range list {
		if f.Blocks {
			return true
		}
	}
	return false
}

// files lists what is to be looked at. Files of the connection to the bus never
// keep the daemon from starting: it keeps trying, and says so.
func files(c config.Config) []file {
	page, n := c.DeskPage, c.NATS
	list := []file{{key: "-c", path: c.File}}
	if page.Listen != "" {
		list = append(list,
			file{key: "desk_page.token_file", path: page.TokenFile, secret: true, blocks: true, strict: true, check: desk.CheckToken},
			file{key: "desk_page.pin_file", path: page.PINFile, secret: true, blocks: true, strict: true, check: desk.CheckPINs})
		if page.TLS.Cert != "" && page.TLS.Key != "" {
			pair := func(string) error {
				_, err := tls.LoadX509KeyPair(page.TLS.Cert, page.TLS.Key)
				return err
			}
			list = append(list, file{key: "desk_page.tls.cert", path: page.TLS.Cert, blocks: true},
				file{key: "desk_page.tls.key", path: page.TLS.Key, secret: true, blocks: true, check: pair})
		}
	}
	list = append(list,
		file{key: "desk.ref_key_file", path: c.Desk.RefKeyFile, secret: true, blocks: true, parse: refKey},
		file{key: "desk.signing_key", path: c.Desk.SigningKey, secret: true, parse: seed},
		file{key: "outbox.key_file", path: existing(c.Outbox.KeyFile), secret: true})
	if n.URL == "" {
		list = append(list, file{key: "nats.embedded.config", path: n.Embedded.Config, blocks: true, check: bus.CheckEmbedded})
	}
	for _, r := range n.EncryptTo {
		list = append(list, file{key: "nats.encrypt_to", path: r.Key, blocks: true, parse: func(b []byte) error {
			_, err := event.ParsePublicKey(b)
			return err
		}})
	}
	return append(list,
		file{key: "nats.creds", path: n.Creds, secret: true}, file{key: "nats.nkey", path: n.NKey, secret: true},
		file{key: "nats.password_file", path: n.PasswordFile, secret: true},
		file{key: "nats.tls.ca", path: n.TLS.CA}, file{key: "nats.tls.cert", path: n.TLS.Cert}, file{key: "nats.tls.key", path: n.TLS.Key, secret: true})
}

// existing is a path unless nothing is there yet.
func existing(path string) string {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

func refKey(b []byte) error {
	if len(strings.TrimSpace(string(b))) < 32 {
		return text.Error(texts.Say("ref_key_short"))
	}
	return nil
}

func seed(b []byte) error {
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(b))))
	if err != nil {
		return text.Error(texts.Say("want_seed"))
	}
	pair.Wipe()
	return nil
}

func (f file) fault(e diagnosis.Entry, blocks bool, details ...any) Fault {
	if !blocks {
		e.Level = diagnosis.Warning
	}
	return Fault{Finding: diagnosis.NewFinding(e, f.path, append([]any{f.key}, details...)...), Key: f.key, Blocks: blocks}
}

func (f file) judge() []Fault {
	content, err := securefile.Read(f.path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Fault{f.fault(missing, f.blocks)}
	case errors.Is(err, fs.ErrPermission):
		return []Fault{f.fault(denied, f.blocks)}
	case err != nil:
		return []Fault{f.fault(invalid, f.blocks, plain(err))}
	}
	var faults []Fault
	var e *securefile.ExposedError
	if errors.As(securefile.Judge(f.path, f.secret), &e) {
		fault := f.fault(exposed, f.strict, texts.Say(doing(e)))
		fault.Do = text.Plain(e.Command())
		faults = append(faults, fault)
		if f.strict {
			return faults // it is not read either
		}
	}
	if f.parse != nil {
		err = f.parse(content)
	} else if f.check != nil {
		err = f.check(f.path)
	}
	if err != nil {
		faults = append(faults, f.fault(invalid, f.blocks, plain(err)))
	}
	return faults
}

// doing is the key of what others could do.
func doing(e *securefile.ExposedError) string {
	switch {
	case e.Write:
		return "others_write"
	default:
		return "others_read"
	}
}

// plain takes the path off an error, which the fault names.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func decoder(command []string) []Fault {
	if len(command) == 0 {
		return nil
	}
	f := file{key: "photo.decoder", path: command[0]}
	path, err := exec.LookPath(f.path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return []Fault{f.fault(denied, false)}
	case err != nil:
		return []Fault{f.fault(missing, false)}
	}
	f.path = path
	var e *securefile.ExposedError
	if errors.As(securefile.Judge(path, false), &e) {
		fault := f.fault(exposed, false, texts.Say(doing(e)))
		fault.Do = text.Plain(e.Command())
		return []Fault{fault}
	}
	return nil
}

// data judges the queue's directory, or the nearest directory above it that is
// there.
func data(dir string) []Fault {
	f := file{key: "outbox.dir", path: dir}
	var other *securefile.OwnerError
	if err := securefile.CheckDir(dir); errors.As(err, &other) {
		fault := f.fault(foreign, true, other.Account())
		fault.Owner = securefile.Quote(other.Account())
		fault.Do = text.Plain("sudo -u " + fault.Owner + " idtap run")
		return []Fault{fault}
	}
	at := dir
	info, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	if err != nil || !info.IsDir() {
		return []Fault{f.fault(noData, true, at)}
	}
	if !writable(at) {
		return []Fault{f.fault(noData, true, at)}
	}
	return nil
}

// Ports tries the ports that the daemon will open, the page's apart, which tells
// more when it is opened: who has it.
func Ports(c config.Config) []Fault {
	if c.NATS.URL != "" || c.NATS.Embedded.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", c.NATS.Embedded.Listen)
	if err != nil {
		f := file{key: "nats.embedded.listen", path: c.NATS.Embedded.Listen}
		return []Fault{f.fault(taken, true, plainNet(err))}
	}
	l.Close()
	return nil
}

func plainNet(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
