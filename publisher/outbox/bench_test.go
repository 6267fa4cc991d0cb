package outbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

// BenchmarkAppend prints what one durable append costs over a raw append and
// fsync of as many bytes, measured in turns on the same disk. The goal is 1.3.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	q := openTest(b, Options{Dir: dir, Clock: clockwork.NewRealClock(), MaxBytes: 8 << 30})
	raw, err := os.OpenFile(filepath.Join(dir, "raw"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	kib := make([]byte, 1024)
	d := draft(0)
	d.Body = func(Stamp) ([]byte, error) { return kib, nil }
	var plain, queue time.Duration
	for b.Loop() {
		t0 := time.Now()
		if _, err := raw.Write(kib); err != nil {
			b.Fatal(err)
		}
		if err := raw.Sync(); err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		accept(b, q, d)
		plain += t1.Sub(t0)
		queue += time.Since(t1)
	}
	b.ReportMetric(float64(plain.Microseconds())/float64(b.N), "raw-us/op")
	b.ReportMetric(float64(queue.Microseconds())/float64(b.N), "append-us/op")
	b.ReportMetric(float64(queue)/float64(plain), "x-raw")
}

// BenchmarkStats asks for the queue's state with 1,000 and with 120,000 records
// in it, 400 days of a busy desk. The goal is a ratio of 1.2 or less.
func BenchmarkStats(b *testing.B) {
	of := func(records int) *Queue {
		q := openTest(b, Options{Dir: memDir(b), Clock: clockwork.NewRealClock(), MaxBytes: 8 << 30})
		if err := q.do(b.Context(), "fill", func(t *tx) error {
			for n := range records {
				if _, err := t.accept(draft(n)); err != nil {
					return err
				}
			}
			_, err := t.exec("UPDATE journal SET state = 'erased'")
			t.recount = true
			return err
		}); err != nil {
			b.Fatal(err)
		}
		return q
	}
	small, large := of(1_000), of(120_000)
	var few, many time.Duration
	for b.Loop() {
		t0 := time.Now()
		stats(b, small)
		t1 := time.Now()
		stats(b, large)
		few, many = few+t1.Sub(t0), many+time.Since(t1)
	}
	b.ReportMetric(float64(many.Nanoseconds())/float64(b.N), "ns/stats")
	b.ReportMetric(float64(many)/float64(few), "x-1k")
	b.ReportMetric(0, "ns/op")
}
