package desk

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/reader"
	"idtap/reader/identity"
)

var zone = time.FixedZone("CST", 8*60*60)

func newBoard(t *testing.T) (*Board, *clockwork.FakeClock) {
	t.Helper()
	clock := clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 10, 0, 0, 0, zone))
	b := NewBoard(BoardOptions{DeskID: "desk", Zone: zone, Clock: clock})
	t.Cleanup(b.Close)
	return b, clock
}

// registration is a synthetic record with findings by their codes.
func registration(codes ...string) event.Registration {
	age := 76
	r := event.Registration{
		Source:   event.SourceChip,
		Document: event.Document{Kind: "resident", Number: "11010519491231002X", IssuingAuthority: "会宁县公安局", ValidFrom: "2010-01-01", ValidTo: event.ValidTo{Null: true}, LongTerm: true, Status: "valid", PassNumber: "H00000000", OldNumber: "110105491231002"},
		Person: event.Person{Ref: "p1_reference", Name: "样本甲", NameRaw: "6837672C7532", NameEn: "SPECIMEN A", Nationality: "CHN", Sex: &event.Code{Code: "2", Label: "女"},
			Ethnic: &event.Code{Code: "11", Label: "满"}, BirthDate: "1949-12-31", Age: &age},
		Hukou: &event.Hukou{Address: "甘肃省白银市会宁县样本村一社", PrintedAddress: "甘肃省白银市会宁县样本村一社", AppendedAddresses: []string{"甘肃省白银市会宁县样本村一社"},
			Division: "620422", Path: []string{"甘肃省", "白银市", "会宁县"}, Confidence: "full"},
		Residence: event.Residence{Direction: "inflow", Relation: "other_province", Groups: []string{"elder_65"}, CardAddress: "广东省深圳市样本路"},
		Desk:      event.Desk{ID: "desk", Reader: "front", Epoch: "e", Seq: 7},
		Quality:   event.Quality{Status: event.Clean},
		Photo:     &event.Photo{WLT: []byte("WL portrait")},
		Stay:      &event.Stay{Address: "样本路一号", Phone: "13800000000"},
	}
	for _, code := range codes {
		e, _ := identity.LookupFinding(code)
		r.Quality.Findings = append(r.Quality.Findings, event.Finding{Code: code, Severity: string(e.Severity), Field: e.Field})
		if e.Severity == identity.Warn {
			r.Quality.Status = event.Flagged
		}
	}
	return r
}

func (b *Board) tapped(id string, codes ...string) {
	b.Tapped(publisher.Tapped{ID: id, Outcome: publisher.Accepted, Reader: "front", At: b.o.Clock.Now(), Data: registration(codes...), Photo: []byte("WL")})
}

func (b *Board) now() State { return b.state(b.snapshot(), true) }

// until takes changes from a subscription until one fits.
func until(t *testing.T, s *subscription, fits func(State) bool) State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		changes, err := s.next(ctx, nil)
		if err != nil {
			t.Fatalf("the change did not come: %v", err)
		}
		for _, c := range changes {
			if st := s.board.state(c, true); fits(st) {
				return st
			}
		}
	}
}

func show(st State) Face {
	if len(st.Readers) == 0 {
		return ""
	}
	return st.Readers[0].Show
}

func TestResultIsClearedPersonalFieldsFirst(t *testing.T) {
	b, clock := newBoard(t)
	b.Bus(BusState{Mode: BusConnected})
	s := b.subscribe()
	defer s.close()
	b.tapped("a")
	b.Reader(reader.State{Reader: "front", Phase: reader.Held})
	until(t, s, func(st State) bool { return show(st) == FaceAccepted && st.Readers[0].Tap.Data != nil })

	clock.Advance(20 * time.Second)
	st := until(t, s, func(st State) bool { return show(st) == FaceAccepted && st.Readers[0].Tap.Data == nil })
	if st.Last[0].Data != nil || st.Last[0].Label != "" || st.Last[0].Photo {
		t.Errorf("the list of last taps still says who it was: %+v", st.Last[0])
	}
	clock.Advance(10 * time.Second)
	until(t, s, func(st State) bool { return show(st) == FaceLift })
	b.Reader(reader.State{Reader: "front", Phase: reader.Ready})
	until(t, s, func(st State) bool { return show(st) == FaceReady })
}

