package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// Errors of decisions, for callers that tell the clerk why.
var (
	ErrCancelled  = errors.New("the record is cancelled already")
	ErrErased     = errors.New("the record's data is erased; it was kept for the retention time only")
	ErrNotRecord  = errors.New("not a recorded event")
	ErrUnverified = errors.New("the card was not read twice alike: tap it again instead")
	ErrField      = errors.New("the field cannot be corrected so")
	ErrReason     = errors.New("a reason is needed")
)

// Reasons a record may be cancelled for.
var cancelReasons = []string{"wrong_person", "test_tap", "withdrawal", "discarded"}

// Confirm publishes that a clerk compared a record with the card. A record
// that was confirmed before is confirmed once: the earlier event is returned.
func (i *Intake) Confirm(ctx context.Context, id string, op event.Operator) (FollowUp, error) {
	i.decisions.Lock()
	defer i.decisions.Unlock()
	r, err := i.standing(ctx, id)
	if err != nil {
		return FollowUp{}, err
	}
	for _, f := range r.followed {
		if f.Type == event.ConfirmedType {
			return FollowUp{ID: f.ID, Refers: id, Type: f.Type, At: f.AcceptedAt}, nil
		}
	}
	return i.follow(ctx, r, event.ConfirmedType, op, nil, func(h head) any {
		return event.Confirmed{Refers: id, CopyOf: h.copyOf, Test: r.data.Test, Desk: h.desk, HukouDivisions: h.divisions, Operator: op, At: h.at}
	})
}

// Correct publishes corrected fields and the record as it stands afterwards. Old
// values are taken from the record as it stands after earlier corrections, not from
// the caller. The rules of a card hold: what they call an error is a FieldError.
func (i *Intake) Correct(ctx context.Context, id string, op event.Operator, reason string, changes []event.FieldChange) (FollowUp, error) {
	i.decisions.Lock()
	defer i.decisions.Unlock()
	if reason == "" || len(reason) > 500 {
		return FollowUp{}, ErrReason
	}
	r, err := i.standing(ctx, id)
	if err != nil {
		return FollowUp{}, err
	}
	checked, err := r.correct(changes)
	if err != nil {
		return FollowUp{}, err
	}
	after, checked, err := i.amend(r.data, checked)
	if err != nil {
		return FollowUp{}, err
	}
	r.become(after)
	return i.follow(ctx, r, event.CorrectedType, op, checked, func(h head) any {
		return event.Corrected{Refers: id, CopyOf: h.copyOf, Test: r.data.Test, Desk: h.desk, HukouDivisions: h.divisions, Operator: op,
			At: h.at, Reason: reason, Changes: checked, Record: &after}
	})
}

// Cancel publishes that a record does not stand: reason is wrong_person,
// test_tap or withdrawal. A quarantined tap is dropped: nothing was published.
func (i *Intake) Cancel(ctx context.Context, id string, op event.Operator, reason, note string) (FollowUp, error) {
	i.decisions.Lock()
	defer i.decisions.Unlock()
	if !slices.Contains(cancelReasons, reason) || len(note) > 500 {
		return FollowUp{}, fmt.Errorf("%w: one of wrong_person, test_tap, withdrawal", ErrReason)
	}
	if z, err := i.o.Queue.QuarantinedTap(ctx, id); err == nil {
		if err := i.o.Queue.DropQuarantined(ctx, id); err != nil {
			return FollowUp{}, err
		}
		u := FollowUp{Refers: z.ID, Type: event.CancelledType, At: i.o.Clock.Now()}
		i.tell(u)
		return u, nil
	} else if !errors.Is(err, outbox.ErrNotFound) {
		return FollowUp{}, err
	}
	r, err := i.standing(ctx, id)
	if err != nil {
		return FollowUp{}, err
	}
	return i.follow(ctx, r, event.CancelledType, op, nil, func(h head) any {
		return event.Cancelled{Refers: id, CopyOf: h.copyOf, Test: r.data.Test, Desk: h.desk, HukouDivisions: h.divisions, Operator: op,
			At: h.at, Reason: reason, Note: note}
	})
}

