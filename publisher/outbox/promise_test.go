package outbox

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher/event"
	"idtap/publisher/outbox/journal"
)

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, dbName), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	q := openTest(t, Options{Dir: dir})
	accept(t, q, draft(0))
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		seen[d.Name()] = true
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", d.Name(), fi.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dbName, dbName + "-wal", dbName + "-shm", headName, keyName, lockName} {
		if !seen[name] {
			t.Errorf("%s is not there", name)
		}
	}
}

// openRaw opens the queue file as another program would.
func openRaw(t testing.TB, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", journal.Path(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestDowngradeIsRefused(t *testing.T) {
	o := Options{Dir: t.TempDir(), MinFree: 1}
	q := openTest(t, o)
	accept(t, q, draft(0))
	set := func(header, stored int) {
		t.Helper()
		db := openRaw(t, o.Dir)
		defer db.Close()
		if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version=%d; UPDATE meta SET value='%d' WHERE name='schema'", header, stored)); err != nil {
			t.Fatal(err)
		}
	}
	q.Close()
	var now int
	raw := openRaw(t, o.Dir)
	if err := raw.QueryRow("PRAGMA user_version").Scan(&now); err != nil {
		t.Fatal(err)
	}
	raw.Close()
	next := now + 1
	set(next, next)
	_, err := Open(t.Context(), o)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "install the newer idtap") {
		t.Fatalf("opened: %v", err)
	}
	if _, err := OpenView(t.Context(), o); !errors.Is(err, ErrNewer) {
		t.Fatalf("viewed: %v", err)
	}
	if journal.Asides(o.Dir) != nil {
		t.Fatal("a newer queue was set aside")
	}
	// A version that was damaged is damage, not a newer idtap: taps go on.
	set(next, now)
	q = openTest(t, o)
	if s := stats(t, q); s.Fault == "" || s.Waiting != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestMaxBytesRefusesAndRecovers(t *testing.T) {
	clock := clockwork.NewFakeClockAt(testStart)
	q := openTest(t, Options{MaxBytes: 1 << 20, Clock: clock})
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = q.Accept(t.Context(), draft(n))
	}
	if !errors.Is(err, ErrFull) || n < 200 {
		t.Fatalf("after %d records: %v", n, err)
	}
	if s := stats(t, q); !s.Full || s.Waiting != n-1 || s.MaxBytes != 1<<20 {
		t.Fatalf("%+v", s)
	}
	if _, err := q.Quarantine(t.Context(), Quarantined{Body: []byte("{}")}); !errors.Is(err, ErrFull) {
		t.Fatalf("quarantine: %v", err)
	}
	deliverAll(t, q) // needs no room
	clock.Advance(73 * time.Hour)
	eventually(t, "erasing", func() bool { return stats(t, q).Erased == n-1 })
	if a := accept(t, q, draft(0)); a.Seq != uint64(n) {
		t.Fatalf("%+v after %d", a, n-1)
	}
	if stats(t, q).Full {
		t.Fatal("still full")
	}
	verify(t, q)
}

