package outbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/jonboulle/clockwork"
)

// deliverAll takes every waiting record out, as a forwarder would.
func deliverAll(t testing.TB, q *Queue) (records []Record) {
	t.Helper()
	ctx := context.Background()
	for n := stats(t, q).Waiting; n > 0; n = stats(t, q).Waiting {
		for range n {
			r := next(t, q)
			records = append(records, r)
			if err := q.Delivered(ctx, ChainState{Filter: r.Filter, LastSequence: uint64(r.Row)}, Ack{Row: r.Row, Stream: "S", Sequence: uint64(r.Row)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return records
}

// eventually waits for the writer to have done something; it has no other event.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("never happened: " + what)
		}
		runtime.Gosched()
	}
}

func TestRetentionErasesBodiesAndKeepsTheChain(t *testing.T) {
	clock := clockwork.NewFakeClockAt(testStart)
	o := Options{Dir: t.TempDir(), Clock: clock, Retain: 72 * time.Hour, KeepCounts: 400 * 24 * time.Hour}
	q := openTest(t, o)
	for n := range 450 { // more than one sweep takes
		accept(t, q, draft(n))
	}
	deliverAll(t, q)
	late := accept(t, q, draft(450))
	if _, err := q.Quarantine(t.Context(), Quarantined{Reader: "front", Codes: []string{"number_checksum"}, Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	q.Tally(t.Context(), Tally{Outcome: "repeat"})
	clock.Advance(73 * time.Hour)
	eventually(t, "erasing", func() bool { return stats(t, q).Erased == 450 })
	s := stats(t, q)
	if s.Waiting != 1 || s.Quarantined != 0 {
		t.Fatalf("after retention: %+v", s)
	}
	if r, err := q.Get(t.Context(), late.ID); err != nil || r.Body == nil {
		t.Fatalf("an undelivered body was erased: %v", err)
	}
	if r := verify(t, q); r.Erased != 450 || r.Opened != 1 {
		t.Fatalf("verify: %+v", r)
	}
	c, err := q.Counts(t.Context(), testStart, testStart.Add(time.Hour))
	if err != nil || c["accepted"] != 451 || c["delivered"] != 450 || c["repeat"] != 1 {
		t.Fatalf("counts: %v %v", c, err)
	}
	deliverAll(t, q)
	clock.Advance(100 * time.Hour)
	eventually(t, "erasing the last", func() bool { return stats(t, q).Erased == 451 })
	clock.Advance(400 * 24 * time.Hour)
	eventually(t, "forgetting counts", func() bool { return stats(t, q).Erased == 1 })
	if s := stats(t, q); s.LastSeq != 451 {
		t.Fatalf("the sequence was forgotten: %+v", s)
	}
	verify(t, q)
	q.Close()
	q = openTest(t, o)
	if a := accept(t, q, draft(0)); a.Seq != 452 || a.Epoch != late.Epoch {
		t.Fatalf("went on with %+v", a)
	}
	verify(t, q)
}

// secrets are what must not stand on the disk, in the encodings that a card or
// an event has it in.
func secrets(texts ...string) [][]byte {
	var all [][]byte
	for _, s := range texts {
		var le []byte
		for _, u := range utf16.Encode([]rune(s)) {
			le = append(le, byte(u), byte(u>>8))
		}
		all = append(all, []byte(s), le)
	}
	return all
}

func searchFiles(t testing.TB, dir string, wanted [][]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range wanted {
			if bytes.Contains(b, w) {
				found = append(found, fmt.Sprintf("%s holds %q", filepath.Base(path), w))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestNothingReadableOnDisk(t *testing.T) {
	clock := clockwork.NewFakeClockAt(testStart)
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir, Clock: clock, RepeatWindow: 5 * time.Minute})
	private := secrets("测试·甲", "11010119491231002X", "甘肃省会宁县某村", "repeat-content-of-a-card")
	personal := func(Stamp) ([]byte, error) {
		return []byte(`{"name":"测试·甲","number":"11010119491231002X","address":"甘肃省会宁县某村"}`), nil
	}
	d := card(0, "repeat-content-of-a-card")
	d.Body = personal
	a := accept(t, q, d)
	b, _ := personal(Stamp{})
	if _, err := q.Quarantine(t.Context(), Quarantined{Reader: "front", Body: append(b, private[1]...)}); err != nil {
		t.Fatal(err)
	}
	// The search itself must be able to find: what is stored in the clear is there.
	if len(searchFiles(t, dir, [][]byte{[]byte(a.ID)})) == 0 {
		t.Fatal("the search does not even find the event id")
	}
	if found := searchFiles(t, dir, private); found != nil {
		t.Fatalf("before retention: %v", found)
	}
	// Sealed bodies go as well: their bytes are in no file once they are erased.
	var sealed []byte
	if err := q.View.db.QueryRow("SELECT body FROM bodies").Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if len(searchFiles(t, dir, [][]byte{sealed})) == 0 {
		t.Fatal("the search does not find the sealed body")
	}
	deliverAll(t, q)
	clock.Advance(73 * time.Hour)
	eventually(t, "erasing", func() bool { return stats(t, q).Erased == 1 })
	q.Close()
	for _, d := range []string{"after retention", "after reopening"} {
		if found := searchFiles(t, dir, append(private, sealed)); found != nil {
			t.Fatalf("%s: %v", d, found)
		}
		openTest(t, Options{Dir: dir, Clock: clock}).Close()
	}
}

// The log is emptied without closing the queue, too.
func TestErasedBodyLeavesTheLog(t *testing.T) {
	clock := clockwork.NewFakeClockAt(testStart)
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir, Clock: clock})
	accept(t, q, draft(0))
	var sealed []byte
	if err := q.View.db.QueryRow("SELECT body FROM bodies").Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	deliverAll(t, q)
	clock.Advance(73 * time.Hour)
	eventually(t, "the sealed body to leave every file", func() bool { return searchFiles(t, dir, [][]byte{sealed}) == nil })
}
