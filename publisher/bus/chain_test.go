package bus

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

func TestPurgeAndRecreation(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(5, hukou)
	d.drained()
	s := must[jetstream.Stream](t)(c.js.Stream(t.Context(), stream))
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.Accept(3, hukou)
	d.drained()
	if got := c.stored(); len(got) != 3 || got[0].Seq != 6 {
		t.Fatalf("after the purge: %+v", got)
	}
	if err := c.js.DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	q.Accept(3, hukou)
	d.untilCode(NoStream)
	must[jetstream.Stream](t)(c.js.CreateStream(t.Context(), RecommendedStream(stream, 1, 0, 0)))
	d.drained()
	if got := c.stored(); len(got) != 3 || got[0].Seq != 9 || got[0].Sequence != 1 {
		t.Fatalf("after the re-creation: %+v", got)
	}
}

func TestStreamMadeAnewWithALongerHistory(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(1, hukou)
	d.drained()
	// The desk's position is 1 again by chance on the new stream, with another
	// desk's event there.
	if err := c.js.DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	must[jetstream.Stream](t)(c.js.CreateStream(t.Context(), RecommendedStream(stream, 1, 0, 0)))
	must[*jetstream.PubAck](t)(c.js.Publish(t.Context(), "idtap.v1.recorded.41.4101.410105.d2.62.6204.620422", nil))
	q.Accept(4, hukou)
	d.drained()
	if got := c.stored(); len(got) != 5 {
		t.Fatalf("%+v", got)
	}
}

func TestCloneOfADeskImageIsStopped(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(3, hukou)
	d.drained()
	clone := q.Clone()
	q.Accept(2, hukou)
	d.drained()
	clone.Accept(2, hukou)
	other := startDesk(t, clone, Options{Server: Server{URL: c.URL()}})
	other.untilCode(DeskIDInUse)
	clone.Accept(1, hukou) // taps go on being accepted
	if n := len(c.stored()); n != 5 {
		t.Fatalf("%d stored while the clone is stopped", n)
	}
	adoptForeign(t, other)
	other.drained()
	if clone.Adopted() != "e1/5" {
		t.Fatalf("adopted %q", clone.Adopted())
	}
	q.Accept(1, hukou)
	d.untilCode(DeskIDInUse) // now the first is the stranger
}

func adoptForeign(t *testing.T, d *desk) {
	t.Helper()
	s := must[outbox.Stats](t)(d.queue.Stats(t.Context()))
	if s.Foreign == nil {
		t.Fatal("the queue has no note of foreign events")
	}
	if err := d.queue.Adopt(t.Context(), s.Foreign.LastSeq, s.Foreign.Epoch); err != nil {
		t.Fatal(err)
	}
	nudge(d.forward.wake) // or within the back-off
}

func TestAdoptionHoldsOverARestart(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(2, hukou)
	d.drained()
	second := faulttest.NewQueue("e2", division, "d1")
	second.Accept(2, hukou)
	startDesk(t, second, Options{Server: Server{URL: c.URL()}}).drained()
	q.Accept(3, hukou)
	d.untilCode(DeskIDInUse)
	d.Stop()
	d = startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	d.untilCode(DeskIDInUse) // a restart decides nothing
	d.Stop()
	s := must[outbox.Stats](t)(q.Stats(t.Context()))
	if err := q.Adopt(t.Context(), s.Foreign.LastSeq, s.Foreign.Epoch); err != nil { // idtap outbox adopt, daemon stopped
		t.Fatal(err)
	}
	startDesk(t, q, Options{Server: Server{URL: c.URL()}}).drained()
	c.audit(q, second)
}

func TestRequeueBehindALostAckDoublesNothing(t *testing.T) {
	c := startCentral(t, 1, nil)
	c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
	n := c.network(0)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Provider: n})
	q.Accept(2, hukou)
	d.drained()
	n.Swallow(func() bool { return true })
	q.Accept(1, hukou)
	d.untilCode(NoAnswer)
	q.Requeue(1) // goes before the third, which is stored and does not know it
	n.Swallow(nil)
	d.drained()
	times := map[uint64]int{}
	for _, m := range c.stored() {
		times[m.Seq]++
	}
	if times[1] != 2 || times[2] != 1 || times[3] != 1 {
		t.Fatalf("stored by desk sequence: %v", times)
	}
}

