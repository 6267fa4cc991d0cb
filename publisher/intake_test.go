package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
)

// memory is a queue in memory with the real one's contract.
type memory struct {
	clock       clockwork.Clock
	records     []outbox.Record
	repeats     map[string]outbox.Stamp
	quarantined []outbox.Quarantined
	tallies     []outbox.Tally
	audit       []string
	err         error // what the next writes fail with
}

func (m *memory) Accept(_ context.Context, d outbox.Draft) (outbox.Accepted, error) {
	if m.err != nil {
		return outbox.Accepted{}, m.err
	}
	if earlier, ok := m.repeats[d.Repeat]; ok && d.Repeat != "" {
		m.tallies = append(m.tallies, outbox.Tally{Outcome: "repeat", Kind: d.Kind, Codes: d.Codes})
		return outbox.Accepted{Repeated: true, Earlier: earlier}, nil
	}
	var first outbox.Stamp
	for n, subject := range append([]string{d.Subject}, d.Also...) {
		s := outbox.Stamp{ID: fmt.Sprintf("id-%d", len(m.records)+1), Epoch: "e1", Seq: uint64(len(m.records) + 1), AcceptedAt: m.clock.Now()}
		if n > 0 {
			s.CopyOf = first.ID
		}
		body, err := d.Body(s)
		if err != nil {
			return outbox.Accepted{}, err
		}
		m.records = append(m.records, outbox.Record{Stamp: s, Type: d.Type, Source: d.Source, Subject: subject, Filter: d.Filter,
			Refers: d.Refers, Kind: d.Kind, Status: d.Status, Codes: d.Codes, Body: body})
		if n == 0 {
			first = s
		}
	}
	if d.Repeat != "" {
		m.repeats[d.Repeat] = first
	}
	return outbox.Accepted{Stamp: first}, nil
}

func (m *memory) Tally(_ context.Context, t outbox.Tally) error {
	m.tallies = append(m.tallies, t)
	return m.err
}

func (m *memory) Quarantine(_ context.Context, z outbox.Quarantined) (string, error) {
	if m.err != nil {
		return "", m.err
	}
	z.ID = fmt.Sprintf("q-%d", len(m.quarantined)+1)
	m.quarantined = append(m.quarantined, z)
	return z.ID, nil
}

func (m *memory) QuarantinedTap(_ context.Context, id string) (outbox.Quarantined, error) {
	for _, z := range m.quarantined {
		if z.ID == id {
			return z, nil
		}
	}
	return outbox.Quarantined{}, outbox.ErrNotFound
}

func (m *memory) Quarantined(context.Context) ([]outbox.Quarantined, error) {
	return m.quarantined, nil
}

func (m *memory) Release(ctx context.Context, id string, d outbox.Draft) (outbox.Accepted, error) {
	if err := m.DropQuarantined(ctx, id); err != nil {
		return outbox.Accepted{}, err
	}
	return m.Accept(ctx, d)
}

func (m *memory) DropQuarantined(_ context.Context, id string) error {
	for n, z := range m.quarantined {
		if z.ID == id {
			m.quarantined = append(m.quarantined[:n:n], m.quarantined[n+1:]...)
			return nil
		}
	}
	return outbox.ErrNotFound
}

func (m *memory) Get(_ context.Context, id string) (outbox.Record, error) {
	for _, r := range m.records {
		if r.ID == id {
			return r, nil
		}
	}
	return outbox.Record{}, outbox.ErrNotFound
}

func (m *memory) Recent(context.Context, time.Time, int) ([]outbox.Record, error) {
	return m.records, nil
}

func (m *memory) FollowUps(_ context.Context, id string) ([]outbox.Record, error) {
	var list []outbox.Record
	for _, r := range m.records {
		if r.Refers == id {
			list = append(list, r)
		}
	}
	return list, nil
}

func (m *memory) Audit(_ context.Context, who, what, id string) error {
	m.audit = append(m.audit, who+" "+what+" "+id)
	return nil
}

// watcher remembers what it was told.
type watcher struct {
	states  []reader.State
	tapped  []Tapped
	follows []FollowUp
}

