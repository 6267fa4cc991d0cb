//go:build unix

package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/publisher/outbox/journal"
)

// ways are what a cleaning tool, a restore program or a person does to the files
// of a running daemon; backup is a copy of the queue's directory from earlier.
var ways = []struct {
	name string
	do   func(t *testing.T, dir, backup string)
}{
	{"database deleted", func(t *testing.T, dir, _ string) { remove(t, dir, dbName) }},
	{"log deleted", func(t *testing.T, dir, _ string) { remove(t, dir, dbName+"-wal") }},
	{"log and index deleted", func(t *testing.T, dir, _ string) { remove(t, dir, dbName+"-wal", dbName+"-shm") }},
	{"all of the queue deleted", func(t *testing.T, dir, _ string) {
		remove(t, dir, dbName, dbName+"-wal", dbName+"-shm", headName, keyName, lockName)
	}},
	{"directory deleted", func(t *testing.T, dir, _ string) {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}},
	{"directory renamed", func(t *testing.T, dir, _ string) { rename(t, dir, dir+".old") }},
	{"database renamed", func(t *testing.T, dir, _ string) { rename(t, filepath.Join(dir, dbName), filepath.Join(dir, "old.db")) }},
	{"log renamed", func(t *testing.T, dir, _ string) {
		rename(t, filepath.Join(dir, dbName+"-wal"), filepath.Join(dir, "old.db-wal"))
	}},
	{"a copy put back over the names", func(t *testing.T, dir, backup string) {
		for _, name := range []string{headName, dbName, dbName + "-wal", keyName} {
			rename(t, filepath.Join(backup, name), filepath.Join(dir, name))
		}
		remove(t, dir, dbName+"-shm")
	}},
	{"another desk's database put in its place", func(t *testing.T, dir, _ string) {
		other := memDir(t) // the same file system
		q := openTest(t, Options{Dir: other})
		accept(t, q, draft(7))
		q.Close()
		rename(t, filepath.Join(other, dbName), filepath.Join(dir, dbName))
	}},
	{"rubbish put in its place", func(t *testing.T, dir, _ string) {
		remove(t, dir, dbName)
		if err := os.WriteFile(filepath.Join(dir, dbName), []byte("not a database"), 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{"index deleted", func(t *testing.T, dir, _ string) { remove(t, dir, dbName+"-shm") }},
	{"head deleted", func(t *testing.T, dir, _ string) { remove(t, dir, headName) }},
	{"keys deleted", func(t *testing.T, dir, _ string) { remove(t, dir, keyName) }},
	{"another desk's keys put in their place", func(t *testing.T, dir, _ string) {
		if err := os.WriteFile(filepath.Join(dir, keyName), []byte(keyLine(t)), 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{"lock deleted", func(t *testing.T, dir, _ string) { remove(t, dir, lockName) }},
}

func remove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// hold checks that a queue has exactly the given accepted records, numbered
// without a gap in one epoch.
func hold(t *testing.T, what string, q *Queue, accepted []Accepted) {
	t.Helper()
	all := stored(t, q)
	for _, a := range accepted {
		if l, ok := all[a.ID]; !ok || l.Seq != a.Seq || l.Epoch != a.Epoch {
			t.Fatalf("%s: accepted %s number %d: stored %v as %+v", what, a.ID, a.Seq, ok, l.Stamp)
		}
	}
	if len(all) != len(accepted) {
		t.Fatalf("%s: %d records stored, want %d", what, len(all), len(accepted))
	}
	verify(t, q)
}

// Whatever happens to the names of the files while the daemon runs: what was
// accepted before and after is there after a kill.
func TestFilesRemovedWhileRunning(t *testing.T) {
	for _, way := range ways {
		for _, when := range []string{"before a tap", "within a tap's commit", "while idle"} {
			t.Run(way.name+" "+when, func(t *testing.T) {
				dir, backup := filepath.Join(memDir(t), "queue"), memDir(t)
				clock := clockwork.NewFakeClockAt(testStart)
				armed := false
				q := openFailing(t, Options{Dir: dir, Clock: clock}, func(step string) error {
					if armed && step == "accept.committed" {
						armed = false
						way.do(t, dir, backup)
					}
					return nil
				})
				var accepted []Accepted
				for n := range 4 {
					accepted = append(accepted, accept(t, q, draft(n)))
				}
				copyDir(t, dir, backup)
				accepted = append(accepted, accept(t, q, draft(4)))
				switch when {
				case "within a tap's commit":
					armed = true
				case "before a tap":
					way.do(t, dir, backup)
				case "while idle":
					way.do(t, dir, backup)
					clock.BlockUntilContext(t.Context(), 1)
					clock.Advance(idleAfter)
					eventually(t, "the names to lead to the queue again", func() bool {
						for _, name := range []string{dbName, dbName + "-wal", dbName + "-shm", headName, keyName, lockName} {
							if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
								return false
							}
						}
						v, err := OpenView(t.Context(), Options{Dir: dir})
						if err != nil {
							return false
						}
						defer v.Close()
						r, err := v.Get(t.Context(), accepted[4].ID)
						return err == nil && r.Body != nil
					})
				}
				if when != "while idle" {
					for n := range 3 {
						accepted = append(accepted, accept(t, q, draft(5+n)))
					}
				}
				killed := memDir(t)
				copyDir(t, dir, killed)
				hold(t, "the running queue", q, accepted)
				hold(t, "after a kill", openTest(t, Options{Dir: killed}), accepted)
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				q = openTest(t, Options{Dir: dir})
				hold(t, "after a restart", q, accepted)
				if s := stats(t, q); s.Fault != "" || s.Gaps != 0 {
					t.Fatalf("Stats() = fault %q, %d gaps, want none", s.Fault, s.Gaps)
				}
			})
		}
	}
}

// Where no new queue can be written the tap is refused, the old one stays open,
// and the next tap tries again.
func TestRescueThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	stop := errors.New("no new file now")
	for _, step := range []string{"rebuild.written", "rebuild.aside"} {
		var fails atomic.Bool // the queue's own goroutine asks, too
		q := openFailing(t, Options{Dir: dir}, func(s string) error {
			if fails.Load() && s == step {
				return stop
			}
			return nil
		})
		before := stats(t, q).LastSeq
		accept(t, q, draft(0))
		remove(t, dir, dbName)
		fails.Store(true)
		if _, err := q.Accept(t.Context(), draft(1)); !errors.Is(err, stop) || !errors.Is(err, journal.ErrMoved) {
			t.Fatalf("%s: Accept() = %v, want %v and %v", step, err, stop, journal.ErrMoved)
		}
		fails.Store(false)
		if a := accept(t, q, draft(2)); a.Seq != before+2 {
			t.Fatalf("%s: the next tap has number %d, want %d", step, a.Seq, before+2)
		}
		q.Close()
	}
	if s := stats(t, openTest(t, Options{Dir: dir})); s.Waiting != 4 || s.Gaps != 0 {
		t.Fatalf("Stats() = %d waiting, %d gaps, want 4 and none", s.Waiting, s.Gaps)
	}
}

// A second daemon that took the directory after its lock was deleted: the first
// refuses its taps instead of writing beside it.
func TestLockTakenByAnother(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir})
	accept(t, q, draft(0))
	remove(t, dir, lockName)
	lock, err := journal.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Accept(t.Context(), draft(1)); !errors.Is(err, ErrLocked) {
		t.Fatalf("Accept() beside another daemon = %v, want %v", err, ErrLocked)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if a := accept(t, q, draft(2)); a.Seq != 2 {
		t.Fatalf("after the other daemon: number %d, want 2", a.Seq)
	}
}

// Somebody else's queue that had the names is set aside, not deleted.
func TestReplacedQueueIsKept(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	q := openTest(t, Options{Dir: dir})
	accept(t, q, draft(0))
	theirs := openTest(t, Options{Dir: other})
	a := accept(t, theirs, draft(1))
	theirs.Close()
	rename(t, filepath.Join(other, dbName), filepath.Join(dir, dbName))
	accept(t, q, draft(2))
	if s := stats(t, q); !s.Moved.Equal(testStart) {
		t.Fatalf("Stats().Moved = %v, want %v", s.Moved, testStart)
	}
	found, err := filepath.Glob(filepath.Join(dir, "outbox-replaced-*.db"))
	if err != nil || len(found) != 1 {
		t.Fatalf("set aside: %v, %v, want one", found, err)
	}
	rename(t, found[0], filepath.Join(other, dbName))
	hold(t, "the queue set aside", openTest(t, Options{Dir: other}), []Accepted{a})
}

// A database that was cut off or written over in its place, under the same name.
func TestDatabaseOverwrittenInPlace(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir, backup string){
		"truncated": func(t *testing.T, dir, _ string) {
			if err := os.Truncate(filepath.Join(dir, dbName), 0); err != nil {
				t.Fatal(err)
			}
		},
		"log truncated": func(t *testing.T, dir, _ string) {
			if err := os.Truncate(filepath.Join(dir, dbName+"-wal"), 0); err != nil {
				t.Fatal(err)
			}
		},
		"a copy written over it": func(t *testing.T, dir, backup string) {
			b, err := os.ReadFile(filepath.Join(backup, dbName))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, dbName), b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, backup := t.TempDir(), t.TempDir()
			q := openTest(t, Options{Dir: dir})
			for n := range 20 {
				accept(t, q, draft(n))
			}
			q.Close()
			copyDir(t, dir, backup)
			q = openTest(t, Options{Dir: dir})
			for n := range 100 {
				accept(t, q, draft(n))
				if n == 50 {
					q.Close()
					q = openTest(t, Options{Dir: dir})
				}
			}
			spoil(t, dir, backup)
			a := accept(t, q, draft(200))
			killed := t.TempDir()
			copyDir(t, dir, killed)
			q = openTest(t, Options{Dir: killed})
			s := stats(t, q)
			if _, err := q.Get(t.Context(), a.ID); err != nil || s.Waiting < 121 && s.Gaps == 0 {
				t.Fatalf("after %s: %d of 121 waiting, %d gaps: a loss is not named, or Get(last) = %v", name, s.Waiting, s.Gaps, err)
			}
			verify(t, q)
		})
	}
}

