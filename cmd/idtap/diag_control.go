package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"idtap/config"
	"idtap/driver/diagnosis"
	"idtap/publisher/bus"
)

// control is the socket on which a daemon answers `idtap diag`: it lies in the
// queue's directory, which only the daemon's user may enter, so whoever reaches
// it may ask.
//
//	GET /report?reader=NAME&tap=1        diagnosis.Report
//	POST /capture?reader=NAME&personal=1 a trace, until the request's body ends
//
// docs/decisions/diag-socket.md says why it is a socket.
type control struct {
	daemon *daemon
	l      net.Listener
}

func controlPath(dir string) string { return filepath.Join(dir, "idtap.sock") }

// listenControl opens the socket. One that an earlier process left behind is
// replaced: the queue's lock says that nobody uses it.
func listenControl(d *daemon) (*control, error) {
	path := controlPath(d.cfg.Outbox.Dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &control{d, l}, nil
}

// serve answers until the context ends.
func (c *control) serve(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /report", c.report)
	mux.HandleFunc("POST /capture", c.capture)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(c.l); err != nil && ctx.Err() == nil {
		c.daemon.log.Warn().Err(err).Msg("idtap diag cannot ask this daemon any more")
	}
}

func (c *control) report(w http.ResponseWriter, r *http.Request) {
	g := c.daemon.diagnosed()
	g.only = r.FormValue("reader")
	if g.only != "" && !g.has(g.only) {
		http.Error(w, errNoSuchReader.Error(), http.StatusNotFound)
		return
	}
	report := g.run(r.Context(), r.FormValue("tap") != "")
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(report)
}

// has reports whether there is a reader of that name.
func (g *diagnosed) has(name string) bool {
	for _, r := range g.cfg.Readers {
		if r.Name == name {
			return true
		}
	}
	if g.daemon != nil {
		_, known := g.daemon.health.reader(name)
		return known
	}
	for _, s := range g.discovered(context.Background()) {
		if s.Name == name {
			return true
		}
	}
	return false
}

// answering is a daemon that can be asked.
type answering struct {
	client  *http.Client
	runtime bus.Runtime
}

// findDaemon looks for the daemon of a configuration, and without a file also
// for the demo.
func (a *app) findDaemon(ctx context.Context, cfg config.Config, file string) (*answering, bool) {
	for _, demo := range []bool{false, true} {
		if demo && file != "" {
			break
		}
		r, err := bus.ReadRuntime(a.runtimeFile(cfg, demo))
		if err != nil || r.Control == "" {
			continue
		}
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", r.Control)
		}
		conn, err := dial(ctx, "", "")
		if err != nil {
			continue
		}
		conn.Close()
		return &answering{&http.Client{Transport: &http.Transport{DialContext: dial}}, r}, true
	}
	return nil, false
}

func (d *answering) ask(ctx context.Context, method, path string, query url.Values, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://idtap"+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return nil, err
	}
	return nil, &exitError{diagUnknown, errors.New(strings.TrimSpace(string(text)))}
}

// reportGrace is what a daemon's answer may take beyond its diagnosis.
const reportGrace = 3 * time.Second

func (d *answering) report(ctx context.Context, reader string, tap bool) (diagnosis.Report, error) {
	query, limit := url.Values{"reader": {reader}}, diagnosis.Limit+reportGrace
	if tap {
		query.Set("tap", "1")
		limit += tapWait
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := d.ask(ctx, http.MethodGet, "/report", query, nil)
	if err != nil {
		return diagnosis.Report{}, err
	}
	defer body.Close()
	var r diagnosis.Report
	err = json.NewDecoder(body).Decode(&r)
	return r, err
}
