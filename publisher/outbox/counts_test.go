package outbox

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

// What is counted in memory is what the file holds, after any changes and right
// after a restart.
func TestCountsFollowTheFile(t *testing.T) {
	ctx := t.Context()
	clock := clockwork.NewFakeClockAt(testStart)
	o := Options{Dir: memDir(t), Clock: clock, RepeatWindow: time.Hour}
	q := openTest(t, o)
	rng := rand.New(rand.NewPCG(1, 2))
	same := func(step int, what string) {
		t.Helper()
		inMemory := stats(t, q)
		v, err := OpenView(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		inFile := stats(t, v)
		for _, s := range []*Stats{&inMemory, &inFile} { // the disk's, and a running queue's only
			s.Bytes, s.MaxBytes, s.FreeBytes, s.Full = 0, 0, 0, false
		}
		if !reflect.DeepEqual(inMemory, inFile) {
			t.Fatalf("step %d, %s:\nStats() = %+v,\nwant      %+v", step, what, inMemory, inFile)
		}
	}
	for step := range 150 {
		list, err := q.List(ctx, ListFilter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		what := []string{"accept", "accept", "accept", "deliver", "deliver", "deliver local", "quarantine", "dead", "requeue", "discard", "restart", "adopt", "repeat", "foreign"}[rng.IntN(14)]
		var of Listed
		if len(list) > 0 {
			of = list[rng.IntN(len(list))]
		}
		clock.Advance(time.Second)
		switch what {
		case "accept":
			accept(t, q, card(step, fmt.Sprint(step)))
		case "repeat":
			accept(t, q, card(step, "the same"))
		case "deliver", "deliver local":
			if of.Row != 0 { // one that is delivered already, too
				q.Delivered(ctx, ChainState{Filter: testFilter}, Ack{Row: of.Row, Stream: "S", Sequence: 1, Local: what == "deliver local", At: clock.Now()})
			}
		case "quarantine":
			id, err := q.Quarantine(ctx, Quarantined{Reader: "r", Body: []byte("{}")})
			if err != nil {
				t.Fatal(err)
			}
			if z, err := q.QuarantinedTap(ctx, id); err != nil || z.ID != id || string(z.Body) != "{}" {
				t.Fatalf("QuarantinedTap(%s) = %v, %v", id, z, err)
			}
			if step%2 == 0 {
				if err := q.DropQuarantined(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
		case "dead":
			q.DeadLetter(ctx, of.Row, "too_large")
		case "requeue":
			q.Requeue(ctx, of.Seq, of.Seq)
		case "discard":
			q.Discard(ctx, of.ID, cancel(of.ID))
		case "adopt":
			if err := q.Adopt(ctx, uint64(rng.IntN(100)), "x"); err != nil {
				t.Fatal(err)
			}
		case "foreign":
			if err := q.SetForeign(ctx, Foreign{"x", 3}); err != nil {
				t.Fatal(err)
			}
		case "restart":
			q.Close()
			q = openTest(t, o)
		}
		same(step, what)
	}
	verify(t, q)
	deliverAll(t, q)
	erased := stats(t, q).Erased
	clock.Advance(100 * time.Hour)
	eventually(t, "erasing", func() bool { return stats(t, q).Erased > erased && stats(t, q).Delivered == 0 })
	same(-1, "retention")
}

// Every change wakes who waits for one, and nothing else does.
func TestChanged(t *testing.T) {
	q := openTest(t, Options{})
	before := q.Changed()
	stats(t, q)
	select {
	case <-before:
		t.Fatal("looking was told as a change")
	default:
	}
	accept(t, q, draft(0))
	<-before
	before = q.Changed()
	if err := q.Delivered(t.Context(), ChainState{}, Ack{Row: 1, Stream: "S", Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	<-before
}

// A repeat and a quarantined tap are one transaction with their count.
func TestOutcomesAreCountedWithTheirTap(t *testing.T) {
	q := openTest(t, Options{RepeatWindow: time.Hour})
	accept(t, q, card(0, "a"))
	accept(t, q, card(1, "a"))
	if _, err := q.Quarantine(t.Context(), Quarantined{Reader: "r", Kind: "resident", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	c, err := q.Counts(t.Context(), testStart, testStart.Add(time.Hour))
	if want := "map[accepted:1 refused:1 repeat:1]"; err != nil || fmt.Sprint(c) != want {
		t.Fatalf("Counts() = %v, %v, want %s", c, err, want)
	}
}