func TestReimagedDeskGoesOn(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(7, hukou)
	d.drained()
	d.Stop()
	again := faulttest.NewQueue("e2", division, "d1")
	again.Accept(3, hukou)
	startDesk(t, again, Options{Server: Server{URL: c.URL()}}).drained()
	if again.Adopted() != "e1/7" {
		t.Fatalf("adopted %q", again.Adopted())
	}
	c.audit(q, again)
}

func TestReimagedDeskNumbersOnIfItConnectsFirst(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(7, hukou)
	d.drained()
	d.Stop()
	again := faulttest.NewQueue("e2", division, "d1")
	d = startDesk(t, again, Options{Server: Server{URL: c.URL()}})
	d.until("delivering", Health.Delivering)
	again.Accept(1, hukou)
	d.drained()
	if got := c.stored(); len(got) != 8 || got[7].Epoch != "e2+" || got[7].Seq != 8 {
		t.Fatalf("%d stored, the last %s/%d, want 8 and e2+/8", len(got), got[len(got)-1].Epoch, got[len(got)-1].Seq)
	}
}

func TestForeignEpochStopsADeskThatHasPublished(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(2, hukou)
	d.drained()
	second := faulttest.NewQueue("e2", division, "d1")
	second.Accept(2, hukou)
	startDesk(t, second, Options{Server: Server{URL: c.URL()}}).drained()
	q.Accept(1, hukou)
	h := d.untilCode(DeskIDInUse)
	if h.Delivering() {
		t.Fatalf("%+v", h)
	}
}

func TestChangedDeskIDDrainsTheOldFilterFirst(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(3, hukou)
	q.Desk, q.Division = "d9", "410102"
	q.Accept(3, hukou)
	startDesk(t, q, Options{Server: Server{URL: c.URL()}}).drained()
	c.audit(q)
	var order []string
	for _, m := range c.stored() {
		_, p, err := event.ParseSubject(m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, p.DeskID)
	}
	if want := []string{"d1", "d1", "d1", "d9", "d9", "d9"}; !slices.Equal(order, want) {
		t.Fatalf("order %v", order)
	}
}

func TestRequeueStoresAgainUnderTheSameID(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(3, hukou)
	d.drained()
	q.Requeue(2)
	d.drained()
	q.Accept(1, hukou)
	d.drained()
	got := c.stored()
	if len(got) != 5 || got[3].ID != got[1].ID || got[3].Requeued != "1" || got[4].Seq != 4 {
		t.Fatalf("%+v", got)
	}
}

func TestLostPositionIsReadBack(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
	q.Accept(3, hukou)
	d.drained()
	q.Forget()
	q.Accept(3, hukou)
	d.drained()
	c.audit(q)
}

func TestTwoStoredAndNotMarked(t *testing.T) {
	for name, requeue := range map[string]bool{"only they wait": false, "one put back before them": true} {
		t.Run(name, func(t *testing.T) {
			c := startCentral(t, 1, nil)
			c.update(func(s *jetstream.StreamConfig) { s.Duplicates = 100 * time.Millisecond })
			q := faulttest.NewQueue("e1", division, "d1")
			q.Accept(3, hukou)
			d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
			d.drained()
			d.Stop()
			crashed := q.Clone() // knows of three
			crashed.Accept(2, hukou)
			d = startDesk(t, crashed, Options{Server: Server{URL: c.URL()}})
			d.drained()
			d.Stop()
			crashed.Unmark(4, q)
			crashed.Accept(4, hukou)
			if requeue {
				crashed.Requeue(2)
			}
			<-time.After(200 * time.Millisecond) // the server's duplicate window passes
			d = startDesk(t, crashed, Options{Server: Server{URL: c.URL()}})
			d.drained()
			times := map[uint64]int{}
			for _, m := range c.stored() {
				times[m.Seq]++
			}
			want := map[uint64]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1}
			if requeue {
				want[2] = 2
			}
			if !maps.Equal(times, want) {
				t.Fatalf("stored by desk sequence: %v", times)
			}
		})
	}
}