func TestLiftingDoesNotClearTheNextCardDoes(t *testing.T) {
	b, _ := newBoard(t)
	b.Bus(BusState{Mode: BusConnected})
	b.tapped("a")
	b.Reader(reader.State{Reader: "front", Phase: reader.Ready})
	if got := show(b.now()); got != FaceAccepted {
		t.Errorf("after lifting: %s", got)
	}
	b.Reader(reader.State{Reader: "front", Phase: reader.Found})
	if st := b.now(); show(st) != FaceFound || st.Readers[0].Tap != nil {
		t.Errorf("the next card: %+v", st.Readers[0])
	}
	b.Reader(reader.State{Reader: "front", Phase: reader.Ready})
	if got := show(b.now()); got != FaceReady {
		t.Errorf("lifted unread: %s", got)
	}
}

// A held card that is read again may be another one by now.
func TestReadAgainWhileHeld(t *testing.T) {
	for _, test := range []struct {
		next reader.Phase
		want Face
	}{{reader.Held, FaceAccepted}, {reader.Ready, FaceReady}, {reader.PlaceAgain, FacePlaceAgain}, {reader.Found, FaceFound}} {
		b, _ := newBoard(t)
		b.Bus(BusState{Mode: BusConnected})
		b.Reader(reader.State{Reader: "front", Phase: reader.Reading})
		b.tapped("a")
		if got := show(b.now()); got != FaceAccepted {
			t.Errorf("accepted, not yet held: %s", got)
		}
		b.Reader(reader.State{Reader: "front", Phase: reader.Held})
		b.Reader(reader.State{Reader: "front", Phase: reader.Reading})
		if st := b.now(); show(st) != FaceReading || st.Readers[0].Tap != nil {
			t.Errorf("read again: %+v", st.Readers[0])
		}
		b.Reader(reader.State{Reader: "front", Phase: test.next})
		if got := show(b.now()); got != test.want {
			t.Errorf("then %s: %s, want %s", test.next, got, test.want)
		}
	}
}

// A newer result is not cleared by the older one's timer.
func TestOldTimerLeavesNewerResult(t *testing.T) {
	b, clock := newBoard(t)
	b.Bus(BusState{Mode: BusConnected})
	s := b.subscribe()
	defer s.close()
	b.tapped("a")
	clock.Advance(25 * time.Second)
	b.tapped("b")
	clock.Advance(5 * time.Second)
	until(t, s, func(st State) bool { return st.Last != nil && st.Last[len(st.Last)-1].Data == nil })
	if st := b.now(); show(st) != FaceAccepted || st.Readers[0].Tap.ID != "b" || st.Readers[0].Tap.Data == nil {
		t.Errorf("%+v", st.Readers[0])
	}
}

