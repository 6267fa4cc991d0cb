// Package pagetest drives the clerk's page in a real headless Chromium.
//
// The tests want Debian's packages chromium and fonts-noto-cjk, and axe-core
// under build/npm; `make test` installs all three.
package pagetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
)

var zone = time.FixedZone("CST", 8*60*60)

// rig is a desk with a page in front of it: a board driven by the test and
// decisions kept in memory.
type rig struct {
	t         testing.TB
	clock     *clockwork.FakeClock
	board     *desk.Board
	decisions *decisions
	url       string
	stop      func()
}

// newRig serves a page on a free port of loopback. change may alter the options.
func newRig(t testing.TB, change ...func(*desk.Options)) *rig {
	t.Helper()
	clock := clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 10, 32, 5, 0, zone))
	r := &rig{t: t, clock: clock}
	r.start("127.0.0.1:0", change...)
	t.Cleanup(func() { r.stop() })
	return r
}

// start makes a fresh daemon's desk, with nothing on the board.
func (r *rig) start(listen string, change ...func(*desk.Options)) {
	r.t.Helper()
	r.board = desk.NewBoard(desk.BoardOptions{DeskID: "jinshui-wenhualu-03", DeskName: "文化路街道便民服务中心", Zone: zone, Clock: r.clock})
	if r.decisions == nil {
		r.decisions = &decisions{records: map[string]event.Registration{}, quarantined: map[string]bool{}}
	}
	r.decisions.board = r.board
	o := desk.Options{Listen: listen, Mask: true, Board: r.board, Decisions: r.decisions,
		Log: zerolog.New(zerolog.NewTestWriter(r.t))}
	for _, c := range change {
		c(&o)
	}
	s, err := desk.NewServer(o)
	if err != nil {
		r.t.Fatal(err)
	}
	addr, err := s.Listen(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	r.url = "http://" + addr.String()
	board := r.board
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			r.t.Error(err)
		}
		board.Close()
	})
}

// phase puts a reader into a phase.
func (r *rig) phase(name string, p reader.Phase, err ...error) {
	s := reader.State{Reader: name, Phase: p, Since: r.clock.Now()}
	if len(err) > 0 {
		s.Err = err[0]
	}
	r.board.Reader(s)
}

// tap shows a whole tap: found, reading, the outcome, held.
func (r *rig) tap(t publisher.Tapped) {
	r.clock.Advance(time.Second)
	t.At = r.clock.Now()
	if t.Reader == "" {
		t.Reader = "front"
	}
	r.phase(t.Reader, reader.Found)
	r.phase(t.Reader, reader.Reading)
	if t.ID != "" {
		r.decisions.add(t)
	}
	r.board.Tapped(t)
	r.phase(t.Reader, reader.Held)
}

// person is a synthetic holder's registration with the given findings.
func person(name string, findings ...string) event.Registration {
	age := 76
	d := event.Registration{
		Source:   event.SourceChip,
		Document: event.Document{Kind: string(card.Resident), Number: "11010519491231002X", IssuingAuthority: "会宁县公安局", ValidFrom: "2010-01-01", ValidTo: event.ValidTo{Null: true}, LongTerm: true, Status: string(identity.Valid)},
		Person:   event.Person{Ref: "p1_synthetic", Name: name, Sex: &event.Code{Code: "2", Label: "女"}, Ethnic: &event.Code{Code: "01", Label: "汉"}, BirthDate: "1949-12-31", Age: &age},
		Hukou: &event.Hukou{Address: "甘肃省白银市会宁县样本镇样本村一社１号", Division: "620422", Path: []string{"甘肃省", "白银市", "会宁县"},
			Confidence: string(identity.Full)},
		Residence: event.Residence{DeskDivision: "410105", Direction: "inflow", Relation: string(identity.OtherProvince), Groups: []string{"elder_65"}},
		Desk:      event.Desk{ID: "jinshui-wenhualu-03", Reader: "front", Epoch: "synthetic", Seq: 1841},
		Quality:   event.Quality{Status: event.Clean, Findings: []event.Finding{}},
	}
	for _, code := range findings {
		e, ok := identity.LookupFinding(code)
		if !ok {
			panic("no finding " + code)
		}
		d.Quality.Findings = append(d.Quality.Findings, event.Finding{Code: code, Severity: string(e.Severity), Field: e.Field})
		switch {
		case e.Severity == identity.Error:
			d.Quality.Status = event.Unverified
		case d.Quality.Status == event.Clean:
			d.Quality.Status = event.Flagged
		}
	}
	return d
}

