package desk

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"idtap/internal/loopback"
)

const (
	maxStreams   = 32
	maxBody      = 16 << 10
	maxHeader    = 16 << 10
	beatEvery    = 10 * time.Second
	answerWithin = 30 * time.Second // to a slow client
	writeWithin  = 10 * time.Second // one event to one subscriber
	stopWithin   = time.Second
)

// Options say where and to whom the page is served.
type Options struct {
	Listen    string   // host:port; beyond loopback only with TLS and a token
	Origins   []string // further allowed origins, scheme://host[:port]; their hosts may also be asked for
	TokenFile string   // 0600: what other origins and other machines must hold
	PINFile   string   // 0600: operators and PINs; none: nobody signs in
	CertFile  string
	KeyFile   string
	Mask      bool     // the page masks until reveal is held down
	Decoder   []string // command line of the administrator's WLT decoder; none: no portrait
	Operator  string   // name in follow-up events when nobody signed in
	Version   string

	Board     *Board
	Decisions Decisions
	// Handlers of further paths, e.g. /metrics, behind the same host, origin
	// and token checks.
	Handlers map[string]http.Handler
	Clock    clockwork.Clock // default the real one
	Log      zerolog.Logger
}

// Server serves the page and the API.
type Server struct {
	o        Options
	hosts    map[string]bool
	origins  map[string]bool
	token    *[sha256.Size]byte // of the token; nil without one
	sessions *sessions
	requests *rate.Limiter
	reveals  *rate.Limiter
	streams  chan struct{}
	asked    atomic.Int64 // when a program's asking for the state was last written down, Unix nanoseconds
	photos   *decoder     // nil without one
	page     *page
	handler  http.Handler
	listener net.Listener
}

// NewServer checks the options and makes a server. It opens no port.
func NewServer(o Options) (*Server, error) {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	s := &Server{o: o, hosts: map[string]bool{}, origins: map[string]bool{}, sessions: newSessions(o.Clock),
		requests: rate.NewLimiter(200, 200), reveals: rate.NewLimiter(10, 30), streams: make(chan struct{}, maxStreams)}
	for _, origin := range o.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Scheme+"://"+u.Host != origin {
			return nil, fmt.Errorf("desk page: origin %q: want scheme://host or scheme://host:port", origin)
		}
		s.origins[origin] = true
		s.hosts[strings.ToLower(u.Host)] = true
	}
	if o.TokenFile != "" {
		token, err := readToken(o.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("desk page: %w", err)
		}
		sum := sha256.Sum256([]byte(token))
		s.token = &sum
	}
	if o.PINFile != "" {
		if _, err := readPINs(o.PINFile); err != nil {
			return nil, fmt.Errorf("desk page: %w", err)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("desk page: TLS wants both cert and key")
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("desk page: listen %q: want host:port", o.Listen)
	}
	if !loopback.Is(host) && (o.CertFile == "" || s.token == nil) {
		return nil, fmt.Errorf("desk page: %s is open to other machines: that needs desk_page.tls and desk_page.token_file", o.Listen)
	}
	if len(o.Origins) > 0 && s.token == nil {
		return nil, errors.New("desk page: other origins need desk_page.token_file")
	}
	if len(o.Decoder) > 0 {
		s.photos = newDecoder(o.Decoder)
	}
	if s.page, err = newPage(); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /assets/{file}", s.page.serveAsset)
	for pattern, h := range s.api() {
		mux.HandleFunc(pattern, h)
	}
	for path, h := range s.o.Handlers {
		mux.Handle("GET "+path, h)
	}
	return s.guard(mux)
}

// api is what openapi.yaml describes.
func (s *Server) api() map[string]http.HandlerFunc {
	const registration = "/api/v1/registrations/{id}"
	return map[string]http.HandlerFunc{
		"GET /api/v1/openapi.yaml":          serveOpenAPI,
		"GET /api/v1/state":                 s.getState,
		"GET /api/v1/events":                s.getEvents,
		"GET /api/v1/session":               s.getSession,
		"POST /api/v1/session":              s.changing(s.postSession),
		"DELETE /api/v1/session":            s.changing(s.deleteSession),
		"POST " + registration + "/reveal":  s.changing(s.postReveal),
		"POST " + registration + "/photo":   s.changing(s.postPhoto),
		"POST " + registration + "/confirm": s.changing(s.postConfirm),
		"POST " + registration + "/correct": s.changing(s.postCorrect),
		"POST " + registration + "/cancel":  s.changing(s.postCancel),
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Listen opens the port and gives its address. Serve does it by itself if it
// was not done.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.o.Listen)
	if err != nil {
		return nil, fmt.Errorf("desk page: %w", err)
	}
	if s.o.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(s.o.CertFile, s.o.KeyFile)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("desk page: TLS: %w", err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"h2", "http/1.1"}})
	}
	s.listener = l
	return l.Addr(), nil
}

// Serve fetches the to-do list and serves until the context ends; streams end
// with it.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil {
		if _, err := s.Listen(ctx); err != nil {
			return err
		}
	}
	if todo, err := s.o.Decisions.Todo(ctx); err != nil {
		s.o.Log.Error().Err(err).Msg("desk page: the to-do list could not be read")
	} else {
		s.o.Board.restore(todo)
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(s.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("desk page: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close()
	}
	<-ended
	return nil
}