func TestFaces(t *testing.T) {
	connected := BusState{Mode: BusConnected}
	tap := func(o publisher.Outcome, codes ...string) *publisher.Tapped {
		return &publisher.Tapped{ID: "x", Outcome: o, Reader: "front", Data: registration(codes...)}
	}
	quarantined := tap(publisher.Refused, "number_check")
	quarantined.Quarantined = true
	verified := tap(publisher.Refused, "number_check")
	verified.Quarantined, verified.Verified = true, true
	expired := tap(publisher.Refused, "card_expired")
	expired.Data.Document.Status = "expired"
	selectFailed := &driver.Error{Op: "select", Err: driver.ErrCardLost, Status: []byte{0, 0, 0x81}}
	tests := []struct {
		name  string
		tap   *publisher.Tapped
		phase reader.Phase
		err   error
		queue QueueState
		bus   BusState
		want  Face
	}{
		{"ready", nil, reader.Ready, nil, QueueState{}, connected, FaceReady},
		{"starting", nil, reader.Starting, nil, QueueState{}, connected, FaceStarting},
		{"accepted", tap(publisher.Accepted), reader.Held, nil, QueueState{}, connected, FaceAccepted},
		{"accepted, this desk only", tap(publisher.Accepted), reader.Held, nil, QueueState{}, BusState{Mode: BusLocal}, FaceAccepted},
		{"kept while away", tap(publisher.Accepted), reader.Held, nil, QueueState{Waiting: 1}, BusState{Mode: BusAway}, FaceKept},
		{"kept while the stream refuses", tap(publisher.Accepted), reader.Held, nil, QueueState{}, BusState{Mode: BusConnected, Problem: "desk_id_in_use"}, FaceKept},
		{"nothing a clerk can act on", tap(publisher.Accepted, "card_expired"), reader.Held, nil, QueueState{}, connected, FaceAccepted},
		{"check", tap(publisher.Accepted, "name_private_use"), reader.Held, nil, QueueState{}, connected, FaceCheck},
		{"repeat", tap(publisher.Repeat), reader.Held, nil, QueueState{}, connected, FaceRepeat},
		{"refused", quarantined, reader.Held, nil, QueueState{}, connected, FaceRefused},
		{"compare", verified, reader.Held, nil, QueueState{}, connected, FaceCompare},
		{"expired", expired, reader.Held, nil, QueueState{}, connected, FaceExpired},
		{"full", tap(publisher.Full), reader.Held, nil, QueueState{}, connected, FaceFull},
		{"full, said before a tap", nil, reader.Ready, nil, QueueState{Full: true}, connected, FaceFull},
		{"failed", tap(publisher.Failed), reader.Held, nil, QueueState{}, connected, FaceFailed},
		{"place again", nil, reader.PlaceAgain, nil, QueueState{}, connected, FacePlaceAgain},
		{"two cards", nil, reader.PlaceAgain, selectFailed, QueueState{}, connected, FaceTwoCards},
		{"not an ID card", nil, reader.NotID, nil, QueueState{}, connected, FaceNotID},
		{"unreadable", nil, reader.Unreadable, nil, QueueState{}, connected, FaceUnreadable},
		{"away goes before a result", tap(publisher.Accepted), reader.Away, nil, QueueState{}, connected, FaceAway},
		{"busy", nil, reader.Busy, nil, QueueState{}, connected, FaceBusy},
		{"denied", nil, reader.Denied, nil, QueueState{}, connected, FaceDenied},
		{"faulty", nil, reader.Faulty, nil, QueueState{}, connected, FaceFaulty},
		{"no identity", nil, reader.NoIdentity, nil, QueueState{}, connected, FaceNoIdentity},
		{"stuck", nil, reader.Stuck, nil, QueueState{}, connected, FaceStuck},
		{"stopped", nil, reader.Stopped, nil, QueueState{}, connected, FaceStopped},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, _ := newBoard(t)
			b.Bus(test.bus)
			b.Queue(test.queue)
			if test.tap != nil {
				b.Tapped(*test.tap)
			}
			b.Reader(reader.State{Reader: "front", Phase: test.phase, Err: test.err})
			if got := show(b.now()); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// A misread stays after lifting, and while the card lies there.
func TestMisreadStays(t *testing.T) {
	b, clock := newBoard(t)
	s := b.subscribe()
	defer s.close()
	b.Reader(reader.State{Reader: "front", Phase: reader.Unreadable})
	clock.Advance(30 * time.Second)
	until(t, s, func(st State) bool { return show(st) == FaceUnreadable })
	b.Reader(reader.State{Reader: "front", Phase: reader.NotID})
	b.Reader(reader.State{Reader: "front", Phase: reader.Ready})
	if got := show(b.now()); got != FaceNotID {
		t.Errorf("after lifting: %s", got)
	}
	clock.Advance(30 * time.Second)
	until(t, s, func(st State) bool { return show(st) == FaceReady })
}

func TestOnlyWhatAClerkCanSettleAsksForALook(t *testing.T) {
	for _, e := range identity.Catalogue() {
		if e.Severity != identity.Warn {
			continue
		}
		got := needsLook(publisher.Tapped{Outcome: publisher.Accepted, Data: registration(e.Code)})
		if want := e.Action == identity.Compare; got != want {
			t.Errorf("%s: asks for a look: %v, want %v", e.Code, got, want)
		}
	}
}

func TestTodoUntilDecided(t *testing.T) {
	for _, kind := range []string{event.ConfirmedType, event.CorrectedType, event.CancelledType} {
		b, _ := newBoard(t)
		b.tapped("a", "name_private_use")
		b.tapped("b", "name_private_use")
		if st := b.now(); len(st.Todo) != 2 || *st.TodoCount != 2 || !st.Todo[0].Open || st.Todo[0].ID != "b" {
			t.Fatalf("%+v", st.Todo)
		}
		b.FollowedUp(publisher.FollowUp{ID: "f", Refers: "a", Type: kind})
		st := b.now()
		if len(st.Todo) != 1 || st.Todo[0].ID != "b" {
			t.Errorf("%s: %+v", kind, st.Todo)
		}
		if got := st.Last[1]; got.Decided != event.Token(kind) || got.Open {
			t.Errorf("%s: last taps: %+v", kind, got)
		}
		if n := st.Today.Confirmed + st.Today.Corrected + st.Today.Cancelled; n != 1 {
			t.Errorf("%s: counted %d", kind, n)
		}
	}
}

func TestTodoKeepsTheMaskedNameOnly(t *testing.T) {
	b, clock := newBoard(t)
	s := b.subscribe()
	defer s.close()
	b.tapped("a", "name_private_use")
	clock.Advance(30 * time.Second)
	st := until(t, s, func(st State) bool { return len(st.Todo) == 1 && st.Todo[0].Data == nil })
	if st.Todo[0].Label != "样**" {
		t.Errorf("label %q", st.Todo[0].Label)
	}
}

func TestReleasedTapTakesTheQuarantinedOnesPlace(t *testing.T) {
	b, _ := newBoard(t)
	b.Bus(BusState{Mode: BusConnected})
	b.Tapped(publisher.Tapped{ID: "q", Outcome: publisher.Refused, Reader: "front", At: b.o.Clock.Now(), Quarantined: true, Verified: true, Data: registration("number_check")})
	release := func() {
		data := registration("number_check")
		data.Quality.Status = event.Unverified
		b.FollowedUp(publisher.FollowUp{ID: "r", Refers: "q", Type: event.RecordedType})
		b.Tapped(publisher.Tapped{ID: "r", Outcome: publisher.Accepted, Reader: "front", At: b.o.Clock.Now(), Data: data, Verified: true})
	}
	release()
	if st := b.now(); show(st) != FaceAccepted || len(st.Todo) != 0 || st.Today.Accepted != 1 {
		t.Errorf("%s, %d to do, %d accepted", show(st), len(st.Todo), st.Today.Accepted)
	}
	// Later, while the next card is being read, it must not cover that one.
	b.Reader(reader.State{Reader: "front", Phase: reader.Found})
	b.Reader(reader.State{Reader: "front", Phase: reader.Reading})
	release()
	if got := show(b.now()); got != FaceReading {
		t.Errorf("released in the middle of a tap: %s", got)
	}
}

// A reader offers a card that the queue did not take again and again.
func TestFailedTapCountsOnce(t *testing.T) {
	b, _ := newBoard(t)
	b.Bus(BusState{Mode: BusConnected})
	data := registration()
	data.Timing.FoundAt = event.Time{Time: b.o.Clock.Now()}
	for range 3 {
		b.Tapped(publisher.Tapped{Outcome: publisher.Full, Reader: "front", At: b.o.Clock.Now(), Data: data})
	}
	if st := b.now(); len(st.Last) != 1 || st.Today.Failed != 1 || show(st) != FaceFull {
		t.Errorf("%d last taps, %d failed, %s", len(st.Last), st.Today.Failed, show(st))
	}
	b.Tapped(publisher.Tapped{ID: "a", Outcome: publisher.Accepted, Reader: "front", At: b.o.Clock.Now(), Data: data})
	if st := b.now(); len(st.Last) != 1 || st.Today.Failed != 0 || st.Today.Accepted != 1 || show(st) != FaceAccepted {
		t.Errorf("%d last taps, %d failed, %d accepted, %s", len(st.Last), st.Today.Failed, st.Today.Accepted, show(st))
	}
}

// A decision about a record says nothing about its repeats.
func TestRepeatIsNotDecided(t *testing.T) {
	b, _ := newBoard(t)
	b.tapped("a", "name_private_use")
	b.Tapped(publisher.Tapped{ID: "a", Outcome: publisher.Repeat, Reader: "front", At: b.o.Clock.Now(), Data: registration()})
	b.FollowedUp(publisher.FollowUp{ID: "f", Refers: "a", Type: event.CancelledType})
	if st := b.now(); show(st) != FaceRepeat || st.Last[0].Decided != "" || st.Last[1].Decided != "cancelled" {
		t.Errorf("%s %+v", show(st), st.Last)
	}
}

func TestRestoreAfterRestart(t *testing.T) {
	b, _ := newBoard(t)
	at := b.o.Clock.Now()
	b.restore([]publisher.Tapped{
		{ID: "old", Outcome: publisher.Accepted, At: at.Add(-time.Hour), Data: registration("name_private_use")},
		{ID: "plain", Outcome: publisher.Accepted, At: at.Add(-time.Hour), Data: registration("card_expired")},
		{ID: "new", Outcome: publisher.Refused, Quarantined: true, Verified: true, At: at, Data: registration("number_check")},
	})
	st := b.now()
	if len(st.Todo) != 2 || st.Todo[0].ID != "new" || st.Todo[1].ID != "old" || st.Todo[1].Data != nil {
		t.Errorf("%+v", st.Todo)
	}
}

func TestMidnightStartsNewCounts(t *testing.T) {
	b, clock := newBoard(t)
	s := b.subscribe()
	defer s.close()
	b.tapped("a")
	until(t, s, func(st State) bool { return st.Today != nil && st.Today.Accepted == 1 })
	clock.Advance(14 * time.Hour)
	until(t, s, func(st State) bool { return st.Today != nil && *st.Today == Today{Date: "2026-11-22"} })
}

func TestCountsGoOnAfterARestart(t *testing.T) {
	clock := clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 10, 0, 0, 0, zone))
	b := NewBoard(BoardOptions{Zone: zone, Clock: clock, Today: Today{Date: "2026-11-21", Accepted: 41}})
	defer b.Close()
	b.tapped("a")
	if st := b.now(); st.Today.Accepted != 42 {
		t.Errorf("%d", st.Today.Accepted)
	}
}

