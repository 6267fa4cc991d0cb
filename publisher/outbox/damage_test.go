package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"idtap/publisher/internal/failpoint"
)

// copyDir copies a queue's files as they are now: the head first, as it is never
// ahead of the journal.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{headName, dbName, dbName + "-wal", keyName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// memDir is a directory on a memory disk where there is one: these tests make
// hundreds of queues, and no power is cut here.
func memDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "outbox-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// faults multiplies the rounds of the fault campaigns: IDTAP_FAULTS=20 is a long one.
func faults() int {
	n, err := strconv.Atoi(os.Getenv("IDTAP_FAULTS"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// outcome is what a damaged queue still gave.
type outcome struct {
	waiting int // of the undelivered records, how many still go out
	again   int // delivered records that go out again
	lost    int // undelivered records that do not
	named   bool
	aside   bool
}

// reopen opens a damaged copy and holds it to the promise: every event that
// comes out is one that went in, byte for byte; the queue takes new taps; the
// chain is whole again; what is lost is named.
func reopen(t testing.TB, dir string, want map[string]Record, delivered map[string]bool) outcome {
	t.Helper()
	q, err := Open(context.Background(), Options{Dir: dir, MinFree: 1, Log: zerolog.Nop()})
	if err != nil {
		t.Fatalf("does not open: %v", err)
	}
	defer q.Close()
	fresh := accept(t, q, draft(9999))
	var o outcome
	got := map[string]bool{}
	for _, r := range deliverAll(t, q) {
		if r.ID == fresh.ID {
			continue
		}
		if got[r.ID] {
			t.Fatalf("%s came twice", r.ID)
		}
		got[r.ID] = true
		w, ok := want[r.ID]
		if !ok || r.Stamp != w.Stamp || !bytes.Equal(r.Body, w.Body) || r.Subject != w.Subject || r.Filter != w.Filter ||
			r.Type != w.Type || r.Source != w.Source || r.Kind != w.Kind || r.Status != w.Status || r.Refers != w.Refers {
			t.Fatalf("a wrong event: %v", r)
		}
		if delivered[r.ID] {
			o.again++
		} else {
			o.waiting++
		}
		if r.Epoch == fresh.Epoch && r.Seq >= fresh.Seq {
			t.Fatalf("number %d of %s was given twice", r.Seq, r.Epoch)
		}
	}
	s := stats(t, q)
	o.lost = len(want) - len(delivered) - o.waiting
	o.named = s.Gaps > 0 || s.Dead > 0
	o.aside = s.Fault != ""
	verify(t, q)
	return o
}

// filled makes a queue with delivered and waiting records, part of them only in
// the write-ahead log, and gives a copy of its files as a power cut leaves them.
func filled(t testing.TB, records int, closed bool) (dir string, want map[string]Record, delivered map[string]bool) {
	t.Helper()
	from := memDir(t)
	q := openTest(t, Options{Dir: from})
	want, delivered = map[string]Record{}, map[string]bool{}
	for n := range records {
		d := draft(n)
		if n%10 == 9 { // some are longer than a page
			plain := d.Body
			d.Body = func(s Stamp) ([]byte, error) {
				b, err := plain(s)
				return append(b[:len(b)-1], fmt.Sprintf(`,"photo":%q}`, bytes.Repeat([]byte("w"), 9000))...), err
			}
		}
		a := accept(t, q, d)
		r, err := q.Get(context.Background(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		want[a.ID] = r
		if n < records/3 {
			if err := q.Delivered(context.Background(), ChainState{}, Ack{Row: r.Row, Stream: "S", Sequence: uint64(n + 1)}); err != nil {
				t.Fatal(err)
			}
			delivered[a.ID] = true
		}
		if n == records/2 {
			if err := q.do(context.Background(), "fold", func(*tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			q.Close()
			q = openTest(t, Options{Dir: from})
		}
	}
	files := []string{dbName, dbName + "-wal"}
	if closed {
		q.Close()
		files = files[:1]
	}
	dir = memDir(t)
	copyDir(t, from, dir)
	for _, f := range files {
		if fi, err := os.Stat(filepath.Join(dir, f)); err != nil || fi.Size() < 4*pageSize {
			t.Fatalf("%s is too small to be worth damaging: %v %v", f, fi, err)
		}
	}
	return dir, want, delivered
}

func campaign(t *testing.T, rounds int, files []string, damage func(b []byte, rng *rand.Rand) []byte) {
	rounds *= faults()
	dir, want, delivered := filled(t, 40, len(files) == 1)
	hurt := filepath.Join(memDir(t), "q")
	for _, file := range files {
		total, worst, unnamed, again, aside := 0, 0, 0, 0, 0
		for i := range rounds {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			copyDir(t, dir, hurt)
			path := filepath.Join(hurt, file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b, rng), 0o600); err != nil {
				t.Fatal(err)
			}
			o := reopen(t, hurt, want, delivered)
			total += o.lost
			worst = max(worst, o.lost)
			again += o.again
			if o.aside {
				aside++
			}
			if o.lost > 0 && !o.named {
				unnamed++
			}
			os.RemoveAll(hurt)
		}
		t.Logf("%-15s %d rounds: set aside %d times, %d records lost in all, %d at worst, %d rounds with a loss not named, %d sent again", file, rounds, aside, total, worst, unnamed, again)
		if unnamed > 0 {
			t.Errorf("%s: %d rounds lost something without naming it", file, unnamed)
		}
	}
}

func TestBitFlips(t *testing.T) {
	campaign(t, 10, []string{dbName, dbName + "-wal", headName}, func(b []byte, rng *rand.Rand) []byte {
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		return b
	})
}

// The first page holds the header and the schema; the log has a head as well.
func TestBitFlipsInHeaders(t *testing.T) {
	flip := func(b []byte, rng *rand.Rand) []byte {
		b[rng.IntN(140)] ^= 1 << rng.IntN(8)
		return b
	}
	campaign(t, 8, []string{dbName}, flip)
	campaign(t, 3, []string{dbName + "-wal", dbName}, flip)
}

func TestTruncatedAndZeroed(t *testing.T) {
	for name, damage := range map[string]func(b []byte, rng *rand.Rand) []byte{
		"truncated": func(b []byte, rng *rand.Rand) []byte { return b[:rng.IntN(len(b))] },
		"zeroed sector": func(b []byte, rng *rand.Rand) []byte {
			at := rng.IntN(len(b)) &^ 511
			clear(b[at:min(at+512, len(b))])
			return b
		},
		"zeroed tail": func(b []byte, rng *rand.Rand) []byte {
			clear(b[rng.IntN(len(b)):])
			return b
		},
		"rubbish page": func(b []byte, rng *rand.Rand) []byte {
			at := rng.IntN(len(b)) &^ (pageSize - 1)
			for i := at; i < min(at+pageSize, len(b)); i++ {
				b[i] = byte(rng.Uint32())
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			campaign(t, 2, []string{dbName, dbName + "-wal"}, damage)
			campaign(t, 1, []string{dbName}, damage)
		})
	}
}

// Damage met while the daemon runs heals without a restart.
func TestDamageWhileRunning(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir})
	want := map[string]bool{}
	for n := range 100 {
		want[accept(t, q, draft(n)).ID] = true
	}
	if err := q.do(t.Context(), "fold", func(tx *tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	q.Close()
	q = openTest(t, Options{Dir: dir})
	f, err := os.OpenFile(filepath.Join(dir, dbName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fi, _ := f.Stat()
	rubbish := bytes.Repeat([]byte{0xa5}, 64)
	for at := int64(2 * pageSize); at < fi.Size(); at += pageSize {
		f.WriteAt(rubbish, at) // every page but the first two loses its head
	}
	f.Close()
	q.View.db.Close() // the pages in memory go with their connection
	if err := q.attach(); err != nil {
		t.Fatal(err)
	}
	fresh := accept(t, q, draft(1000))
	got := 0
	for _, r := range deliverAll(t, q) {
		if want[r.ID] {
			got++
		} else if r.ID != fresh.ID {
			t.Fatalf("unknown %v", r)
		}
	}
	s := stats(t, q)
	if s.Fault == "" {
		t.Fatalf("nothing was set aside: %+v", s)
	}
	t.Logf("carried over %d of %d", got, len(want))
	if got == 0 {
		t.Fatal("nothing was carried over")
	}
	if got < len(want) && s.Gaps == 0 {
		t.Fatal("a loss is not named")
	}
	verify(t, q)
	// And the daemon can be stopped and started again.
	q.Close()
	verify(t, openTest(t, Options{Dir: dir}))
}

// An exchange of files that is interrupted anywhere is completed at the next start.
func TestRebuildInterrupted(t *testing.T) {
	dir, want, delivered := filled(t, 40, false)
	for stop := 1; ; stop++ {
		hurt := filepath.Join(t.TempDir(), "q")
		copyDir(t, dir, hurt)
		f, err := os.OpenFile(filepath.Join(hurt, dbName+"-wal"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt([]byte("nothing that SQLite knows"), 0)
		f.Close()
		steps := 0
		killed := errors.New("killed here")
		ctx := failpoint.With(context.Background(), func(step string) error {
			if !strings.HasPrefix(step, "rebuild.") {
				return nil
			}
			if steps++; steps == stop {
				return killed
			}
			return nil
		})
		q, err := Open(ctx, Options{Dir: hurt, MinFree: 1, Log: zerolog.Nop()})
		if err == nil {
			q.Close()
			if stop < 4 {
				t.Fatalf("only %d steps", stop)
			}
			return
		}
		if !errors.Is(err, killed) {
			t.Fatal(err)
		}
		if o := reopen(t, hurt, want, delivered); !o.aside || o.lost > 1 {
			t.Fatalf("stopped at step %d: %+v", stop, o)
		}
	}
}

func TestSetAsideIsNamedByDate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, dbName), bytes.Repeat([]byte("rubbish "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	q := openTest(t, Options{Dir: dir})
	want := filepath.Join(dir, "outbox-damaged-20261121T090000Z.db")
	if s := stats(t, q); s.Fault != want {
		t.Fatalf("set aside as %q, want %q", s.Fault, want)
	}
	if a := accept(t, q, draft(0)); a.Seq != 1 {
		t.Fatalf("%+v", a)
	}
	if err := os.Remove(want); err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q); s.Fault != "" {
		t.Fatalf("still named: %q", s.Fault)
	}
}
