package bus

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"idtap/internal/loopback"
)

// Server says which NATS server a desk uses and how it logs in. The zero value
// is the embedded server. Every file is read again at each connect, so that
// certificates and credentials rotate without a restart. The names are those of
// the NATS context files.
type Server struct {
	URL          string // nats:// or tls://, comma-separated; empty: the embedded server
	Creds        string // .creds file (JWT and nkey)
	NKey         string // nkey seed file
	User         string
	PasswordFile string
	CA           string // PEM; empty: the system's authorities
	Cert, Key    string // PEM, for mutual TLS

	// APIPrefix of the JetStream API as this login's account sees it; empty:
	// $JS.API. See [Accounts].
	APIPrefix string

	// AllowPlaintext permits a server off this machine without TLS: names and
	// numbers would cross the network in the clear unless they are sealed.
	AllowPlaintext bool
}

// PlaintextError refuses a server off this machine without TLS.
type PlaintextError struct{ Host string }

func (e *PlaintextError) Error() string {
	return fmt.Sprintf("nats server %s is not on this machine and the connection has no TLS: use tls:// or set nats.allow_plaintext", e.Host)
}

// FileError is a credential or certificate file that cannot be used. It never
// carries the file's content.
type FileError struct {
	What string // "credentials", "nkey seed", "password", "certificate", "authorities"
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s %s: %v", e.What, e.Path, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Check finds what no retry can mend: addresses that make no sense, and
// plaintext where it is not allowed (a [*PlaintextError]).
func (s Server) Check() error {
	urls, err := s.urls()
	if err != nil {
		return err
	}
	for _, u := range urls {
		if !s.secure(urls) && !loopback.Is(u.Hostname()) && !s.AllowPlaintext {
			return &PlaintextError{u.Hostname()}
		}
	}
	if (s.Cert == "") != (s.Key == "") {
		return fmt.Errorf("nats: a client certificate and its key come together")
	}
	return nil
}

// api is the prefix of the JetStream API.
func (s Server) api() string { return cmp.Or(s.APIPrefix, DefaultAPIPrefix) }

// jetStream is the API on a connection.
func (s Server) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	return jetstream.NewWithAPIPrefix(nc, s.api())
}

func (s Server) urls() ([]*url.URL, error) {
	var urls []*url.URL
	for text := range strings.SplitSeq(s.URL, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("nats: an address is not like nats://host:4222") // not repeated: it may hold a password
		}
		switch u.Scheme {
		case "nats", "tls":
		default:
			return nil, fmt.Errorf("nats: scheme %s://: want nats:// or tls://", u.Scheme)
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// secure reports whether every connection is made with TLS or not at all: the
// client library asks all servers for TLS once one address says so.
func (s Server) secure(urls []*url.URL) bool {
	for _, u := range urls {
		if u.Scheme == "tls" {
			return true
		}
	}
	return s.CA != "" || s.Cert != ""
}

// loopback reports whether all addresses are on this machine.
func (s Server) loopback() bool {
	urls, err := s.urls()
	if err != nil {
		return false
	}
	for _, u := range urls {
		if !loopback.Is(u.Hostname()) {
			return false
		}
	}
	return true
}

// options are the connect options of the server. An error is a *FileError or
// one of Check's.
func (s Server) options() ([]nats.Option, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	urls, err := s.urls()
	if err != nil {
		return nil, err
	}
	opts := []nats.Option{nats.SetCustomDialer(newDialer())}
	if s.secure(urls) {
		tls, err := s.tlsOptions()
		if err != nil {
			return nil, err
		}
		opts = append(opts, tls...)
	} else if !s.AllowPlaintext {
		// A cluster would announce its members by addresses off this machine.
		opts = append(opts, nats.IgnoreDiscoveredServers())
	}
	login, err := s.login()
	if err != nil {
		return nil, err
	}
	return append(opts, login...), nil
}

func (s Server) login() ([]nats.Option, error) {
	var opts []nats.Option
	if s.Creds != "" {
		if _, err := s.credsClaims(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserCredentials(s.Creds))
	}
	if s.NKey != "" {
		if _, err := s.nkeyPublic(); err != nil {
			return nil, err
		}
		opt, err := nats.NkeyOptionFromSeed(s.NKey)
		if err != nil {
			return nil, &FileError{"nkey seed", s.NKey, err}
		}
		opts = append(opts, opt)
	}
	if s.User != "" {
		if _, err := s.password(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserInfoHandler(func() (string, string) {
			// An unreadable file at a reconnect is an empty password: refused by
			// the server and tried again.
			p, _ := s.password()
			return s.User, p
		}))
	}
	return opts, nil
}

func (s Server) password() (string, error) {
	if s.PasswordFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", &FileError{"password", s.PasswordFile, err}
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// nkeyPublic is the public key of the seed file as it is now.
func (s Server) nkeyPublic() (string, error) {
	text, err := os.ReadFile(s.NKey)
	if err != nil {
		return "", &FileError{"nkey seed", s.NKey, err}
	}
	defer clear(text)
	pair, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return "", &FileError{"nkey seed", s.NKey, fmt.Errorf("no nkey seed in it")}
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

// Dial connects once, for commands that look at a server and go: an error of
// the connection is returned, not retried.
func Dial(s Server, name string, extra ...nats.Option) (*nats.Conn, error) {
	opts, err := s.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, nats.Name(name), nats.Timeout(5*time.Second), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort())
	return nats.Connect(s.URL, append(opts, extra...)...)
}

// Access is the way to a daemon's embedded server and the credential made for
// this run. The password is a secret.
type Access struct {
	URL      string `json:"url,omitempty"` // empty: the embedded server does not listen, or another server is used
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Stream   string `json:"stream"`
}

// Format implements fmt.Formatter so that no verb prints the password.
func (a Access) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "bus.Access(%s, masked)", a.URL) }

// Server returns the server and its login, for Dial.
func (a Access) Server() (Server, nats.Option) {
	return Server{URL: a.URL}, nats.UserInfo(a.User, a.Password)
}
