package vendorports

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// refusal is why a caller is not answered. Its text stands in the log and in a
// metric's label: it names no page.
type refusal struct {
	reason string
	status int
}

// The refusals, in the order of the checks.
var (
	badHost         = refusal{"host", http.StatusMisdirectedRequest}
	badOrigin       = refusal{"origin_not_listed", http.StatusForbidden}
	noReferer       = refusal{"referer_missing", http.StatusForbidden}
	noRefererHTTPS  = refusal{"referer_missing_https", http.StatusForbidden}
	badReferer      = refusal{"referer_not_listed", http.StatusForbidden}
	notScript       = refusal{"not_a_script", http.StatusForbidden}
	noCallback      = refusal{"no_callback", http.StatusForbidden}
	badCallback     = refusal{"bad_callback", http.StatusBadRequest}
	tooManyRequests = refusal{"too_many_requests", http.StatusTooManyRequests}
)

var callbackName = regexp.MustCompile(`^[A-Za-z_$][\w$.]{0,127}$`)

// guard decides who may ask.
type guard struct {
	listen  string
	origins []string
}

// admit returns the origin that asks, or why it is refused. jsonp tells whether
// the port answers scripts at all; callback is what such a script names.
func (g guard) admit(r *http.Request, jsonp bool, callback string) (origin string, no *refusal) {
	if !g.host(r.Host) {
		return "", &badHost
	}
	if o := r.Header.Get("Origin"); o != "" {
		if !slices.Contains(g.origins, o) {
			return "", &badOrigin
		}
		if callback != "" && !callbackName.MatchString(callback) {
			return "", &badCallback
		}
		return o, nil
	}
	return g.script(r, jsonp, callback)
}

// script admits a page that has no Origin to show: a script element's request.
// A page cannot forge its Referer, only hide or shorten it.
func (g guard) script(r *http.Request, jsonp bool, callback string) (string, *refusal) {
	referer := r.Header.Get("Referer")
	site, mode, dest := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if referer == "" {
		if site != "" {
			return "", &noRefererHTTPS // a browser asks, and an https page hides where it is
		}
		return "", &noReferer
	}
	u, err := url.Parse(referer)
	if err != nil {
		return "", &badReferer
	}
	origin := u.Scheme + "://" + u.Host
	switch {
	case !slices.Contains(g.origins, origin):
		return "", &badReferer
	case mode != "" && mode != "no-cors", dest != "" && dest != "script":
		return "", &notScript
	case !jsonp || callback == "":
		return "", &noCallback
	case !callbackName.MatchString(callback):
		return "", &badCallback
	}
	return origin, nil
}

// host compares the Host header with the address that is listened on, so that a
// name rebound to loopback is refused.
func (g guard) host(host string) bool {
	_, port, err := net.SplitHostPort(g.listen)
	if err != nil {
		return false
	}
	return host == g.listen || strings.EqualFold(host, "localhost:"+port) || host == "127.0.0.1:"+port
}
