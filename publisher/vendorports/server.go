package vendorports

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// verb is what a call asks for.
type verb int

const (
	unknown verb = iota
	connect
	disconnect
	status
	version
	read
)

// call is a request taken apart.
type call struct {
	verb    verb
	wait    time.Duration // how long to wait for a card
	once    bool          // the same card is answered the first time only
	noPhoto bool
	html    bool // as text/html, for old browsers
	sides   bool // with a picture of both sides, which is never there
}

// service is one vendor's form of asking and answering.
type service interface {
	name() string
	jsonp() bool
	plan(path string) call
	answer(c call, out outcome, p person) string
}

// Options are what the ports are told once.
type Options struct {
	CVR, XZX, Routon string   // loopback addresses to listen on; "" is off
	Origins          []string // who may ask, exact; must not be empty
	Slot             *Slot
	// Audit leaves a line before data is given: who got what record.
	Audit func(ctx context.Context, who, what, id string) error
	// Given tells the page's clerk where the data went.
	Given func(id, origin string)
	// Photo decodes a portrait; nil: pages get none.
	Photo func(ctx context.Context, wlt []byte) ([]byte, error)
	Clock clockwork.Clock
	Log   zerolog.Logger
}

// Ports serves the vendors' calls.
type Ports struct {
	o       Options
	servers []*http.Server
	sockets []net.Listener

	mu      sync.Mutex        // guards all below
	waiting map[string]func() // by service and origin: ends the request that waits
	read    map[string]uint64 // by service and origin: tap answered with readOnce
	counts  map[Count]uint64
}

// Count is what one origin was answered or refused on one port.
type Count struct {
	Port   string // cvr, xzx or routon
	Result string // given, no_card, or the reason of a refusal
}

// ErrNoOrigins is a configuration that would answer nobody.
var ErrNoOrigins = errors.New("vendor_ports.origins is empty: name the pages that may ask, e.g. http://his.example.cn")

// Listen opens the configured ports. None of them is served before Serve.
func Listen(ctx context.Context, o Options) (*Ports, error) {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if len(o.Origins) == 0 {
		return nil, ErrNoOrigins
	}
	p := &Ports{o: o, waiting: map[string]func(){}, read: map[string]uint64{}, counts: map[Count]uint64{}}
	for _, s := range []struct {
		address string
		service service
	}{{o.CVR, cvr{}}, {o.XZX, xzx{}}, {o.Routon, routon{}}} {
		if s.address == "" {
			continue
		}
		if err := p.listen(ctx, s.address, s.service); err != nil {
			p.close()
			return nil, fmt.Errorf("vendor_ports.%s: %w", s.service.name(), err)
		}
	}
	return p, nil
}

func (p *Ports) listen(ctx context.Context, address string, s service) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address and port", address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	door := &door{ports: p, service: s, guard: guard{listen: l.Addr().String(), origins: p.o.Origins}, limit: rate.NewLimiter(50, 100)}
	p.sockets = append(p.sockets, l)
	p.servers = append(p.servers, &http.Server{Handler: door, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10, IdleTimeout: time.Minute})
	return nil
}

func (p *Ports) close() {
	for _, l := range p.sockets {
		l.Close()
	}
}

// Addresses are where the ports listen, in the order cvr, xzx, routon.
func (p *Ports) Addresses() []string {
	var all []string
	for _, l := range p.sockets {
		all = append(all, l.Addr().String())
	}
	return all
}

