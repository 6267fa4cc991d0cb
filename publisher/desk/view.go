package desk

import (
	"time"

	"idtap/publisher/event"
	"idtap/reader"
)

// State is the board as JSON: whole as a snapshot, or a change that holds only
// what changed. A key that is there replaces what the receiver has; readers are
// replaced one by one, by name.
type State struct {
	Boot    string       `json:"boot,omitempty"` // another value: the daemon was restarted
	Desk    *DeskView    `json:"desk,omitempty"`
	Readers []ReaderView `json:"readers,omitempty"`
	Queue   *QueueView   `json:"queue,omitempty"`
	Bus     *BusView     `json:"bus,omitempty"`
	Today   *Today       `json:"today,omitempty"`
	Last    []TapView    `json:"last,omitzero"` // newest first
	// Todo holds the newest taps that wait for a clerk; TodoCount counts all.
	Todo      []TapView `json:"todo,omitzero"`
	TodoCount *int      `json:"todo_count,omitempty"`
}

// DeskView says whose page it is.
type DeskView struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Test bool   `json:"test,omitempty"` // a demo: its events carry test: true
}

// ReaderView is one reader and the large state it shows.
type ReaderView struct {
	Name    string       `json:"name"`
	Label   string       `json:"label,omitempty"` // what the clerk calls it; none: the name
	Phase   reader.Phase `json:"phase"`
	Model   string       `json:"model,omitempty"`
	RetryMS int64        `json:"retry_ms,omitempty"`
	Show    Face         `json:"show"`
	Since   event.Time   `json:"since,omitzero"`
	Tap     *TapView     `json:"tap,omitempty"` // the result shown
}

// QueueView is QueueState as JSON.
type QueueView struct {
	Waiting int        `json:"waiting"`
	Oldest  event.Time `json:"oldest,omitzero"`
	Full    bool       `json:"full"`
	Damaged bool       `json:"damaged"`
}

// BusView is BusState as JSON.
type BusView struct {
	Mode    BusMode    `json:"mode"`
	Problem string     `json:"problem,omitempty"`
	Since   event.Time `json:"since,omitzero"`
}

// Today counts taps and decisions since midnight in the desk's time zone.
type Today struct {
	Date      string `json:"date"`
	Accepted  int    `json:"accepted"`
	Flagged   int    `json:"flagged"` // of the accepted ones
	Repeat    int    `json:"repeat"`
	Refused   int    `json:"refused"`
	Failed    int    `json:"failed"` // full included
	Confirmed int    `json:"confirmed"`
	Corrected int    `json:"corrected"`
	Cancelled int    `json:"cancelled"`
}

// TapView is a tap as JSON. Data is absent once cleared, and masked unless the
// caller may see it.
type TapView struct {
	ID          string              `json:"id,omitempty"`
	Outcome     string              `json:"outcome"`
	Reader      string              `json:"reader"`
	At          event.Time          `json:"at"`
	Earlier     event.Time          `json:"earlier,omitzero"`
	Seq         uint64              `json:"seq,omitempty"`
	Kind        string              `json:"kind,omitempty"`
	Status      string              `json:"status,omitempty"`
	Findings    []event.Finding     `json:"findings"`
	Quarantined bool                `json:"quarantined,omitempty"`
	Open        bool                `json:"open,omitempty"`    // waits for a clerk's decision
	Given       []string            `json:"given,omitempty"`   // web origins that its data went to
	Decided     string              `json:"decided,omitempty"` // confirmed, corrected, cancelled, released
	Label       string              `json:"label,omitempty"`   // masked name
	Problem     string              `json:"problem,omitempty"`
	Photo       bool                `json:"photo,omitempty"` // a portrait was read and is still held
	Masked      bool                `json:"masked,omitempty"`
	Data        *event.Registration `json:"data,omitempty"`
}

func (t *tap) view(full bool, zone *time.Location) *TapView {
	if t == nil {
		return nil
	}
	v := &TapView{
		ID: t.id, Outcome: string(t.outcome), Reader: t.reader, At: at(t.at, zone), Earlier: at(t.earlier, zone),
		Seq: t.seq, Kind: t.kind, Status: t.status, Findings: t.findings, Quarantined: t.quarantined,
		Open: t.open(), Decided: t.decided, Given: t.given, Label: t.label, Problem: t.problem, Photo: len(t.photo) > 0,
	}
	if v.Findings == nil {
		v.Findings = []event.Finding{}
	}
	if t.person != nil {
		data := *t.person
		if !full {
			data, v.Masked = masked(data), true
		}
		v.Data = &data
	}
	return v
}

func (p panel) view(full bool, q QueueState, b BusState, zone *time.Location) ReaderView {
	v := ReaderView{Name: p.state.Reader, Label: p.label, Phase: p.state.Phase, Model: p.state.Identity.Model,
		RetryMS: p.state.Retry.Milliseconds(), Show: p.face(q, b), Since: at(p.state.Since, zone)}
	if p.result != "" && (v.Show == p.result || v.Show == FaceKept) {
		v.Tap, v.Since = p.tap.view(full, zone), at(p.at, zone)
	}
	return v
}

func (q QueueState) view(zone *time.Location) *QueueView {
	return &QueueView{Waiting: q.Waiting, Oldest: at(q.Oldest, zone), Full: q.Full, Damaged: q.Damaged}
}

func (b BusState) view(zone *time.Location) *BusView {
	return &BusView{Mode: b.Mode, Problem: b.Problem, Since: at(b.Since, zone)}
}

func views(taps []*tap, full bool, zone *time.Location) []TapView {
	vs := make([]TapView, 0, len(taps))
	for _, t := range taps {
		vs = append(vs, *t.view(full, zone))
	}
	return vs
}

func at(t time.Time, zone *time.Location) event.Time {
	if t.IsZero() {
		return event.Time{}
	}
	return event.Time{Time: t.In(zone)}
}
