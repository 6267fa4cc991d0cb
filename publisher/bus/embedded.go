package bus

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"idtap/internal/loopback"
	"idtap/internal/securefile"
)

// Embedded configures the embedded nats-server: the default destination, never
// the queue.
type Embedded struct {
	Dir    string        // of the store, made with mode 0700; locked while in use
	Key    string        // the store is encrypted with it
	MaxAge time.Duration // how long events stay in the store; 0: for ever

	// Listen opens a TCP port too, e.g. 127.0.0.1:4222, with a credential made
	// for this run. Empty: only this process reaches the server.
	Listen string
	// NextPort takes the next free port when Listen's is busy.
	NextPort bool
	// Config is an administrator's nats-server file, for a leaf node and the
	// like. What this package relies on is forced over it.
	Config string
}

// ErrStoreLocked means that another daemon uses the embedded server's store.
var ErrStoreLocked = errors.New("another daemon uses this embedded store")

const (
	embeddedReady = 10 * time.Second
	portsTried    = 100
)

// embedded is the running server. Connections made through it survive a
// restart of the server inside.
type embedded struct {
	o        Embedded
	name     string
	plain    bool // a port off this machine may go without TLS
	log      zerolog.Logger
	lock     *os.File
	user     string // login of this run; empty: the server asks for none
	password string

	mu       sync.Mutex
	srv      *server.Server
	addr     string // host:port it listens on; empty: none
	setAside string // where a store that did not open was put
}