// Serve answers until the context ends.
func (p *Ports) Serve(ctx context.Context) error {
	var running sync.WaitGroup
	failed := make(chan error, len(p.servers))
	for i, s := range p.servers {
		s.BaseContext = func(net.Listener) context.Context { return ctx }
		running.Go(func() {
			if err := s.Serve(p.sockets[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	for _, s := range p.servers {
		s.Close()
	}
	running.Wait()
	return err
}

// Counts returns how often each port answered and refused.
func (p *Ports) Counts() map[Count]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[Count]uint64, len(p.counts))
	for k, n := range p.counts {
		all[k] = n
	}
	return all
}

func (p *Ports) count(port, result string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[Count{port, result}]++
}

// door is one port.
type door struct {
	ports   *Ports
	service service
	guard   guard
	limit   *rate.Limiter
}

// ServeHTTP decides who asks before anything else is looked at.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, query := split(r.URL)
	callback := query.Get("callback")
	origin, no := d.guard.admit(r, d.service.jsonp(), callback)
	if no == nil && !d.limit.AllowN(d.ports.o.Clock.Now(), 1) {
		no = &tooManyRequests
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if no != nil {
		d.ports.count(d.service.name(), no.reason)
		d.ports.o.Log.Debug().Str("port", d.service.name()).Str("reason", no.reason).Msg("vendor port: refused")
		http.Error(w, no.reason, no.status)
		return
	}
	if r.Header.Get("Origin") != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	}
	if r.Method == http.MethodOptions {
		preflight(h, r)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c := d.service.plan(path)
	if d.service.jsonp() {
		c.parameters(query)
	}
	body := d.answer(r.Context(), origin, c)
	switch {
	case callback != "" && d.service.jsonp():
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		body = "/**/" + callback + "(" + body + ");"
	case c.html:
		h.Set("Content-Type", "text/html; charset=utf-8")
	default:
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	fmt.Fprint(w, body)
}

// split takes a request's path and parameters apart. Pages glue parameters on
// with & and no question mark.
func split(u *url.URL) (path string, query url.Values) {
	path, glued, _ := strings.Cut(u.Path, "&")
	query = u.Query()
	if more, err := url.ParseQuery(glued); err == nil {
		for k, v := range more {
			query[k] = append(query[k], v...)
		}
	}
	return path, query
}

// preflight allows a listed page what it asks for: its wrapper's own headers too.
func preflight(h http.Header, r *http.Request) {
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Max-Age", "600")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
}

// answer gives what lies on the readers. Data leaves only after its audit line.
func (d *door) answer(ctx context.Context, origin string, c call) string {
	p := d.ports
	key := d.service.name() + " " + origin
	out, l := d.await(ctx, key, c)
	if c.verb != read || out != card {
		if c.verb == read {
			p.count(d.service.name(), map[outcome]string{noCard: "no_card", misread: "misread", away: "no_reader"}[out])
		}
		return d.service.answer(c, out, person{})
	}
	if err := p.o.Audit(ctx, "origin:"+origin, "vendor_port "+d.service.name(), l.id); err != nil {
		p.o.Log.Error().Err(err).Msg("vendor port: the audit line could not be written, so no data was given")
		p.count(d.service.name(), "audit_failed")
		return d.service.answer(c, misread, person{})
	}
	p.mu.Lock()
	p.read[key] = l.order
	p.mu.Unlock()
	if p.o.Given != nil {
		p.o.Given(l.id, origin)
	}
	p.count(d.service.name(), "given")
	return d.service.answer(c, card, fields(l.data, d.photo(ctx, c, l)))
}

// await returns what lies on the readers, after at most the asked wait. A new
// request of the same page ends the one that waits.
func (d *door) await(ctx context.Context, key string, c call) (outcome, lying) {
	p := d.ports
	out, l, changed := p.o.Slot.look()
	if c.verb != read || c.wait == 0 || d.settles(key, c, out, l) {
		return d.once(key, c, out, l)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	p.mu.Lock()
	if older := p.waiting[key]; older != nil {
		older()
	}
	p.waiting[key] = end
	p.mu.Unlock()
	over := p.o.Clock.After(c.wait)
	for !d.settles(key, c, out, l) {
		select {
		case <-changed:
			out, l, changed = p.o.Slot.look()
		case <-over:
			return d.once(key, c, out, l)
		case <-ctx.Done():
			return noCard, lying{}
		}
	}
	return d.once(key, c, out, l)
}

// settles reports whether waiting any longer changes nothing: there is a card to
// give, or no reader.
func (d *door) settles(key string, c call, out outcome, l lying) bool {
	return out == away || out == card && !(c.once && d.given(key, l))
}

// once turns a card that was given already into none, where the page asks so.
func (d *door) once(key string, c call, out outcome, l lying) (outcome, lying) {
	if out == card && c.once && d.given(key, l) {
		return noCard, lying{}
	}
	return out, l
}

func (d *door) given(key string, l lying) bool {
	d.ports.mu.Lock()
	defer d.ports.mu.Unlock()
	return d.ports.read[key] == l.order
}

// photo is the decoded portrait in base64, "" without a decoder: no page found
// refuses an empty one, and a placeholder would be stored.
func (d *door) photo(ctx context.Context, c call, l lying) string {
	if d.ports.o.Photo == nil || c.noPhoto || len(l.photo) == 0 {
		return ""
	}
	image, err := d.ports.o.Photo(ctx, l.photo)
	if err != nil {
		d.ports.o.Log.Warn().Err(err).Msg("vendor port: the portrait could not be decoded")
		return ""
	}
	return base64.StdEncoding.EncodeToString(image)
}
