package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// control is the socket, on Windows the named pipe, on which a daemon answers
// `idtap diag`: it lies where only the daemon's user (and, of an installed service,
// its group) may reach it, so whoever reaches it may ask.
//
//	GET /alive                           nothing, at once
//	GET /report?reader=NAME&tap=1        diagnosis.Report
//	POST /capture?reader=NAME&personal=1 a trace, until the request's body ends
//
// docs/decisions/diag-socket.md says why it is a socket.
type control struct {
	l        net.Listener
	examiner func() *Examiner // of the desk, from inside
	audit    auditor
	log      zerolog.Logger
}

// auditor leaves a line that says who did what to what.
type auditor func(ctx context.Context, who, what, id string) error

func listenControl(dir string, examiner func() *Examiner, audit auditor, log zerolog.Logger) (*control, error) {
	l, err := listenAt(controlPath(dir))
	if err != nil {
		return nil, fmt.Errorf("control channel: %w", err)
	}
	return &control{l, examiner, audit, log}, nil
}

// serve answers until the context ends.
func (c *control) serve(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /report", c.report)
	mux.HandleFunc("POST /capture", c.capture)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(c.l); err != nil && ctx.Err() == nil {
		c.log.Warn().Err(err).Msg("idtap diag cannot ask this daemon any more")
	}
}

func (c *control) report(w http.ResponseWriter, r *http.Request) {
	g := c.examiner()
	g.only = r.FormValue("reader")
	if g.only != "" && !g.Has(g.only) {
		http.Error(w, ErrNoSuchReader.Error(), http.StatusNotFound)
		return
	}
	report := g.Report(r.Context(), r.FormValue("tap") != "")
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(report)
}

// Has reports whether there is a reader of that name.
func (g *Examiner) Has(name string) bool {
	for _, r := range g.cfg.Readers {
		if r.Name == name {
			return true
		}
	}
	if g.live != nil {
		_, known := g.live.states.reader(name)
		return known
	}
	for _, s := range g.discovered(context.Background()) {
		if s.Name == name {
			return true
		}
	}
	return false
}