func accepted(id, name string, findings ...string) publisher.Tapped {
	return publisher.Tapped{ID: id, Outcome: publisher.Accepted, Seq: 1841, Data: person(name, findings...)}
}

// decisions keeps records and what was done about them in memory.
type decisions struct {
	mu          sync.Mutex
	board       *desk.Board
	records     map[string]event.Registration
	quarantined map[string]bool
	settled     []string
	todo        []publisher.Tapped
	audit       []string
	operators   []event.Operator
	changes     []event.FieldChange
	fail        error // of the next decision
}

var _ desk.Decisions = (*decisions)(nil)

func (d *decisions) add(t publisher.Tapped) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[t.ID] = t.Data
	d.quarantined[t.ID] = t.Quarantined
	if t.Data.Quality.Status == event.Flagged || t.Quarantined && t.Verified {
		d.todo = append(d.todo, t)
	}
}

func (d *decisions) settle(id, kind string, op event.Operator) (publisher.FollowUp, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail; err != nil {
		d.fail = nil
		return publisher.FollowUp{}, err
	}
	if _, ok := d.records[id]; !ok || d.quarantined[id] && kind != event.CancelledType {
		return publisher.FollowUp{}, fmt.Errorf("%s: %w", id, outbox.ErrNotFound)
	}
	d.settled = append(d.settled, event.Token(kind)+" "+id)
	d.operators = append(d.operators, op)
	d.todo = slices.DeleteFunc(d.todo, func(t publisher.Tapped) bool { return t.ID == id })
	u := publisher.FollowUp{ID: "follow-up", Refers: id, Type: kind}
	d.board.FollowedUp(u)
	return u, nil
}

func (d *decisions) Confirm(_ context.Context, id string, op event.Operator) (publisher.FollowUp, error) {
	return d.settle(id, event.ConfirmedType, op)
}

func (d *decisions) Correct(_ context.Context, id string, op event.Operator, reason string, changes []event.FieldChange) (publisher.FollowUp, error) {
	if reason == "" {
		return publisher.FollowUp{}, errors.New("no reason")
	}
	d.changes = append(d.changes, changes...)
	return d.settle(id, event.CorrectedType, op)
}

func (d *decisions) Cancel(_ context.Context, id string, op event.Operator, reason, _ string) (publisher.FollowUp, error) {
	if reason == "" {
		return publisher.FollowUp{}, errors.New("no reason")
	}
	return d.settle(id, event.CancelledType, op)
}

func (d *decisions) Release(_ context.Context, id string, op event.Operator) (publisher.Tapped, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.quarantined[id] {
		return publisher.Tapped{}, outbox.ErrNotFound
	}
	d.settled = append(d.settled, "released "+id)
	d.operators = append(d.operators, op)
	d.todo = slices.DeleteFunc(d.todo, func(t publisher.Tapped) bool { return t.ID == id })
	t := publisher.Tapped{ID: "released-" + id, Outcome: publisher.Accepted, Reader: "front", Data: d.records[id]}
	d.board.FollowedUp(publisher.FollowUp{ID: t.ID, Refers: id, Type: event.RecordedType})
	d.board.Tapped(t)
	return t, nil
}

func (d *decisions) Record(_ context.Context, id string) (event.Registration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.records[id]
	if !ok {
		return event.Registration{}, outbox.ErrNotFound
	}
	return r, nil
}

func (d *decisions) Audit(_ context.Context, who, what, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.audit = append(d.audit, who+" "+what+" "+id)
	return nil
}

func (d *decisions) Todo(context.Context) ([]publisher.Tapped, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	todo := slices.Clone(d.todo)
	slices.Reverse(todo)
	return todo, nil
}

// failNext makes the queue refuse the next decision.
func (d *decisions) failNext() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = outbox.ErrFull
}

func (d *decisions) audited() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.audit)
}

func (d *decisions) done() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.settled)
}

// elsewhere serves pages of other origins.
func elsewhere(t testing.TB, pages map[string]string) (origin string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return "http://" + l.Addr().String()
}

// secret writes a file that only its owner may read.
func secret(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
