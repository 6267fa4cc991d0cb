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