// Release publishes a quarantined tap, read twice alike and compared with the
// card by a clerk, as unverified.
func (i *Intake) Release(ctx context.Context, quarantineID string, op event.Operator) (Tapped, error) {
	i.decisions.Lock()
	defer i.decisions.Unlock()
	z, err := i.o.Queue.QuarantinedTap(ctx, quarantineID)
	if err != nil {
		return Tapped{}, err
	}
	if !z.Verified {
		return Tapped{}, ErrUnverified
	}
	var data event.Registration
	if err := json.Unmarshal(z.Body, &data); err != nil {
		return Tapped{}, fmt.Errorf("quarantined tap %s: %w", quarantineID, err)
	}
	data.Quality.Status = event.Unverified
	if op.Name != "" {
		data.Desk.Operator = op.Name
	}
	d := i.draft(data)
	d.Body = func(s outbox.Stamp) ([]byte, error) {
		stamp(&data, s, i.o.Desk.Zone)
		return json.Marshal(data)
	}
	a, err := i.o.Queue.Release(ctx, quarantineID, d)
	if err != nil {
		return Tapped{}, err
	}
	t := Tapped{ID: a.ID, Outcome: Accepted, Reader: z.Reader, At: a.AcceptedAt, Seq: a.Seq, Data: data, Verified: true}
	i.tell(FollowUp{ID: a.ID, Refers: quarantineID, Type: event.RecordedType, At: a.AcceptedAt})
	for _, o := range i.o.Observers {
		o.Tapped(t)
	}
	return t, nil
}

// Record is a recorded or quarantined registration, as a clerk compares it.
func (i *Intake) Record(ctx context.Context, id string) (event.Registration, error) {
	if z, err := i.o.Queue.QuarantinedTap(ctx, id); err == nil {
		var data event.Registration
		return data, json.Unmarshal(z.Body, &data)
	} else if !errors.Is(err, outbox.ErrNotFound) {
		return event.Registration{}, err
	}
	r, err := i.record(ctx, id)
	return r.data, err
}

// Todo lists what still waits for a clerk: flagged records without a decision
// and quarantined taps that were read twice alike, oldest first.
func (i *Intake) Todo(ctx context.Context) ([]Tapped, error) {
	records, err := i.o.Queue.Recent(ctx, i.o.Clock.Now().Add(-i.o.Retain), 1000)
	if err != nil {
		return nil, err
	}
	decided := map[string]bool{}
	for _, r := range records {
		if r.Refers != "" {
			decided[r.Refers] = true
		}
	}
	var list []Tapped
	for _, r := range records {
		if r.Type != event.RecordedType || r.Status == event.Clean || decided[r.ID] || r.Body == nil {
			continue
		}
		t := Tapped{ID: r.ID, Outcome: Accepted, At: r.AcceptedAt, Seq: r.Seq}
		if err := json.Unmarshal(r.Body, &t.Data); err != nil {
			return nil, fmt.Errorf("record %s: %w", r.ID, err)
		}
		t.Reader, t.Verified = t.Data.Desk.Reader, t.Data.Quality.VerifiedRead
		list = append(list, t)
	}
	quarantined, err := i.o.Queue.Quarantined(ctx)
	if err != nil {
		return nil, err
	}
	for _, z := range quarantined {
		t := Tapped{ID: z.ID, Outcome: Refused, Reader: z.Reader, At: z.At, Quarantined: true, Verified: z.Verified}
		if err := json.Unmarshal(z.Body, &t.Data); err != nil {
			return nil, fmt.Errorf("quarantined tap %s: %w", z.ID, err)
		}
		if z.Verified {
			list = append(list, t)
		}
	}
	return list, nil
}

// Audit leaves a line: who did what to which record.
func (i *Intake) Audit(ctx context.Context, who, what, id string) error {
	return i.o.Queue.Audit(ctx, who, what, id)
}

// head is what the body of a follow-up begins with.
type head struct {
	desk      event.Desk
	divisions []string
	at        event.Time
	copyOf    string
}

