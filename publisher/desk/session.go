package desk

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/time/rate"
)

const (
	signedInFor = 30 * time.Minute // without an action
	maxSessions = 64
)

// sessions knows which pages are ours and who signed in on them.
//
// A page carries a ticket: random bytes and their HMAC under a key of this
// start of the daemon. It travels in a header of the page's own requests, not
// in a cookie: cookies do not keep the ports of 127.0.0.1 apart, and a header
// cannot be sent from another origin without a preflight.
type sessions struct {
	clock clockwork.Clock
	key   [32]byte
	tries *rate.Limiter // of PINs

	mu sync.Mutex // guards in
	in map[string]signIn
}

type signIn struct {
	operator string
	used     time.Time
}

func newSessions(clock clockwork.Clock) *sessions {
	s := &sessions{clock: clock, in: map[string]signIn{}, tries: rate.NewLimiter(rate.Every(3*time.Second), 5)}
	rand.Read(s.key[:])
	return s
}

// ticket makes a new page's ticket.
func (s *sessions) ticket() string {
	var nonce [18]byte
	rand.Read(nonce[:])
	return base64.RawURLEncoding.EncodeToString(append(nonce[:], s.mac(nonce[:])...))
}

// valid reports whether a ticket is of this start of the daemon.
func (s *sessions) valid(ticket string) bool {
	b, err := base64.RawURLEncoding.DecodeString(ticket)
	return err == nil && len(b) == 36 && hmac.Equal(b[18:], s.mac(b[:18]))
}

func (s *sessions) mac(nonce []byte) []byte {
	h := hmac.New(sha256.New, s.key[:])
	h.Write(nonce)
	return h.Sum(nil)[:18]
}

// enter signs an operator in on a page.
func (s *sessions) enter(ticket, operator string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	oldest, at := "", now
	for t, in := range s.in {
		if now.Sub(in.used) > signedInFor {
			delete(s.in, t)
		} else if !in.used.After(at) {
			oldest, at = t, in.used
		}
	}
	if len(s.in) >= maxSessions {
		delete(s.in, oldest)
	}
	s.in[ticket] = signIn{operator, now}
}

func (s *sessions) leave(ticket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.in, ticket)
}

// operator gives who is signed in on a page.
func (s *sessions) operator(ticket string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.in[ticket]
	if !ok {
		return "", false
	}
	now := s.clock.Now()
	if now.Sub(in.used) > signedInFor {
		delete(s.in, ticket)
		return "", false
	}
	in.used = now
	s.in[ticket] = in
	return in.operator, true
}

// Session says who is signed in on a page.
type Session struct {
	PIN      bool   `json:"pin"` // a PIN file is configured
	SignedIn bool   `json:"signed_in"`
	Operator string `json:"operator,omitempty"`
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) {
	c := callerOf(r)
	reply(w, http.StatusOK, s.session(c))
}

func (s *Server) session(c caller) Session {
	v := Session{PIN: s.o.PINFile != "", SignedIn: c.operator.Authenticated}
	if v.SignedIn {
		v.Operator = c.operator.Name
	}
	return v
}

func (s *Server) postSession(w http.ResponseWriter, r *http.Request) {
	var body struct {
		PIN string `json:"pin"`
	}
	c := callerOf(r)
	switch {
	case !decode(w, r, &body):
		return
	case c.ticket == "":
		refuse(w, http.StatusForbidden, "page_only")
		return
	case s.o.PINFile == "":
		refuse(w, http.StatusConflict, "no_pin_file")
		return
	case !s.sessions.tries.AllowN(s.o.Clock.Now(), 1):
		w.Header().Set("Retry-After", "3")
		refuse(w, http.StatusTooManyRequests, "too_many_tries")
		return
	}
	ops, err := readPINs(s.o.PINFile)
	if err != nil {
		s.o.Log.Error().Err(err).Msg("desk page: sign-in")
		refuse(w, http.StatusInternalServerError, "pin_file")
		return
	}
	name, ok := ops.find(body.PIN)
	if !ok {
		refuse(w, http.StatusForbidden, "wrong_pin")
		return
	}
	s.sessions.enter(c.ticket, name)
	reply(w, http.StatusOK, Session{PIN: true, SignedIn: true, Operator: name})
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) {
	s.sessions.leave(callerOf(r).ticket)
	reply(w, http.StatusOK, Session{PIN: s.o.PINFile != ""})
}