func TestSlowSubscriberGetsASnapshot(t *testing.T) {
	b, _ := newBoard(t)
	s := b.subscribe()
	defer s.close()
	until(t, s, func(State) bool { return true })
	for range 3 * pendingMax {
		b.tapped("a")
	}
	changes, err := s.next(t.Context(), nil)
	if err != nil || len(changes) != 1 || !changes[0].all {
		t.Fatalf("%d changes, %v: want one snapshot", len(changes), err)
	}
	b.tapped("b")
	changes, err = s.next(t.Context(), nil)
	if err != nil || len(changes) != 1 || changes[0].all {
		t.Fatalf("afterwards: %d changes, %v: want one change", len(changes), err)
	}
}

func TestClosedBoardEndsSubscriptions(t *testing.T) {
	b, _ := newBoard(t)
	s := b.subscribe()
	until(t, s, func(State) bool { return true })
	b.Close()
	if _, err := s.next(t.Context(), nil); !errors.Is(err, errEnded) {
		t.Error(err)
	}
}

// Nothing that identifies a person is in a masked body.
func TestMaskedBodies(t *testing.T) {
	b, _ := newBoard(t)
	b.tapped("a", "name_private_use")
	body, err := json.Marshal(b.state(b.snapshot(), false))
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	for _, private := range []string{"样本", "SPECIMEN", "11010519491231002X", "491231", "1949", "6837672C7532", "p1_reference", "样本村", "elder_65",
		"公安局", "2010-01-01", "满", `"age"`, "H00000000", "V0wgcG9ydHJhaXQ", "13800000000", "CHN"} {
		if strings.Contains(text, private) {
			t.Errorf("a masked body has %q", private)
		}
	}
	for _, shown := range []string{"样**", "110***********002X", "甘肃省白银市会宁县", `"masked":true`} {
		if !strings.Contains(text, shown) {
			t.Errorf("a masked body lacks %q", shown)
		}
	}
}

// Panels stand in the configuration's order, whichever reader is ready first,
// under the names that the clerk knows.
func TestPanelsStandInTheConfiguredOrder(t *testing.T) {
	b := NewBoard(BoardOptions{DeskID: "d", Readers: []Reader{{Name: "front", Label: "左侧读卡器"}, {Name: "side"}}})
	defer b.Close()
	for _, name := range []string{"other", "side", "front"} {
		b.Reader(reader.State{Reader: name, Phase: reader.Ready})
	}
	var got []string
	for _, r := range b.state(b.snapshot(), false).Readers {
		got = append(got, r.Name+"="+r.Label)
	}
	if want := []string{"front=左侧读卡器", "side=", "other="}; !slices.Equal(got, want) {
		t.Errorf("panels %q, want %q", got, want)
	}
}