func (w *watcher) Reader(s reader.State) { w.states = append(w.states, s) }
func (w *watcher) Tapped(t Tapped)       { w.tapped = append(w.tapped, t) }
func (w *watcher) FollowedUp(u FollowUp) { w.follows = append(w.follows, u) }

type bench struct {
	*Intake
	queue *memory
	seen  *watcher
	log   *bytes.Buffer
}

func newBench(t *testing.T, change func(*Options)) bench {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	clock := clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 9, 30, 0, 0, zone))
	b := bench{queue: &memory{clock: clock, repeats: map[string]outbox.Stamp{}}, seen: &watcher{}, log: &bytes.Buffer{}}
	o := Options{
		Desk:         DeskFacts{ID: "jinshui-wenhualu-03", Division: "410105", Role: "both", Zone: zone, RefKey: []byte("0123456789abcdef0123456789abcdef")},
		SubjectHukou: "county", Retain: 72 * time.Hour, Queue: b.queue, Observers: []Observer{b.seen}, Clock: clock, Log: zerolog.New(b.log),
	}
	if change != nil {
		change(&o)
	}
	b.Intake = NewIntake(o)
	return b
}

// specimen is the standard's own example number on a made-up person.
func specimen(findings ...identity.Finding) reader.Tap {
	return reader.Tap{
		Reader: "front", FoundAt: time.Date(2026, 11, 21, 1, 29, 59, 0, time.UTC), ReadTime: 612 * time.Millisecond,
		Checked: identity.Checked{
			Kind: card.Resident, Number: "11010519491231002X", Name: "样本", Birth: identity.Date{Year: 1949, Month: 12, Day: 31}, Age: 76,
			Sex: identity.Code{Code: "2", Label: "女"}, Ethnic: identity.Code{Code: "01", Label: "汉"},
			HukouAddress: "甘肃省会宁县样本路1号", PrintedAddress: "甘肃省会宁县样本路1号", Division: "620422", Confidence: identity.Full,
			ValidFrom: identity.Date{Year: 2010, Month: 1, Day: 1}, LongTerm: true, Validity: identity.Valid,
			Relation: identity.OtherProvince, Groups: []string{"elder_65"}, Findings: findings,
		},
	}
}

func TestTapIsRecorded(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Tap(t.Context(), specimen()); err != nil {
		t.Fatal(err)
	}
	if len(b.queue.records) != 1 {
		t.Fatalf("%d records, want 1", len(b.queue.records))
	}
	r := b.queue.records[0]
	if r.Type != event.RecordedType || r.Subject != "idtap.v1.recorded.41.4101.410105.jinshui-wenhualu-03.62.6204.620422" ||
		r.Filter != "idtap.v1.*.41.4101.410105.jinshui-wenhualu-03.>" || r.Source != "/idtap/jinshui-wenhualu-03/front" {
		t.Errorf("type %s, subject %s, filter %s, source %s", r.Type, r.Subject, r.Filter, r.Source)
	}
	var data event.Registration
	if err := json.Unmarshal(r.Body, &data); err != nil {
		t.Fatal(err)
	}
	if data.Desk.Seq != 1 || data.Desk.Epoch != "e1" || data.Quality.Status != event.Clean || !data.Document.ValidTo.Null ||
		data.Person.Name != "样本" || !strings.HasPrefix(data.Person.Ref, "p1_") || data.Timing.AcceptedAt.Format(time.RFC3339) != "2026-11-21T09:30:00+08:00" {
		t.Errorf("body %s", r.Body)
	}
	if got := b.seen.tapped; len(got) != 1 || got[0].Outcome != Accepted || got[0].ID != "id-1" || got[0].Seq != 1 {
		t.Errorf("observer saw %v", got)
	}
	for _, secret := range []string{"样本", "11010519491231002X", "会宁"} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("log holds %s: %s", secret, b.log)
		}
	}
}

