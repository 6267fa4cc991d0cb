package publisher

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher/outbox"
)

// BenchmarkAcceptance is what the clerk waits for after the last byte has come:
// from a checked card to an event synced on disk. Its goal is one fsync and
// 2 ms at the median; an append and fsync of the same size is measured beside
// it, in turn, so that the disk's mood falls on both.
func BenchmarkAcceptance(b *testing.B) {
	dir := b.TempDir()
	q, err := outbox.Open(b.Context(), outbox.Options{Dir: filepath.Join(dir, "queue"), Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	raw, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	i := NewIntake(Options{
		Desk:         DeskFacts{ID: "desk-1", Division: "410105", Role: "both", Zone: time.UTC, RefKey: q.RefKey()},
		SubjectHukou: "county", Retain: 72 * time.Hour, Queue: q, Clock: clockwork.NewRealClock(), Log: zerolog.Nop(),
	})
	block := make([]byte, 2048)
	var accepts, syncs []time.Duration
	for n := 0; b.Loop(); n++ {
		tap := specimen()
		tap.Checked.Name = fmt.Sprintf("样本%d", n)
		start := time.Now()
		if err := i.Tap(b.Context(), tap); err != nil {
			b.Fatal(err)
		}
		accepts = append(accepts, time.Since(start))
		start = time.Now()
		if _, err := raw.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := raw.Sync(); err != nil {
			b.Fatal(err)
		}
		syncs = append(syncs, time.Since(start))
	}
	accept, sync := median(accepts), median(syncs)
	b.ReportMetric(float64(accept.Microseconds()), "accept-us")
	b.ReportMetric(float64(sync.Microseconds()), "fsync-us")
	b.ReportMetric(float64(accept)/float64(sync+2*time.Millisecond), "of-goal-acceptance")
	b.ReportMetric(0, "ns/op") // both halves are in it
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