// follow accepts a follow-up event. It goes to the subject of every hukou division
// that the record has or had, the first of them first: who got the record must hear
// what becomes of it.
func (i *Intake) follow(ctx context.Context, r recorded, ceType string, op event.Operator, changes []event.FieldChange,
	body func(head) any) (FollowUp, error) {
	var subjects []string
	for _, division := range r.had {
		if s := i.subject(ceType, division); !slices.Contains(subjects, s) {
			subjects = append(subjects, s)
		}
	}
	d := outbox.Draft{
		Type: ceType, Source: r.Source, Subject: subjects[0], Also: subjects[1:],
		Filter: event.Filter(i.o.Desk.Division, i.o.Desk.ID), Refers: r.ID, Kind: r.Kind, Status: r.Status,
	}
	d.Body = func(s outbox.Stamp) ([]byte, error) {
		desk := r.data.Desk
		desk.Epoch, desk.Seq = s.Epoch, s.Seq
		if op.Name != "" {
			desk.Operator = op.Name
		}
		return json.Marshal(body(head{desk: desk, divisions: r.concerns, at: event.Time{Time: s.AcceptedAt.In(i.o.Desk.Zone)}, copyOf: s.CopyOf}))
	}
	a, err := i.o.Queue.Accept(ctx, d)
	if err != nil {
		return FollowUp{}, err
	}
	u := FollowUp{ID: a.ID, Refers: r.ID, Type: ceType, At: a.AcceptedAt, Changes: changes}
	i.tell(u)
	return u, nil
}

func (i *Intake) tell(u FollowUp) {
	for _, o := range i.o.Observers {
		o.FollowedUp(u)
	}
}

// recorded is a recorded event with what was decided about it since.
type recorded struct {
	outbox.Record
	data     event.Registration // as it stands after corrections
	followed []outbox.Record
	had      []string // hukou divisions that data has and had, oldest first; "" where none was known
	concerns []string // the same with the successors of divided units, without ""
}

// become makes data what the record stands as.
func (r *recorded) become(data event.Registration) {
	r.data = data
	division := ""
	if data.Hukou != nil {
		division = data.Hukou.Division
	}
	if !slices.Contains(r.had, division) {
		r.had = append(r.had, division)
	}
	for _, d := range data.Hukou.Divisions() {
		if d != "" && !slices.Contains(r.concerns, d) {
			r.concerns = append(r.concerns, d)
		}
	}
}

// record loads a recorded event and applies its corrections.
func (i *Intake) record(ctx context.Context, id string) (recorded, error) {
	rec, err := i.o.Queue.Get(ctx, id)
	if err != nil {
		return recorded{}, err
	}
	r := recorded{Record: rec}
	switch {
	case rec.Type != event.RecordedType:
		return r, ErrNotRecord
	case rec.Body == nil:
		return r, ErrErased
	}
	var data event.Registration
	if err := json.Unmarshal(rec.Body, &data); err != nil {
		return r, fmt.Errorf("record %s: %w", id, err)
	}
	r.become(data)
	if r.followed, err = i.o.Queue.FollowUps(ctx, id); err != nil {
		return r, err
	}
	for _, f := range r.followed {
		if f.Type != event.CorrectedType || f.Body == nil {
			continue
		}
		var c event.Corrected
		if err := json.Unmarshal(f.Body, &c); err != nil {
			return r, fmt.Errorf("correction %s: %w", f.ID, err)
		}
		if c.Record != nil {
			r.become(*c.Record)
			continue
		}
		// Of version 0.1, when no rules were asked: what it says stands.
		data, _, _ := i.amend(r.data, slices.DeleteFunc(c.Changes, func(c event.FieldChange) bool { return fields[c.Field].set == nil }))
		r.become(data)
	}
	return r, nil
}

// standing is a recorded event that was not cancelled.
func (i *Intake) standing(ctx context.Context, id string) (recorded, error) {
	r, err := i.record(ctx, id)
	if err != nil {
		return r, err
	}
	for _, f := range r.followed {
		if f.Type == event.CancelledType {
			return r, ErrCancelled
		}
	}
	return r, nil
}