// A checkpoint by somebody else's program is no damage.
func TestForeignCheckpoint(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, Options{Dir: dir})
	for n := range 5 {
		accept(t, q, draft(n))
	}
	db := openRaw(t, dir)
	if _, err := db.Exec("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	accept(t, q, draft(5))
	if s := stats(t, q); s.Fault != "" || s.Waiting != 6 {
		t.Fatalf("Stats() = fault %q, %d waiting, want none and 6", s.Fault, s.Waiting)
	}
}

// The database is missing or short beside its log at a start: both are set aside,
// and what is in the log is carried over.
func TestDatabaseMissingBesideItsLog(t *testing.T) {
	const records = 40
	for _, keep := range []int64{-1, 0, 1, 99, 100, 511, pageSize - 1, pageSize, 2 * pageSize} { // -1: the file is gone
		for _, head := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, head %v", keep, head), func(t *testing.T) {
				from, dir := memDir(t), memDir(t)
				q := openTest(t, Options{Dir: from})
				want := map[string]bool{}
				for n := range records {
					want[accept(t, q, draft(n)).ID] = true
				}
				kept, err := q.Quarantine(t.Context(), Quarantined{Reader: "front", Body: []byte("{}")})
				if err != nil {
					t.Fatal(err)
				}
				if err := q.Audit(t.Context(), "clerk", "reveal", "x"); err != nil {
					t.Fatal(err)
				}
				copyDir(t, from, dir) // as a kill leaves it: every record is in the log
				q.Close()
				if !head {
					remove(t, dir, headName)
				}
				if keep < 0 {
					remove(t, dir, dbName)
				} else if err := os.Truncate(filepath.Join(dir, dbName), keep); err != nil {
					t.Fatal(err)
				}
				if _, err := OpenView(t.Context(), Options{Dir: dir}); keep < 100 && !errors.Is(err, ErrDamaged) {
					t.Fatalf("OpenView() = %v, want %v", err, ErrDamaged)
				}
				q = openTest(t, Options{Dir: dir})
				accept(t, q, draft(99))
				for _, r := range deliverAll(t, q) {
					delete(want, r.ID)
				}
				s := stats(t, q)
				if len(want) > 0 || (s.Fault == "") != (keep >= 100) {
					t.Fatalf("%d of %d records of the log are lost, set aside as %q", len(want), records, s.Fault)
				}
				verify(t, q)
				if z, err := q.Quarantined(t.Context()); err != nil || len(z) != 1 || z[0].ID != kept || z[0].Body == nil {
					t.Fatalf("Quarantined() = %v, %v, want %s", z, err, kept)
				}
				if l, err := q.AuditLines(t.Context(), 9); err != nil || l[0].What != "reveal" || s.Fault != "" && l[1].What != "recovered" {
					t.Fatalf("AuditLines() = %v, %v, want reveal, recovered", l, err)
				}
				if s.Fault == "" {
					return
				}
				if _, err := os.Stat(s.Fault + "-wal"); err != nil {
					t.Fatalf("the log was not set aside: %v", err)
				}
			})
		}
	}
}

// Without its database a queue's log is no reason to make new keys.
func TestKeysMissingBesideALog(t *testing.T) {
	from, dir := t.TempDir(), t.TempDir()
	q := openTest(t, Options{Dir: from})
	accept(t, q, draft(0))
	copyDir(t, from, dir)
	remove(t, dir, dbName, keyName)
	if _, err := Open(context.Background(), Options{Dir: dir, MinFree: 1, Log: zerolog.Nop()}); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "put a copy back") {
		t.Fatalf("Open() without keys = %v, want %v", err, ErrKey)
	}
	if _, err := os.Stat(filepath.Join(dir, keyName)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("new keys were made over a sealed log: %v", err)
	}
}
