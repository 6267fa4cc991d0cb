package desk

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"idtap/publisher/event"
)

// Headers of the page's own requests.
const ticketHeader = "Idtap-Page"

// contentPolicy allows the page its own scripts and styles and the portrait as
// a blob; nothing else loads, and nobody may frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// caller is who makes a request, as far as the guard found out.
type caller struct {
	ticket   string // of one of our pages, or ""
	token    bool   // holds the token
	operator event.Operator
}

type callerKey struct{}

func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// guard lets in who may ask: by host (a page that rebinds its name to this
// machine sends its own), by origin, by token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Vary", "Origin")
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin)) // a stream sets its own
		if !s.hostAllowed(r) {
			refuse(w, http.StatusMisdirectedRequest, "host_not_allowed")
			return
		}
		foreign, ok := s.originAllowed(r)
		if !ok {
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			refuse(w, http.StatusForbidden, "origin_not_allowed")
			return
		}
		if foreign {
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			h.Set("Access-Control-Expose-Headers", "Retry-After")
			if r.Method == http.MethodOptions {
				preflight(w, r)
				return
			}
		} else {
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
		}
		if !s.requests.Allow() {
			h.Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, "too_many_requests")
			return
		}
		c := s.identify(r)
		needsToken := foreign || !fromLoopback(r) && !isShell(r)
		if needsToken && !c.token || c.wrongToken(r) {
			h.Set("WWW-Authenticate", `Bearer realm="idtap"`)
			refuse(w, http.StatusUnauthorized, "token_required")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// identify finds out who calls.
func (s *Server) identify(r *http.Request) caller {
	c := caller{operator: event.Operator{Name: s.o.Operator}}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && s.token != nil {
		sum := sha256.Sum256([]byte(bearer))
		c.token = subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
	}
	if t := r.Header.Get(ticketHeader); t != "" && s.sessions.valid(t) {
		c.ticket = t
		if name, ok := s.sessions.operator(t); ok {
			c.operator = event.Operator{Name: name, Authenticated: true}
		}
	}
	return c
}

// wrongToken reports a token that is not ours: said, rather than taken as none.
func (c caller) wrongToken(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" && !c.token
}

// hostAllowed checks the Host header against names by which this server is
// known: the very address that was connected to, localhost on loopback, and the
// hosts of desk_page.origins. An address cannot be rebound, a name can.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := strings.ToLower(r.Host)
	if s.hosts[host] {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return false
	}
	ip := addr.Addr().Unmap()
	if name, port, err := net.SplitHostPort(host); err == nil && name == "localhost" {
		return ip.IsLoopback() && port == portText(addr)
	}
	asked, err := netip.ParseAddrPort(host)
	return err == nil && asked.Addr().Unmap().WithZone("") == ip.WithZone("") && asked.Port() == addr.Port()
}

func portText(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// originAllowed checks where a request comes from; foreign means an allowed
// origin that is not our own. Without an Origin header a browser's other
// requests (images, scripts, frames, plain forms) are told by Sec-Fetch-Site,
// which programs do not send: from elsewhere a browser may only navigate to the
// page itself.
func (s *Server) originAllowed(r *http.Request) (foreign, ok bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "same-origin", "none":
			return false, true
		}
		navigates := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		return false, navigates && r.Method == http.MethodGet && r.URL.Path == "/"
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false, false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if u.Scheme == scheme && strings.EqualFold(u.Host, r.Host) {
		return false, true
	}
	return true, s.origins[origin]
}

// preflight answers an allowed origin, the private-network question of
// Chromium 98 to 141 included; later ones ask the user instead.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
}

// isShell reports whether a request is for the page's own files, in which
// nothing is personal: from another machine they come without the token, so
// that the page can ask for it.
func isShell(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/assets/"))
}

func fromLoopback(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