func TestSameContentAgainIsARepeat(t *testing.T) {
	b := newBench(t, nil)
	for range 2 {
		if err := b.Tap(t.Context(), specimen()); err != nil {
			t.Fatal(err)
		}
	}
	other := specimen()
	other.Checked.Name = "另样"
	if err := b.Tap(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	var outcomes []Outcome
	for _, s := range b.seen.tapped {
		outcomes = append(outcomes, s.Outcome)
	}
	if fmt.Sprint(outcomes) != "[accepted repeat accepted]" || len(b.queue.records) != 2 || len(b.queue.tallies) != 1 {
		t.Errorf("outcomes %v, %d records, %d tallies", outcomes, len(b.queue.records), len(b.queue.tallies))
	}
}

func TestErrorFindingsAreQuarantinedAndMayBeReleased(t *testing.T) {
	b := newBench(t, nil)
	bad := specimen(identity.Finding{Code: "number_check", Severity: identity.Error, Field: "document.number"})
	if err := b.Tap(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	bad.Verified = true
	if err := b.Tap(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	if len(b.queue.records) != 0 || len(b.queue.quarantined) != 2 || b.seen.tapped[0].Outcome != Refused || !b.seen.tapped[0].Quarantined {
		t.Fatalf("%d records, %d quarantined, saw %v", len(b.queue.records), len(b.queue.quarantined), b.seen.tapped)
	}
	todo, err := b.Todo(t.Context())
	if err != nil || len(todo) != 1 || todo[0].ID != "q-2" {
		t.Fatalf("to do %v, %v; want only the tap that was read twice alike", todo, err)
	}
	if _, err := b.Release(t.Context(), "q-1", event.Operator{}); !errors.Is(err, ErrUnverified) {
		t.Errorf("release of a single read: %v", err)
	}
	released, err := b.Release(t.Context(), "q-2", event.Operator{Name: "李", Authenticated: true})
	if err != nil {
		t.Fatal(err)
	}
	if released.Data.Quality.Status != event.Unverified || released.Data.Desk.Operator != "李" || len(b.queue.records) != 1 {
		t.Errorf("released %+v", released.Data.Quality)
	}
}

func TestExpiredCardByPolicy(t *testing.T) {
	expired := specimen(identity.Finding{Code: "card_expired", Severity: identity.Warn, Field: "document.valid_to"})
	expired.Checked.Validity, expired.Checked.LongTerm = identity.Expired, false
	for _, refuse := range []bool{false, true} {
		b := newBench(t, func(o *Options) { o.RefuseExpired = refuse })
		if err := b.Tap(t.Context(), expired); err != nil {
			t.Fatal(err)
		}
		want := Accepted
		if refuse {
			want = Refused
		}
		if b.seen.tapped[0].Outcome != want || len(b.queue.quarantined) != 0 {
			t.Errorf("refuse %v: outcome %s", refuse, b.seen.tapped[0].Outcome)
		}
		if !refuse && b.queue.records[0].Status != event.Flagged {
			t.Errorf("status %s, want flagged", b.queue.records[0].Status)
		}
	}
}

func TestAFullQueueIsSaidAndTheTapMayComeAgain(t *testing.T) {
	b := newBench(t, nil)
	b.queue.err = fmt.Errorf("append: %w", outbox.ErrFull)
	if err := b.Tap(t.Context(), specimen()); !errors.Is(err, outbox.ErrFull) {
		t.Fatalf("error %v", err)
	}
	b.queue.err = nil
	if err := b.Tap(t.Context(), specimen()); err != nil {
		t.Fatal(err)
	}
	if b.seen.tapped[0].Outcome != Full || b.seen.tapped[1].Outcome != Accepted {
		t.Errorf("saw %v", b.seen.tapped)
	}
}

func TestDecisions(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Tap(t.Context(), specimen(identity.Finding{Code: "name_private_use", Severity: identity.Warn, Field: "person.name"})); err != nil {
		t.Fatal(err)
	}
	op := event.Operator{Name: "李", Authenticated: true}
	if todo, err := b.Todo(t.Context()); err != nil || len(todo) != 1 {
		t.Fatalf("to do %v, %v", todo, err)
	}
	u, err := b.Correct(t.Context(), "id-1", op, "rare character", []event.FieldChange{
		{Field: "person.name", New: "样䶮"}, {Field: "hukou.division", New: "110105"}})
	if err != nil {
		t.Fatal(err)
	}
	if u.Refers != "id-1" || u.Changes[0].Old != "样本" {
		t.Errorf("follow-up %+v", u.Changes)
	}
	// The division changed: the event goes to the old and the new place.
	old, now := b.queue.records[1], b.queue.records[2]
	if !strings.HasSuffix(old.Subject, ".62.6204.620422") || !strings.HasSuffix(now.Subject, ".11.1101.110105") || old.ID == now.ID {
		t.Errorf("subjects %s and %s", old.Subject, now.Subject)
	}
	data, err := b.Record(t.Context(), "id-1")
	if err != nil || data.Person.Name != "样䶮" || data.Hukou.Division != "110105" {
		t.Errorf("record after the correction: %v, %v", data.Hukou, err)
	}
	first, err := b.Confirm(t.Context(), "id-1", op)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Confirm(t.Context(), "id-1", op); err != nil || again.ID != first.ID {
		t.Errorf("confirmed twice: %v, %v", again, err)
	}
	if _, err := b.Cancel(t.Context(), "id-1", op, "wrong_person", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Confirm(t.Context(), "id-1", op); !errors.Is(err, ErrCancelled) {
		t.Errorf("confirm after cancel: %v", err)
	}
	if todo, err := b.Todo(t.Context()); err != nil || len(todo) != 0 {
		t.Errorf("to do %v, %v", todo, err)
	}
}

// A person of a divided county: the event names every division that it may
// concern and goes to what they all lie in, so do follow-ups, and a correction
// of the division ends the doubt.
func TestDividedHukouConcernsEverySuccessor(t *testing.T) {
	b := newBench(t, nil)
	tap := specimen(identity.Finding{Code: identity.CodeAddressDivided, Severity: identity.Warn, Field: "hukou.address"})
	tap.Checked.Division, tap.Checked.Confidence, tap.Checked.Successors = "330600", identity.Partial, []string{"330602", "330603"}
	if err := b.Tap(t.Context(), tap); err != nil {
		t.Fatal(err)
	}
	if got, want := b.queue.records[0].Subject, "idtap.v1.recorded.41.4101.410105.jinshui-wenhualu-03.33.3306._"; got != want {
		t.Errorf("subject %s, want %s", got, want)
	}
	op := event.Operator{Name: "李", Authenticated: true}
	if _, err := b.Confirm(t.Context(), "id-1", op); err != nil {
		t.Fatal(err)
	}
	var confirmed event.Confirmed
	if err := json.Unmarshal(b.queue.records[1].Body, &confirmed); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(confirmed.HukouDivisions, " "), "330602 330603"; got != want {
		t.Errorf("confirmed for %s, want %s", got, want)
	}
	if _, err := b.Correct(t.Context(), "id-1", op, "asked the holder", []event.FieldChange{{Field: "hukou.division", New: "330603"}}); err != nil {
		t.Fatal(err)
	}
	data, err := b.Record(t.Context(), "id-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(data.Hukou.Divisions(), " "); got != "330603" {
		t.Errorf("after the correction it concerns %s, want 330603", got)
	}
}

func TestCorrectionsThatAreRefused(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Tap(t.Context(), specimen()); err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string][]event.FieldChange{
		"nothing":         nil,
		"unknown field":   {{Field: "desk.id", New: "x"}},
		"no change":       {{Field: "person.name", New: "样本"}},
		"empty name":      {{Field: "person.name", New: ""}},
		"control":         {{Field: "person.name", New: "a\x00b"}},
		"date":            {{Field: "person.birth_date", New: "1949-1-1"}},
		"division":        {{Field: "hukou.division", New: "62"}},
		"named twice":     {{Field: "person.name", New: "甲"}, {Field: "person.name", New: "乙"}},
		"foreign number":  {{Field: "document.number", New: "123"}},
		"too long a name": {{Field: "person.name", New: strings.Repeat("样", 51)}},
	} {
		if _, err := b.Correct(t.Context(), "id-1", event.Operator{}, "reason", changes); !errors.Is(err, ErrField) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Correct(t.Context(), "id-1", event.Operator{}, "", []event.FieldChange{{Field: "person.name", New: "甲"}}); !errors.Is(err, ErrReason) {
		t.Errorf("no reason: %v", err)
	}
	if _, err := b.Correct(t.Context(), "id-9", event.Operator{}, "reason", []event.FieldChange{{Field: "person.name", New: "甲"}}); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("unknown record: %v", err)
	}
	if len(b.queue.records) != 1 {
		t.Errorf("%d records, want 1", len(b.queue.records))
	}
}
