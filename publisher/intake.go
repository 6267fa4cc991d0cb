package publisher

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader"
	"idtap/reader/identity"
)

// Queue is what the intake needs of the durable queue.
type Queue interface {
	Accept(ctx context.Context, d outbox.Draft) (outbox.Accepted, error)
	Tally(ctx context.Context, t outbox.Tally) error
	Quarantine(ctx context.Context, z outbox.Quarantined) (string, error)
	Quarantined(ctx context.Context) ([]outbox.Quarantined, error)
	QuarantinedTap(ctx context.Context, id string) (outbox.Quarantined, error)
	Release(ctx context.Context, quarantineID string, d outbox.Draft) (outbox.Accepted, error)
	DropQuarantined(ctx context.Context, quarantineID string) error
	Get(ctx context.Context, id string) (outbox.Record, error)
	Recent(ctx context.Context, since time.Time, limit int) ([]outbox.Record, error)
	FollowUps(ctx context.Context, id string) ([]outbox.Record, error)
	Audit(ctx context.Context, who, what, id string) error
}

// Options of an Intake.
type Options struct {
	Desk          DeskFacts
	SubjectHukou  string           // county, province or none
	Groups        []identity.Group // policy.groups, for corrections; the readers have them for taps
	RefuseExpired bool             // policy.expired: refuse
	Retain        time.Duration
	Queue         Queue
	Observers     []Observer
	Clock         clockwork.Clock
	Log           zerolog.Logger
}

// Intake takes taps and clerks' decisions into the queue. It is the readers'
// Sink and safe for several readers at once.
type Intake struct {
	o         Options
	decisions sync.Mutex // one decision at a time: each looks at the earlier ones first
}

// NewIntake makes an Intake.
func NewIntake(o Options) *Intake { return &Intake{o: o} }

var _ reader.Sink = (*Intake)(nil)

// State passes a reader's state on.
func (i *Intake) State(s reader.State) {
	for _, o := range i.o.Observers {
		o.Reader(s)
	}
}

// Tap settles a tap: recorded, repeat, quarantined, or refused aloud. An error
// means that the queue could not take it; offered again later, it is settled
// then.
func (i *Intake) Tap(ctx context.Context, t reader.Tap) error {
	data := NewRegistration(t, i.o.Desk)
	shown := Tapped{Reader: t.Reader, Data: data, Verified: t.Verified, Photo: t.Photo}
	var err error
	switch {
	case t.Checked.Worst() == identity.Error:
		err = i.quarantine(ctx, t, &shown)
	case i.o.RefuseExpired && t.Checked.Validity == identity.Expired:
		shown.Outcome = Refused
		err = i.tally(ctx, t, Refused)
	default:
		err = i.accept(ctx, t, &shown)
	}
	if shown.At.IsZero() {
		shown.At = i.o.Clock.Now()
	}
	if err != nil {
		shown.Err, shown.Outcome = err, Failed
		if errors.Is(err, outbox.ErrFull) {
			shown.Outcome = Full
		}
	}
	i.o.Log.Info().Str("reader", t.Reader).Str("outcome", string(shown.Outcome)).Str("kind", data.Document.Kind).
		Strs("findings", codes(data.Quality.Findings)).Bool("verified", t.Verified).Int64("read_ms", data.Timing.ReadMS).
		Str("id", shown.ID).Err(err).Msg("tap")
	for _, o := range i.o.Observers {
		o.Tapped(shown)
	}
	return err
}

func (i *Intake) accept(ctx context.Context, t reader.Tap, shown *Tapped) error {
	d := i.draft(shown.Data)
	d.Repeat = repeatKey(i.o.Desk.RefKey, t.Checked)
	d.Body = func(s outbox.Stamp) ([]byte, error) {
		stamp(&shown.Data, s, i.o.Desk.Zone)
		return json.Marshal(shown.Data)
	}
	a, err := i.o.Queue.Accept(ctx, d)
	if err != nil {
		return err
	}
	if a.Repeated {
		shown.Outcome, shown.ID, shown.Earlier = Repeat, a.Earlier.ID, a.Earlier.AcceptedAt
		return nil
	}
	shown.Outcome, shown.ID, shown.Seq, shown.At = Accepted, a.ID, a.Seq, a.AcceptedAt
	return nil
}

func (i *Intake) quarantine(ctx context.Context, t reader.Tap, shown *Tapped) error {
	body, err := json.Marshal(shown.Data)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	now := i.o.Clock.Now()
	id, err := i.o.Queue.Quarantine(ctx, outbox.Quarantined{At: now, Reader: t.Reader, Kind: shown.Data.Document.Kind,
		Codes: codes(shown.Data.Quality.Findings), Verified: t.Verified, Body: body})
	if err != nil {
		return err
	}
	shown.Outcome, shown.ID, shown.Quarantined, shown.At = Refused, id, true, now
	return nil
}

func (i *Intake) tally(ctx context.Context, t reader.Tap, outcome Outcome) error {
	return i.o.Queue.Tally(ctx, outbox.Tally{At: i.o.Clock.Now(), Outcome: string(outcome),
		Kind: string(t.Checked.Kind), Codes: codes(findings(t.Checked.Findings))})
}

// draft is the recorded event of a registration, without body and repeat key.
func (i *Intake) draft(data event.Registration) outbox.Draft {
	division := ""
	if data.Hukou != nil {
		division = data.Hukou.Division
	}
	return outbox.Draft{
		Type: event.RecordedType, Source: event.Source(data.Desk.ID, data.Desk.Reader),
		Subject: i.subject(event.RecordedType, division), Filter: event.Filter(i.o.Desk.Division, i.o.Desk.ID),
		Kind: data.Document.Kind, Status: data.Quality.Status, Codes: codes(data.Quality.Findings),
	}
}

func (i *Intake) subject(ceType, hukouDivision string) string {
	return event.Subject(ceType, event.Place{DeskDivision: i.o.Desk.Division, DeskID: i.o.Desk.ID,
		HukouDivision: event.ShownHukou(hukouDivision, i.o.SubjectHukou)})
}

// stamp fills in what the queue decides at acceptance.
func stamp(r *event.Registration, s outbox.Stamp, zone *time.Location) {
	r.Desk.Epoch, r.Desk.Seq = s.Epoch, s.Seq
	r.Timing.AcceptedAt = event.Time{Time: s.AcceptedAt.In(zone)}
}

// repeatKey identifies a card's content: kind, number, name, birth date and
// validity, hashed under the desk's key.
func repeatKey(key []byte, c identity.Checked) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join([]string{"repeat", string(c.Kind), c.Number, c.Name, c.Birth.String(),
		c.ValidFrom.String(), c.ValidTo.String()}, "\x00")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func codes(findings []event.Finding) []string {
	list := make([]string, 0, len(findings))
	for _, f := range findings {
		list = append(list, f.Code)
	}
	return list
}
