package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher/event"
	"idtap/publisher/internal/failpoint"
)

const (
	testFilter  = "idtap.v1.*.41.4101.410105.desk-1.>"
	testSubject = "idtap.v1.recorded.41.4101.410105.desk-1.62.6204.620422"
)

var testStart = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// Names and sizes of the queue's files, which other programs may know.
const (
	dbName   = "outbox.db"
	headName = "outbox.head"
	keyName  = "outbox.key"
	lockName = "outbox.lock"
	pageSize = 4096
)

// openTest opens a queue on a fake clock that is closed with the test.
func openTest(t testing.TB, o Options) *Queue {
	t.Helper()
	return openFailing(t, o, func(string) error { return nil })
}

// openFailing opens a queue whose operations ask fail at each of their steps.
func openFailing(t testing.TB, o Options, fail failpoint.Func) *Queue {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewFakeClockAt(testStart)
	}
	if o.MinFree == 0 {
		o.MinFree = 1
	}
	o.Log = zerolog.New(zerolog.NewTestWriter(t))
	q, err := Open(failpoint.With(t.Context(), fail), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// body is the data of draft n: synthetic, and different for every record.
func body(n int, s Stamp) []byte {
	b, err := json.Marshal(map[string]any{"n": n, "name": "测试·甲", "number": "11010119491231002X", "id": s.ID, "epoch": s.Epoch, "seq": s.Seq})
	if err != nil {
		panic(err)
	}
	return b
}

func draft(n int) Draft {
	return Draft{Type: event.RecordedType, Source: "/idtap/desk-1/front", Subject: testSubject, Filter: testFilter,
		Kind: "resident", Status: event.Clean, Codes: []string{"age_high"},
		Body: func(s Stamp) ([]byte, error) { return body(n, s), nil }}
}

func accept(t testing.TB, q *Queue, d Draft) Accepted {
	t.Helper()
	a, err := q.Accept(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func next(t testing.TB, q *Queue) Record {
	t.Helper()
	list, err := q.Next(context.Background(), 1)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0]
}

func stats(t testing.TB, q interface {
	Stats(context.Context) (Stats, error)
}) Stats {
	t.Helper()
	s, err := q.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verify(t testing.TB, q interface {
	Verify(context.Context) (VerifyReport, error)
}) VerifyReport {
	t.Helper()
	r, err := q.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK {
		t.Fatalf("verify: %+v", r.Problems)
	}
	return r
}

func TestAcceptNextDelivered(t *testing.T) {
	ctx := t.Context()
	q := openTest(t, Options{})
	var want []Accepted
	for n := range 5 {
		want = append(want, accept(t, q, draft(n)))
	}
	for n, a := range want {
		r := next(t, q)
		if r.Stamp != a.Stamp || r.Seq != uint64(n+1) || string(r.Body) != string(body(n, a.Stamp)) {
			t.Fatalf("record %d: stamp %+v, want %+v", n, r.Stamp, a.Stamp)
		}
		if r.Subject != testSubject || r.Filter != testFilter || r.Type != event.RecordedType || fmt.Sprint(r.Codes) != "[age_high]" {
			t.Fatalf("record %d: clear columns %q %q %q %q", n, r.Subject, r.Filter, r.Type, r.Codes)
		}
		chain := ChainState{Filter: r.Filter, StreamCreated: testStart, LastSequence: uint64(100 + n)}
		if err := q.Delivered(ctx, chain, Ack{Row: r.Row, Stream: "REGISTRATIONS", Sequence: uint64(100 + n)}); err != nil {
			t.Fatal(err)
		}
		got, ok, err := q.Chain(ctx, r.Filter)
		if err != nil || !ok || got != chain {
			t.Fatalf("chain: %+v %v %v", got, ok, err)
		}
	}
	s := stats(t, q)
	if s.Waiting != 0 || s.Delivered != 5 || s.LastSeq != 5 || s.LastDelivered.IsZero() {
		t.Fatalf("stats: %+v", s)
	}
	if r := verify(t, q); r.Records != 5 || r.Opened != 5 {
		t.Fatalf("verify: %+v", r)
	}
}

func TestNextWaits(t *testing.T) {
	q := openTest(t, Options{})
	got := make(chan []Record, 1)
	go func() {
		list, _ := q.Next(context.Background(), 1)
		got <- list
	}()
	a := accept(t, q, draft(1))
	if list := <-got; len(list) != 1 || list[0].ID != a.ID {
		t.Fatalf("got %v, want %s", list, a.ID)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := q.Delivered(ctx, ChainState{}, Ack{Row: 1, Stream: "S", Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := q.Next(ctx, 1)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	go func() {
		_, err := q.Next(context.Background(), 1)
		ended <- err
	}()
	q.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestReopenGoesOn(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir})
	epoch := stats(t, q).Epoch
	accept(t, q, draft(0))
	accept(t, q, draft(1))
	key, ref := q.EmbeddedStoreKey(), string(q.RefKey())
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = openTest(t, Options{Dir: dir})
	a := accept(t, q, draft(2))
	if a.Epoch != epoch || a.Seq != 3 {
		t.Fatalf("went on with %s seq %d", a.Epoch, a.Seq)
	}
	if q.EmbeddedStoreKey() != key || string(q.RefKey()) != ref || key == "" || len(ref) != 32 {
		t.Fatal("derived keys changed")
	}
	if r := verify(t, q); r.Records != 3 {
		t.Fatalf("verify: %+v", r)
	}
}