func TestDiscardKeepsTheSequenceWhole(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	q := openTest(t, o)
	var a []Accepted
	for n := range 3 {
		a = append(a, accept(t, q, draft(n)))
	}
	r, err := q.Get(t.Context(), a[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.DeadLetter(t.Context(), r.Row, "too large"); err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q); s.Dead != 1 || s.Waiting != 2 {
		t.Fatalf("%+v", s)
	}
	got, err := q.Discard(t.Context(), r.ID, cancel(r.ID))
	if err != nil || got.Seq != 2 || got.Epoch != r.Epoch || got.ID == r.ID {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := q.Discard(t.Context(), r.ID, cancel(r.ID)); !errors.Is(err, ErrNotFound) {
		t.Fatalf("twice: %v", err)
	}
	if old, err := q.Get(t.Context(), r.ID); err != nil || old.Body != nil {
		t.Fatalf("the body stayed: %v", err)
	}
	q.Close()
	q = openTest(t, o)
	if next := accept(t, q, draft(4)); next.Seq != 4 {
		t.Fatalf("the number after a discarded one is %d", next.Seq)
	}
	var seqs []uint64
	var types []string
	for _, r := range deliverAll(t, q) {
		seqs, types = append(seqs, r.Seq), append(types, event.Token(r.Type))
	}
	slices.Sort(seqs)
	if !slices.Equal(seqs, []uint64{1, 2, 3, 4}) || !slices.Contains(types, "cancelled") {
		t.Fatalf("published %v %v", seqs, types)
	}
	if _, err := q.Discard(t.Context(), a[0].ID, cancel(a[0].ID)); !errors.Is(err, ErrDelivered) {
		t.Fatalf("a delivered one: %v", err)
	}
	verify(t, q)
}

func TestRequeue(t *testing.T) {
	clock := clockwork.NewFakeClockAt(testStart)
	q := openTest(t, Options{Clock: clock})
	for n := range 5 {
		accept(t, q, draft(n))
	}
	deliverAll(t, q)
	if n, err := q.Requeue(t.Context(), 2, 3); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	again := deliverAll(t, q)
	if len(again) != 2 || again[0].Seq != 2 || again[1].Seq != 3 || again[0].Requeued != 1 || again[0].Body == nil {
		t.Fatalf("%v", again)
	}
	clock.Advance(73 * time.Hour)
	eventually(t, "erasing", func() bool { return stats(t, q).Erased == 5 })
	if n, err := q.Requeue(t.Context(), 1, 5); err != nil || n != 0 {
		t.Fatal("erased records were put back", n, err)
	}
	verify(t, q)
}

func TestDamagedRecordIsPassedOver(t *testing.T) {
	q := openTest(t, Options{})
	before, a, b := accept(t, q, draft(2)), accept(t, q, draft(0)), accept(t, q, draft(1))
	if err := q.do(t.Context(), "spoil", func(t *tx) error {
		_, err := t.exec("UPDATE journal SET subject = 'idtap.v1.recorded.elsewhere' WHERE id = ?", a.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if run, err := q.Next(t.Context(), 9); err != nil || len(run) != 1 || run[0].ID != before.ID {
		t.Fatalf("a run goes over a damaged record: %v %v", run, err)
	}
	if err := q.Delivered(t.Context(), ChainState{}, Ack{Row: 1, Stream: "S", Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	if r := next(t, q); r.ID != b.ID {
		t.Fatalf("%v", r)
	}
	list, err := q.List(t.Context(), ListFilter{State: Dead})
	if err != nil || len(list) != 1 || list[0].ID != a.ID || list[0].Reason != "damaged" {
		t.Fatalf("%+v %v", list, err)
	}
	if _, err := q.Get(t.Context(), a.ID); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a changed record opens: %v", err)
	}
	if r, err := q.Verify(t.Context()); err != nil || r.OK {
		t.Fatalf("verify sees nothing: %+v %v", r, err)
	}
}

func TestEpochs(t *testing.T) {
	ctx := t.Context()
	o := Options{Dir: t.TempDir()}
	q := openTest(t, o)
	own := stats(t, q).Epoch
	if other := stats(t, openTest(t, Options{})); other.Epoch == own || own == "" {
		t.Fatal("two queues share an epoch")
	}
	// A new, empty queue continues after the old image's last number.
	if err := q.Adopt(ctx, 41, "the-old-image"); err != nil {
		t.Fatal(err)
	}
	first := accept(t, q, draft(0))
	if first.Seq != 42 || first.Epoch == own || first.Epoch == "the-old-image" {
		t.Fatalf("after Adopt(41): %+v, want number 42 of a new epoch", first.Stamp)
	}
	// One that has published numbers of its own has to be asked.
	deliverAll(t, q)
	if err := q.SetForeign(ctx, Foreign{"a-clone", 99}); err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q); s.Foreign == nil || *s.Foreign != (Foreign{"a-clone", 99}) {
		t.Fatalf("Stats().Foreign = %+v", s.Foreign)
	}
	q.Close()
	q = openTest(t, o)
	for _, c := range []struct {
		epoch string
		last  uint64
	}{{"a-clone", 99}, {first.Epoch, 60}, {first.Epoch, 42}, {first.Epoch, 3}} { // whatever was counted
		before := stats(t, q)
		if err := q.Adopt(ctx, c.last, c.epoch); err != nil {
			t.Fatal(err)
		}
		q.Close()
		q = openTest(t, o)
		if s := stats(t, q); s.Foreign != nil || s.Epoch == before.Epoch || s.LastSeq != c.last {
			t.Fatalf("after Adopt(%d, %s): Stats() = %+v", c.last, c.epoch, s)
		}
		if a := accept(t, q, draft(1)); a.Seq != c.last+1 {
			t.Fatalf("after Adopt(%d): %+v", c.last, a.Stamp)
		}
		deliverAll(t, q)
	}
	verify(t, q)
}

// numbered is the data of an event as the intake makes it.
func numbered(n int, s Stamp) ([]byte, error) {
	return fmt.Appendf(nil, `{"n":%d,"desk":{"id":"desk-1","epoch":%q,"seq":%d}}`, n, s.Epoch, s.Seq), nil
}

func TestAdoptNumbersWhatWaitsAgain(t *testing.T) {
	ctx := t.Context()
	o := Options{Dir: t.TempDir(), RepeatWindow: time.Hour}
	q := openTest(t, o)
	var old []Accepted
	for n := range 8 {
		d := card(n, fmt.Sprint(n))
		d.Body = func(s Stamp) ([]byte, error) { return numbered(n, s) }
		old = append(old, accept(t, q, d))
	}
	mark := func(row int64) {
		if err := q.Delivered(ctx, ChainState{}, Ack{Row: row, Stream: "S", Sequence: uint64(row)}); err != nil {
			t.Fatal(err)
		}
	}
	mark(1)
	if err := q.DeadLetter(ctx, 2, "too_large"); err != nil { // something was delivered after it
		t.Fatal(err)
	}
	mark(3)
	if _, err := q.Requeue(ctx, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := q.DeadLetter(ctx, 4, "too_large"); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Discard(ctx, old[4].ID, cancel(old[4].ID)); err != nil {
		t.Fatal(err)
	}
	if err := q.Adopt(ctx, 20, old[0].Epoch); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{ // new numbers; the others keep theirs
		old[3].ID: 21, old[5].ID: 22, old[6].ID: 23, old[7].ID: 24}
	for range 2 {
		verify(t, q)
		epoch := stats(t, q).Epoch
		for n, a := range old {
			r, err := q.Get(ctx, a.ID)
			seq, moved := want[a.ID]
			if !moved {
				if err != nil || r.Stamp != a.Stamp {
					t.Errorf("record %d: %+v, %v, want it as it was", n, r.Stamp, err)
				}
				continue
			}
			if body, _ := numbered(n, r.Stamp); err != nil || r.Seq != seq || r.Epoch != epoch || r.AcceptedAt != a.AcceptedAt || string(r.Body) != string(body) {
				t.Errorf("record %d: %+v with %s, %v, want number %d of %s", n, r.Stamp, r.Body, err, seq, epoch)
			}
			if again := accept(t, q, card(0, fmt.Sprint(n))); !again.Repeated || again.Earlier != r.Stamp {
				t.Errorf("a repeat of record %d: %+v, want %+v", n, again.Earlier, r.Stamp)
			}
		}
		q.Close()
		q = openTest(t, o)
	}
	if a := accept(t, q, draft(9)); a.Seq != 26 { // the discarded one's number moved as well
		t.Fatalf("the next tap has number %d, want 26", a.Seq)
	}
}

func TestFurtherSubjects(t *testing.T) {
	q := openTest(t, Options{})
	rec := accept(t, q, draft(0))
	d := draft(1)
	d.Type, d.Refers, d.Also = event.CorrectedType, rec.ID, []string{"idtap.v1.corrected.other"}
	accept(t, q, d)
	out := deliverAll(t, q)
	if len(out) != 3 || out[1].Seq != 2 || out[2].Seq != 3 || out[1].ID == out[2].ID || out[2].Subject != d.Also[0] ||
		!bytes.Contains(out[2].Body, []byte(out[2].ID)) {
		t.Fatalf("%v", out)
	}
	if f, err := q.FollowUps(t.Context(), rec.ID); err != nil || len(f) != 1 || f[0].ID != out[1].ID {
		t.Fatalf("%v %v", f, err)
	}
	if c, err := q.Counts(t.Context(), testStart, testStart.Add(time.Second)); err != nil || c["corrected"] != 1 || c["accepted"] != 1 {
		t.Fatalf("%v %v", c, err)
	}
	if r, err := q.Recent(t.Context(), testStart, 1); err != nil || len(r) != 1 || r[0].ID != out[1].ID {
		t.Fatalf("%v %v", r, err)
	}
	// An earlier desk id's records drain first, as they came first.
	d = draft(2)
	d.Filter, d.Subject = "idtap.v1.*._._._.renamed.>", "idtap.v1.recorded._._._.renamed._._._"
	accept(t, q, d)
	if r := next(t, q); r.Filter != d.Filter || r.Subject != d.Subject {
		t.Fatal(r)
	}
}

func TestQuarantineAndRelease(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	q := openTest(t, o)
	id, err := q.Quarantine(t.Context(), Quarantined{Reader: "front", Kind: "resident", Codes: []string{"number_checksum"}, Verified: true, Body: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q); s.Quarantined != 1 || s.LastSeq != 0 {
		t.Fatalf("a quarantined tap took a number: %+v", s)
	}
	q.Close()
	q = openTest(t, o)
	list, err := q.Quarantined(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != id || string(list[0].Body) != `{"a":1}` || !list[0].Verified || list[0].Codes[0] != "number_checksum" {
		t.Fatalf("%v %v", list, err)
	}
	broken := draft(0)
	broken.Body = func(Stamp) ([]byte, error) { return nil, errors.New("no") }
	if _, err := q.Release(t.Context(), id, broken); err == nil {
		t.Fatal("released without a body")
	}
	if s := stats(t, q); s.Quarantined != 1 {
		t.Fatal("a failed release dropped the tap")
	}
	if a, err := q.Release(t.Context(), id, draft(0)); err != nil || a.Seq != 1 {
		t.Fatal(a, err)
	}
	if _, err := q.Release(t.Context(), id, draft(0)); !errors.Is(err, ErrNotFound) {
		t.Fatalf("released twice: %v", err)
	}
	if err := q.DropQuarantined(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Fatalf("dropped what is gone: %v", err)
	}
}

// Whatever step a change is stopped at, what was answered holds and nothing is
// half done.
func TestFailPoints(t *testing.T) {
	stop := errors.New("stopped here")
	for _, when := range []string{"begin", "written", "committed"} {
		var arm atomic.Value // the step to stop at
		arm.Store("")
		o := Options{Dir: t.TempDir(), RepeatWindow: time.Hour}
		q := openFailing(t, o, func(step string) error {
			if step == arm.Load() {
				return stop
			}
			return nil
		})
		ctx := t.Context()
		first := accept(t, q, card(0, "first"))
		arm.Store("accept." + when)
		if _, err := q.Accept(ctx, card(1, "second")); !errors.Is(err, stop) {
			t.Fatalf("%s: %v", arm.Load(), err)
		}
		done := map[string]int{"begin": 0, "written": 0, "committed": 1}[when]
		if s := stats(t, q); s.Waiting != 1+done || s.LastSeq != uint64(1+done) {
			t.Fatalf("%s: %+v", arm.Load(), s)
		}
		arm.Store("")
		if a := accept(t, q, card(2, "second")); a.Repeated != (done == 1) || !a.Repeated && a.Seq != 2 {
			t.Fatalf("%s: %+v", when, a)
		}
		arm.Store("delivered." + when)
		if err := q.Delivered(ctx, ChainState{Filter: testFilter, LastSequence: 9}, Ack{Row: 1, Stream: "S", Sequence: 9}); !errors.Is(err, stop) {
			t.Fatalf("%s: %v", arm.Load(), err)
		}
		_, chained, err := q.Chain(ctx, testFilter)
		if s := stats(t, q); err != nil || s.Delivered != done || chained != (done == 1) {
			t.Fatalf("%s: mark and chain differ: %+v %v %v", arm.Load(), s, chained, err)
		}
		arm.Store("discard." + when)
		if _, err := q.Discard(ctx, first.ID, cancel(first.ID)); err == nil {
			t.Fatalf("%s: went through", arm.Load())
		}
		arm.Store("")
		verify(t, q)
		q.Close()
		verify(t, openTest(t, o))
	}
}

// Ops that come together share a transaction; one that fails takes no other along.
func TestGroupCommitIsolatesFailures(t *testing.T) {
	var begun sync.WaitGroup
	hold := make(chan struct{})
	held := false
	q := openFailing(t, Options{}, func(step string) error {
		if step == "tally.begin" && !held {
			held = true
			<-hold
		}
		return nil
	})
	go q.Tally(context.Background(), Tally{Outcome: "repeat"})
	results := make([]error, 40)
	for n := range results {
		begun.Add(1)
		go func() {
			defer begun.Done()
			d := draft(n)
			if n%4 == 0 {
				d.Body = func(Stamp) ([]byte, error) { return nil, errors.New("no body") }
			}
			_, results[n] = q.Accept(context.Background(), d)
		}()
	}
	close(hold)
	begun.Wait()
	for n, err := range results {
		if (err != nil) != (n%4 == 0) {
			t.Errorf("draft %d: %v", n, err)
		}
	}
	if s := stats(t, q); s.Waiting != 30 || s.LastSeq != 30 {
		t.Fatalf("%+v", s)
	}
	verify(t, q)
}

func TestReadersWritersAndForwarderAtOnce(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir, Clock: clockwork.NewRealClock(), RepeatWindow: time.Minute})
	const readers, taps = 4, 50
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg, aside sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			for n := range taps {
				accept(t, q, card(n, fmt.Sprint(r, n)))
			}
		})
	}
	aside.Go(func() { // `idtap outbox stats` and `verify` beside the daemon
		for ctx.Err() == nil {
			v, err := OpenView(context.Background(), Options{Dir: dir})
			if err != nil {
				t.Error(err)
				return
			}
			stats(t, v)
			if r, err := v.Verify(context.Background()); err != nil || !r.OK {
				t.Error(r.Problems, err)
			}
			v.Close()
		}
	})
	var got []uint64
	for len(got) < readers*taps {
		r := next(t, q)
		got = append(got, r.Seq)
		if err := q.Delivered(ctx, ChainState{}, Ack{Row: r.Row, Stream: "S", Sequence: r.Seq}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	stop()
	aside.Wait()
	for i, seq := range got {
		if seq != uint64(i+1) {
			t.Fatalf("delivery %d has number %d", i+1, seq)
		}
	}
	verify(t, q)
}

func TestViewWithoutDaemon(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	if _, err := OpenView(t.Context(), o); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no queue: %v", err)
	}
	q := openTest(t, o)
	accept(t, q, draft(0))
	q.Close()
	v, err := OpenView(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if s := stats(t, v); s.Waiting != 1 || s.LastSeq != 1 || s.Epoch == "" {
		t.Fatalf("%+v", s)
	}
	verify(t, v)
	// Without the key everything but bodies can be read.
	if err := os.Rename(filepath.Join(o.Dir, keyName), filepath.Join(o.Dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	blind, err := OpenView(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer blind.Close()
	if r := verify(t, blind); r.Unopened != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestAcceptAfterContextAndClose(t *testing.T) {
	q := openTest(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := q.Accept(ctx, draft(0)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s := stats(t, q); s.LastSeq != 0 {
		t.Fatal("an ended context stored something")
	}
	q.Close()
	if _, err := q.Accept(context.Background(), draft(0)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
}

func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		q, err := Open(context.Background(), Options{Dir: t.TempDir(), MinFree: 1, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		accept(t, q, draft(0))
		stats(t, q)
		q.Close()
	}
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestPrintsMasked(t *testing.T) {
	q := openTest(t, Options{})
	a := accept(t, q, draft(0))
	r, err := q.Get(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	z := Quarantined{Body: []byte("测试·甲")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, s := range []string{fmt.Sprintf(format, r), fmt.Sprintf(format, z), fmt.Sprintf(format, &r)} {
			if strings.Contains(s, "测试") || strings.Contains(s, fmt.Sprintf("%x", "测试")) || strings.Contains(s, "11010119491231002X") {
				t.Errorf("%s prints %s", format, s)
			}
		}
	}
}

func TestAuditLines(t *testing.T) {
	q := openTest(t, Options{})
	for n := range 3 {
		if err := q.Audit(t.Context(), "operator", fmt.Sprint("reveal", n), "id"); err != nil {
			t.Fatal(err)
		}
	}
	l, err := q.AuditLines(t.Context(), 2)
	if err != nil || len(l) != 2 || l[0].What != "reveal1" || l[1].What != "reveal2" || !l[0].At.Equal(testStart) {
		t.Fatalf("%v %v", l, err)
	}
}