func startEmbedded(o Embedded, name string, allowPlaintext bool, log zerolog.Logger) (*embedded, error) {
	if err := securefile.OwnSubdir(o.Dir); err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	lock, err := securefile.Open(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	if err := securefile.Lock(lock); err != nil {
		lock.Close()
		if errors.Is(err, securefile.ErrLocked) {
			err = ErrStoreLocked
		}
		return nil, fmt.Errorf("embedded server: %s: %w", o.Dir, err)
	}
	e := &embedded{o: o, name: name, plain: allowPlaintext, log: log, lock: lock, addr: o.Listen}
	if o.Listen != "" && o.NextPort {
		if e.addr, err = freePort(o.Listen); err != nil {
			lock.Close()
			return nil, fmt.Errorf("embedded server: %w", err)
		}
	}
	if err := e.start(); err != nil {
		if err = e.startFresh(err); err != nil {
			lock.Close()
			return nil, err
		}
	}
	return e, nil
}

// startFresh puts a store that does not open aside and begins a new one: it is
// a destination, and what it held is in the queue's journal for as long as it
// would have been here. If a new one does not start either, the store was not
// the cause and goes back.
func (e *embedded) startFresh(cause error) error {
	store := e.store()
	if _, err := os.Stat(store); err != nil || errors.As(cause, new(*configError)) {
		return cause
	}
	aside := store + ".broken-" + time.Now().UTC().Format("20060102T150405")
	if err := os.Rename(store, aside); err != nil {
		return cause
	}
	if err := e.start(); err != nil {
		os.RemoveAll(store)
		os.Rename(aside, store)
		return cause
	}
	e.setAside = aside
	return nil
}

// configError is a mistake in the configuration: no other store mends it.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

func (e *embedded) store() string { return filepath.Join(e.o.Dir, "store") }

func (e *embedded) start() error {
	opts, err := e.options()
	if err != nil {
		return &configError{fmt.Errorf("embedded server: %w", err)}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return &configError{fmt.Errorf("embedded server: %w", err)}
	}
	log := &serverLog{log: e.log}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if why := log.fatal.Load(); why != nil || !srv.ReadyForConnections(embeddedReady) {
		srv.Shutdown()
		srv.WaitForShutdown()
		if why == nil {
			return errors.New("embedded server: does not get ready")
		}
		return fmt.Errorf("embedded server: %s", *why)
	}
	e.mu.Lock()
	e.srv = srv
	e.mu.Unlock()
	return nil
}

// CheckEmbedded returns what keeps an administrator's nats-server file from being
// used.
func CheckEmbedded(path string) error {
	_, err := server.ProcessConfigFile(path)
	return err
}

// options are the administrator's file, or defaults, with what must hold forced
// over it.
func (e *embedded) options() (*server.Options, error) {
	opts := &server.Options{}
	if e.o.Config != "" {
		var err error
		if opts, err = server.ProcessConfigFile(e.o.Config); err != nil {
			return nil, err
		}
		if err := checkListeners(e.o.Config, opts); err != nil {
			return nil, err
		}
	}
	if opts.ServerName == "" {
		opts.ServerName = e.name
	}
	opts.NoSigs = true // it would take over the daemon's signals and exit
	opts.NoLog, opts.LogFile, opts.Syslog = false, "", false
	opts.Debug, opts.Trace, opts.TraceVerbose = false, false, false // traces show payloads
	opts.PidFile, opts.PortsFileDir = "", ""
	opts.JetStream, opts.StoreDir, opts.SyncAlways = true, e.store(), true
	opts.DisableJetStreamBanner = true
	if e.o.Key != "" {
		opts.JetStreamKey, opts.JetStreamCipher = e.o.Key, server.ChaCha
	}
	opts.DontListen = e.addr == ""
	if e.addr != "" {
		host, port, err := net.SplitHostPort(e.addr)
		if err != nil {
			return nil, fmt.Errorf("listen %q: want host:port", e.addr)
		}
		if !loopback.Is(host) && opts.TLSConfig == nil && !e.plain {
			return nil, &PlaintextError{host}
		}
		if opts.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen %q: want host:port", e.addr)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
		if l, err := net.Listen("tcp", e.addr); err != nil {
			return nil, err // the server would only log it
		} else if err := l.Close(); err != nil {
			return nil, err
		}
		opts.Host = host
	}
	return opts, e.addLogin(opts)
}

// addLogin adds this run's user where anybody but this process could connect,
// or where the administrator's file asks for a login.
func (e *embedded) addLogin(opts *server.Options) error {
	if len(opts.TrustedOperators) > 0 || opts.Authorization != "" {
		return errors.New("the nats-server file uses an operator or a token: use accounts and users instead")
	}
	open := opts.Username == "" && len(opts.Users) == 0 && len(opts.Nkeys) == 0 && len(opts.Accounts) == 0
	if open && opts.DontListen {
		return nil
	}
	if e.user == "" {
		e.user, e.password = "idtap", rand.Text()
	}
	// The server warns of passwords that are not hashed. This one is random, so
	// that the cheapest hash is enough.
	hash, err := bcrypt.GenerateFromPassword([]byte(e.password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	if opts.Username != "" {
		opts.Users = append(opts.Users, &server.User{Username: opts.Username, Password: opts.Password})
		opts.Username, opts.Password = "", ""
	}
	me := &server.User{Username: e.user, Password: string(hash)}
	if remotes := opts.LeafNode.Remotes; len(remotes) > 0 {
		for _, a := range opts.Accounts {
			if a.Name == remotes[0].LocalAccount {
				me.Account = a
			}
		}
	}
	opts.Users = append(opts.Users, me)
	return nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	srv := e.srv
	e.mu.Unlock()
	if srv == nil {
		return nil, errEmbeddedDown
	}
	return srv.InProcessConn()
}

var errEmbeddedDown = errors.New("the embedded server is down")

func (e *embedded) down() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv == nil
}

// url is where other programs reach the server; empty if it does not listen.
func (e *embedded) url() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.addr == "" || e.srv == nil {
		return ""
	}
	return "nats://" + e.srv.Addr().String()
}

// restart brings a server back that no longer answers: after a full disk it
// stays stuck even when there is room again.
func (e *embedded) restart() error {
	e.shutdown()
	return e.start()
}

func (e *embedded) shutdown() {
	e.mu.Lock()
	srv := e.srv
	e.srv = nil
	e.mu.Unlock()
	if srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

func (e *embedded) stop() {
	e.shutdown()
	e.lock.Close()
}

// freePort gives listen, or the same host with the next port that is free.
func freePort(listen string) (string, error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	first, err := strconv.Atoi(text)
	if err != nil {
		return "", err
	}
	for port := first; port < first+portsTried; port++ {
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port from %d to %d", first, first+portsTried-1)
}

// maxServerText bounds what of one line clients may have chosen.
const maxServerText = 300

// line logs with the format as the message and the values as a field, so that the
// log's limit knows a message again. The server puts who is concerned before a
// client's format, as "address - cid:7 - ...", which is cut off.
func line(e *zerolog.Event, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if len(text) > maxServerText {
		text = strings.ToValidUTF8(text[:maxServerText], "") + "…"
	}
	if i := strings.LastIndex(format, " - "); i >= 0 {
		format = format[i+len(" - "):]
	}
	e.Str("text", text).Msg("nats-server: " + format)
}

// serverLog gives the server's warnings and errors to the daemon's log, and
// keeps what it would have ended its process for. The rest is dropped: traces
// show payloads.
type serverLog struct {
	log   zerolog.Logger
	fatal atomic.Pointer[string]
}

func (*serverLog) Noticef(string, ...any)           {}
func (*serverLog) Debugf(string, ...any)            {}
func (*serverLog) Tracef(string, ...any)            {}
func (l *serverLog) Warnf(format string, v ...any)  { line(l.log.Warn(), format, v) }
func (l *serverLog) Errorf(format string, v ...any) { line(l.log.Error(), format, v) }
func (l *serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.Store(&why)
	l.log.Error().Msg(why)
}
