package bus

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// onDisk opens the real queue of desk d1.
func onDisk(t *testing.T, dir string) *outbox.Queue {
	t.Helper()
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: dir, MinFree: 1, Log: zerolog.New(io.Discard)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// deliverOnDisk runs a bus for q until until holds of the queue's state.
func deliverOnDisk(t *testing.T, q *outbox.Queue, url string, until func(outbox.Stats) bool) {
	t.Helper()
	changed := make(chan struct{}, 1)
	b, err := Start(t.Context(), Options{DeskID: "d1", DeskDivision: division, Server: Server{URL: url}, Log: zerolog.New(io.Discard),
		OnChange: func(Health) { notifyTest(changed) }}, &marked{q, changed})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	for {
		if until(must[outbox.Stats](t)(q.Stats(t.Context()))) {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the test ended first")
		}
	}
}

// marked tells when records are marked.
type marked struct {
	*outbox.Queue
	changed chan struct{}
}

func (m *marked) Delivered(ctx context.Context, chain outbox.ChainState, acks ...outbox.Ack) error {
	defer notifyTest(m.changed)
	return m.Queue.Delivered(ctx, chain, acks...)
}

func notifyTest(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func tapOnDisk(t *testing.T, q *outbox.Queue, n int) (ids []string) {
	t.Helper()
	for range n {
		d := benchDraft("d1")
		d.Body = func(s outbox.Stamp) ([]byte, error) {
			return fmt.Appendf(nil, `{"desk":{"id":"d1","epoch":%q,"seq":%d}}`, s.Epoch, s.Seq), nil
		}
		ids = append(ids, must[outbox.Accepted](t)(q.Accept(t.Context(), d)).ID)
	}
	return ids
}

// A restore card puts the disk back to an earlier state: whatever was counted on
// either side, no number of one epoch is ever stored for two people.
func TestDiskRolledBack(t *testing.T) {
	for _, c := range []struct{ waiting, lost, taps int }{ // at the copy; delivered after it; tapped after it was put back
		{0, 1, 2}, {0, 2, 2}, {0, 5, 2}, {2, 1, 1}, {1, 0, 3}, {0, 3, 0},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			central := startCentral(t, 1, nil)
			dir, backup := filepath.Join(t.TempDir(), "desk"), t.TempDir()
			q := onDisk(t, dir)
			ids := tapOnDisk(t, q, 3)
			drained := func(s outbox.Stats) bool { return s.Waiting == 0 }
			deliverOnDisk(t, q, central.URL(), drained)
			ids = append(ids, tapOnDisk(t, q, c.waiting)...)
			q.Close()
			if err := os.CopyFS(filepath.Join(backup, "desk"), os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			q = onDisk(t, dir)
			ids = append(ids, tapOnDisk(t, q, c.lost)...)
			deliverOnDisk(t, q, central.URL(), drained)
			q.Close()

			q = onDisk(t, filepath.Join(backup, "desk"))
			ids = append(ids, tapOnDisk(t, q, c.taps)...)
			met := func(s outbox.Stats) bool { return s.Waiting == 0 || s.Foreign != nil }
			deliverOnDisk(t, q, central.URL(), met)
			if s := must[outbox.Stats](t)(q.Stats(t.Context())); s.Foreign != nil {
				if err := q.Adopt(t.Context(), s.Foreign.LastSeq, s.Foreign.Epoch); err != nil {
					t.Fatal(err)
				}
			}
			deliverOnDisk(t, q, central.URL(), drained)

			numbers, stored := map[string]string{}, map[string]bool{}
			for _, m := range central.stored() {
				number := fmt.Sprintf("%s/%d", m.Epoch, m.Seq)
				if id, ok := numbers[number]; ok && id != m.ID {
					t.Errorf("number %s is given to %s and to %s", number, id, m.ID)
				}
				numbers[number], stored[m.ID] = m.ID, true
			}
			for _, id := range ids {
				if !stored[id] {
					t.Errorf("accepted %s is not stored", id)
				}
			}
			if r := must[outbox.VerifyReport](t)(q.Verify(t.Context())); !r.OK {
				t.Errorf("Verify() = %+v", r.Problems)
			}
		})
	}
}

// A record is stored, its acknowledgement is lost, and then somebody else
// publishes under the desk's id: it is marked before what waits is numbered
// again, and so is what was published before it.
func TestLostAckBeforeForeignEvents(t *testing.T) {
	for _, published := range []bool{true, false} { // the desk has published here before
		c := startCentral(t, 1, nil)
		q := faulttest.NewQueue("e1", division, "d1")
		if published {
			q.Accept(1, hukou)
			d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
			d.drained()
			d.Stop()
		}
		q.Accept(1, hukou)
		q.Accept(1, "510104")
		q.Accept(2, hukou)
		waiting := must[[]outbox.Record](t)(q.Next(t.Context(), 9))
		for _, r := range waiting[:2] {
			c.publish(r)
		}
		stranger := waiting[0]
		stranger.ID, stranger.Epoch, stranger.Seq = "a-stranger", "another", 77
		c.publish(stranger)
		d := startDesk(t, q, Options{Server: Server{URL: c.URL()}})
		if published {
			d.untilCode(DeskIDInUse)
			adoptForeign(t, d)
		}
		d.drained()
		times, epochs := map[string]int{}, map[string]string{}
		for _, m := range c.stored() {
			times[m.ID]++
			epochs[m.ID] = m.Epoch
		}
		for n, r := range waiting {
			if want := map[bool]string{true: "e1", false: "e1+"}[n < 2]; times[r.ID] != 1 || epochs[r.ID] != want {
				t.Errorf("published before %v: record %d is stored %d times, in epoch %s, want once in %s", published, n, times[r.ID], epochs[r.ID], want)
			}
		}
	}
}

// publish stores a record as its desk would, past every check.
func (c *central) publish(r outbox.Record) {
	c.t.Helper()
	msg := &nats.Msg{Subject: r.Subject, Header: nats.Header(r.Envelope().Headers()), Data: r.Body}
	msg.Header[event.HeaderMsgID] = []string{messageID(r)}
	must[*jetstream.PubAck](c.t)(c.js.PublishMsg(c.t.Context(), msg))
}
