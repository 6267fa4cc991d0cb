package outbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"idtap/driver/diagnosis"
	"idtap/internal/text"
	"idtap/publisher/outbox/journal"
)

// undelivered are the codes of the bus that make a queue grow old.
var undelivered = []string{"bus_unreachable", "bus_auth", "bus_creds_unreadable", "bus_tls", "bus_embedded_failed", "bus_no_answer",
	"bus_publish_denied", "bus_no_stream", "bus_wrong_stream", "bus_stream_full", "bus_stream_down", "bus_stream_unfit", "bus_stream_refused",
	"desk_id_in_use", "bus_seal_failed", "bus_cert_expired", "bus_creds_expired", "bus_server_cert_expired", "bus_plaintext", "daemon_stopped"}

// What can be wrong with the queue.
var (
	Damaged     = diagnosis.NewEntry(texts, "queue_damaged", diagnosis.Critical)
	Moved       = diagnosis.NewEntry(texts, "queue_moved", diagnosis.Warning)
	Old         = diagnosis.NewEntry(texts, "queue_old", diagnosis.Warning, undelivered...)
	Full        = diagnosis.NewEntry(texts, "queue_full", diagnosis.Critical, append([]string{"disk_full"}, undelivered...)...)
	DiskFull    = diagnosis.NewEntry(texts, "disk_full", diagnosis.Critical)
	DiskLow     = diagnosis.NewEntry(texts, "disk_low", diagnosis.Warning)
	KeyWrong    = diagnosis.NewEntry(texts, "queue_key", diagnosis.Critical)
	Newer       = diagnosis.NewEntry(texts, "queue_newer", diagnosis.Critical)
	Unreadable  = diagnosis.NewEntry(texts, "queue_denied", diagnosis.Critical)
	DeadLetters = diagnosis.NewEntry(texts, "queue_dead", diagnosis.Warning)
)

// Entries lists what the check of this package finds.
func Entries() []diagnosis.Entry {
	return []diagnosis.Entry{Damaged, Moved, Old, Full, DiskFull, DiskLow, KeyWrong, Newer, Unreadable, DeadLetters}
}

// oldAfter is how long an event may wait before it is worth telling.
const oldAfter = 15 * time.Minute

// wholeCheck is the size up to which the whole chain is verified; the structure
// of a larger file is checked, and the daemon verified the chain at its start.
const wholeCheck = 64 << 20

// Check looks at the queue in o.Dir beside a running daemon or without one.
func Check(o Options) diagnosis.Check {
	o = o.withDefaults()
	return diagnosis.Check{Name: "queue", Group: diagnosis.Queue, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		if _, err := os.ReadDir(o.Dir); errors.Is(err, fs.ErrPermission) {
			s.Find(Unreadable, "", o.Dir)
			return
		}
		free, err := journal.FreeBytes(o.Dir)
		if err == nil {
			s.Fact(texts.Say("free_on_disk"), "%d MiB", free>>20)
			if left := o.MaxBytes - journal.DiskBytes(o.Dir); free < o.MinFree {
				s.Find(DiskFull, "", texts.Say("free_needed", free>>20, o.MinFree>>20))
			} else if free < left {
				s.Find(DiskLow, "", texts.Say("free_growth", free>>20, left>>20))
			}
		}
		v, err := OpenView(ctx, o)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.NotChecked(texts.Say("no_queue_yet"))
			return
		case err != nil:
			s.Add(explain(o.Dir, err))
			return
		}
		defer v.Close()
		if v.keys == nil {
			s.Find(KeyWrong, "", o.KeyFile)
		}
		stats, err := v.Stats(ctx)
		if err != nil {
			s.Add(explain(o.Dir, err))
			return
		}
		stats.MaxBytes = o.MaxBytes
		diagnose(s, stats, o.Clock.Now())
		whole(ctx, s, v, stats)
	}}
}

// explain is the finding behind an error of the queue.
func explain(dir string, err error) diagnosis.Finding {
	switch {
	case errors.Is(err, ErrKey):
		return diagnosis.NewFinding(KeyWrong, "")
	case errors.Is(err, ErrNewer):
		return diagnosis.NewFinding(Newer, "")
	case journal.IsDamaged(err):
		return diagnosis.NewFinding(Damaged, "", journal.Path(dir))
	}
	return diagnosis.NewFinding(Unreadable, "", dir)
}

func diagnose(s *diagnosis.Sheet, stats Stats, now time.Time) {
	s.Fact(texts.Say("waiting"), "%d", stats.Undelivered())
	if stats.Waiting > 0 {
		wait := now.Sub(stats.Oldest)
		s.Fact(texts.Say("oldest_waits"), "%s", wait.Round(time.Second))
		if wait > oldAfter {
			s.Find(Old, "", texts.Say("old_events", stats.Waiting, wait.Round(time.Minute)))
		}
	}
	s.Fact(texts.Say("delivered"), "%d", stats.Delivered+stats.Erased-stats.Local)
	if stats.Local > 0 {
		s.Fact(texts.Say("kept_local"), "%d", stats.Local)
	}
	s.Fact(texts.Say("size"), "%d KiB", stats.Bytes>>10)
	if stats.Dead > 0 {
		s.Find(DeadLetters, "", texts.Say("events", stats.Dead))
	}
	if stats.Full || stats.MaxBytes > 0 && stats.Waiting > 0 && stats.Bytes >= stats.MaxBytes {
		s.Find(Full, "", texts.Say("of_limit", stats.Bytes>>20, stats.MaxBytes>>20))
	}
	if at := stats.Moved; !at.IsZero() && now.Sub(at).Abs() < movedFor {
		s.Find(Moved, "", at.Local().Format(time.DateTime))
	}
	if stats.Fault != "" {
		s.Find(Damaged, "", texts.Say("set_aside", stats.Fault), gapsText(stats.Gaps))
	}
}

// movedFor is how long it is told that the queue's files had been removed.
const movedFor = 7 * 24 * time.Hour

func gapsText(n int) text.Text {
	if n == 0 {
		return texts.Say("nothing_missing")
	}
	return texts.Say("ranges_missing", n)
}

// whole verifies the file. A queue that was set aside is told already.
func whole(ctx context.Context, s *diagnosis.Sheet, v *View, stats Stats) {
	var r VerifyReport
	var err error
	if stats.Bytes <= wholeCheck {
		r, err = v.Verify(ctx)
	} else {
		r, err = v.quickCheck(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !errors.Is(err, ErrKey):
		s.Add(explain(v.dir, err))
	case err != nil:
		s.Find(KeyWrong, "")
	case !r.OK:
		s.Find(Damaged, "", journal.Path(v.dir), texts.Say("row", r.Problems[0].Row, r.Problems[0].What))
	case r.Records > 0:
		s.Fact(texts.Say("records_verified"), "%d", r.Records)
	}
}

// quickCheck runs the quick one of SQLite's own checks.
func (v *View) quickCheck(ctx context.Context) (VerifyReport, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return journal.QuickCheck(ctx, v.db)
}

// Owner returns the process that has the queue's lock as its file says, 0 if none.
func Owner(dir string) int { return journal.Owner(dir) }

// Held reports whether a process holds the queue's lock, which only its owner and
// root can see.
func Held(dir string) bool { return journal.Held(dir) }
