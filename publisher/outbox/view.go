package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"idtap/publisher/event"
	"idtap/publisher/outbox/journal"
)

// View reads a queue without owning it: beside a running daemon, which it never
// holds up, or while none runs. A Queue is its own View.
type View struct {
	dir  string
	keys *journal.Keyring // nil: bodies cannot be opened and are left out

	mu      sync.RWMutex // held for reading during a query, for writing while a damaged file is replaced
	db      *sql.DB
	recover func(ctx context.Context, cause error) error // nil: a reader cannot
}

// OpenView opens the queue in o.Dir for reading. The error is fs.ErrNotExist
// where there is no queue yet, ErrNewer and ErrDamaged as for Open. Without
// access to the key file everything but bodies can be read.
func OpenView(ctx context.Context, o Options) (*View, error) {
	o = o.withDefaults()
	if !journal.Exists(o.Dir) {
		return nil, fmt.Errorf("no queue in %s: %w", o.Dir, fs.ErrNotExist)
	}
	v := &View{dir: o.Dir}
	v.keys, _ = journal.LoadKeys(o.KeyFile)
	if err := v.attach(); err != nil {
		return nil, err
	}
	if err := journal.CheckVersion(ctx, v.db); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close ends the view.
func (v *View) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.db.Close()
}

func (v *View) attach() (err error) {
	v.db, err = journal.OpenReader(v.dir)
	return err
}

// read runs fn on the database that is current, and once more if the file turned
// out to be broken and could be replaced.
func (v *View) read(ctx context.Context, fn func(db *sql.DB) error) error {
	once := func() error {
		v.mu.RLock()
		defer v.mu.RUnlock()
		return fn(v.db)
	}
	err := once()
	if journal.IsBroken(err) && v.recover != nil {
		if err := v.recover(ctx, err); err != nil {
			return err
		}
		return once()
	}
	return err
}

// ListFilter chooses what List shows; zero fields choose everything.
type ListFilter struct {
	State State     // only this state
	Since time.Time // accepted at or after
	After int64     // rows after this one
	Limit int       // at most this many, 0: 100
}

// Listed is a record without its body: nothing in it is personal.
type Listed struct {
	Row int64 `json:"row"`
	Stamp
	Type     string   `json:"type"`
	Subject  string   `json:"subject"`
	Filter   string   `json:"-"`
	Refers   string   `json:"refers,omitempty"`
	Kind     string   `json:"kind,omitempty"`
	Status   string   `json:"status,omitempty"`
	Codes    []string `json:"codes,omitempty"`
	State    State    `json:"state"`
	Reason   string   `json:"reason,omitempty"` // why it is dead
	Requeued int      `json:"requeued,omitempty"`
	Ack               // zero until delivered
}

// List returns records in journal order, clear columns only.
func (v *View) List(ctx context.Context, f ListFilter) ([]Listed, error) {
	where, args := "WHERE row > ?", []any{f.After}
	if f.State != "" {
		where, args = where+" AND state = ?", append(args, string(f.State))
	}
	if !f.Since.IsZero() {
		where, args = where+" AND accepted_at >= ?", append(args, f.Since.UnixMilli())
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	var list []Listed
	err := v.read(ctx, func(db *sql.DB) error {
		list = nil
		return journal.Each(ctx, db, func(e *journal.Entry) error {
			list = append(list, listedOf(e))
			return nil
		}, where+" ORDER BY row LIMIT ?", append(args, f.Limit)...)
	})
	return list, err
}

// Get returns one record, with its body while that is kept. One whose seal is
// broken comes without a body and with ErrDamaged.
func (v *View) Get(ctx context.Context, id string) (Record, error) {
	list, err := v.records(ctx, "WHERE id = ?", id)
	if err != nil && (len(list) == 0 || !errors.Is(err, ErrDamaged)) {
		return Record{}, err
	}
	if len(list) == 0 {
		return Record{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return list[0], err
}

// Recent returns the newest records accepted at or after since, oldest first,
// further subjects of one event left out.
func (v *View) Recent(ctx context.Context, since time.Time, limit int) ([]Record, error) {
	return v.list(ctx, `WHERE row IN (SELECT row FROM journal WHERE accepted_at >= ? AND place <> 1 AND state <> 'discarded'
		ORDER BY row DESC LIMIT ?) ORDER BY row`, since.UnixMilli(), limit)
}

// FollowUps returns the confirmed, corrected and cancelled events about a
// recorded one, oldest first.
func (v *View) FollowUps(ctx context.Context, id string) ([]Record, error) {
	if id == "" {
		return nil, nil
	}
	return v.list(ctx, "WHERE refers = ? AND refers <> '' AND place <> 1 AND state <> 'discarded' ORDER BY row", id)
}

// list is records, for callers that can do without the bodies that are damaged.
func (v *View) list(ctx context.Context, where string, args ...any) ([]Record, error) {
	list, err := v.records(ctx, where, args...)
	if errors.Is(err, ErrDamaged) && !journal.IsBroken(err) {
		err = nil
	}
	return list, err
}

// records opens what a query finds. A body that does not open is left out and
// makes the error ErrDamaged.
func (v *View) records(ctx context.Context, where string, args ...any) ([]Record, error) {
	var list []Record
	var hurt error
	err := v.read(ctx, func(db *sql.DB) error {
		list, hurt = nil, nil
		return journal.Each(ctx, db, func(e *journal.Entry) error {
			var body []byte
			if v.keys != nil {
				var err error
				if body, err = e.Open(v.keys); err != nil {
					hurt = err
				}
			}
			list = append(list, recordOf(e, body))
			return nil
		}, where, args...)
	})
	if err == nil {
		err = hurt
	}
	return list, err
}

// Quarantined returns the taps with error findings that are still kept, oldest
// first. One whose seal is broken comes without a body.
func (v *View) Quarantined(ctx context.Context) ([]Quarantined, error) {
	return v.quarantined(ctx, "ORDER BY at, id")
}

// QuarantinedTap returns one quarantined tap; ErrNotFound.
func (v *View) QuarantinedTap(ctx context.Context, id string) (Quarantined, error) {
	list, err := v.quarantined(ctx, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%w: quarantined tap %s", ErrNotFound, id)
	}
	if err != nil {
		return Quarantined{}, err
	}
	return list[0], nil
}

func (v *View) quarantined(ctx context.Context, where string, args ...any) ([]Quarantined, error) {
	var list []Quarantined
	err := v.read(ctx, func(db *sql.DB) error {
		list = nil
		rows, err := db.QueryContext(ctx, "SELECT id, at, reader, kind, codes, verified, body FROM quarantine "+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				z      Quarantined
				at     int64
				codes  string
				sealed []byte
			)
			if err := rows.Scan(&z.ID, &at, &z.Reader, &z.Kind, &codes, &z.Verified, &sealed); err != nil {
				return err
			}
			z.At, z.Codes = journal.FromMillis(at), splitCodes(codes)
			if v.keys != nil {
				if plain, err := v.keys.Open(sealed, z.clear()); err == nil {
					z.Body = plain
				}
			}
			list = append(list, z)
		}
		return rows.Err()
	})
	return list, err
}

// clear ties a sealed body to the rest of its entry.
func (q Quarantined) clear() []byte {
	return fmt.Appendf(nil, "idtap quarantine v1\x00%q %d %q %q %q %t", q.ID, q.At.UnixMilli(), q.Reader, q.Kind, joinCodes(q.Codes), q.Verified)
}

// Counts returns how often each outcome came between from and to (to excluded):
// accepted, flagged, unverified (both also accepted), confirmed, corrected,
// cancelled, delivered, and every outcome that was tallied.
func (v *View) Counts(ctx context.Context, from, to time.Time) (map[string]int, error) {
	var counts map[string]int
	err := v.read(ctx, func(db *sql.DB) error {
		counts = map[string]int{}
		rows, err := db.QueryContext(ctx, `SELECT type, status, state IN ('delivered', 'erased'), count(*) FROM journal
			WHERE accepted_at >= ? AND accepted_at < ? AND place <> 1 AND state <> 'discarded' GROUP BY 1, 2, 3`, from.UnixMilli(), to.UnixMilli())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				typ, status string
				delivered   bool
				n           int
			)
			if err := rows.Scan(&typ, &status, &delivered, &n); err != nil {
				return err
			}
			if typ == event.RecordedType {
				counts["accepted"] += n
				if status != "" && status != event.Clean {
					counts[status] += n
				}
				if delivered {
					counts["delivered"] += n
				}
			} else {
				counts[event.Token(typ)] += n
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		tallies, err := db.QueryContext(ctx, "SELECT outcome, count(*) FROM tallies WHERE at >= ? AND at < ? GROUP BY 1", from.UnixMilli(), to.UnixMilli())
		if err != nil {
			return err
		}
		defer tallies.Close()
		for tallies.Next() {
			var outcome string
			var n int
			if err := tallies.Scan(&outcome, &n); err != nil {
				return err
			}
			counts[outcome] += n
		}
		return tallies.Err()
	})
	return counts, err
}

// Stats returns the queue's state. What only a running Queue knows (MaxBytes,
// Full) is zero in a View.
func (v *View) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Dir: v.dir, Bytes: journal.DiskBytes(v.dir)}
	if free, err := journal.FreeBytes(v.dir); err == nil {
		s.FreeBytes = free
	}
	if a := journal.Asides(v.dir); len(a) > 0 {
		s.Fault = a[len(a)-1]
	}
	err := v.read(ctx, func(db *sql.DB) error { return readStats(ctx, db, &s) })
	return s, err
}

// readStats reads what of Stats is in the file.
func readStats(ctx context.Context, db journal.Querier, s *Stats) error {
	if err := readStates(ctx, db, s); err != nil {
		return err
	}
	var oldest sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT
		(SELECT accepted_at FROM journal WHERE state = 'waiting' ORDER BY row LIMIT 1),
		(SELECT count(*) FROM journal WHERE state = 'delivered' AND local),
		(SELECT count(*) FROM quarantine), (SELECT count(*) FROM gaps)`).Scan(&oldest, &s.Local, &s.Quarantined, &s.Gaps)
	if err != nil {
		return err
	}
	// The daemon may deliver between the two questions: none waits where there is no
	// oldest.
	s.Oldest = time.Time{}
	if oldest.Valid {
		s.Oldest = journal.FromMillis(oldest.Int64)
	} else {
		s.Waiting = 0
	}
	for name, to := range map[string]*time.Time{journal.MetaSent: &s.LastDelivered, journal.MetaMoved: &s.Moved} {
		t, err := journal.MetaInt(ctx, db, name)
		if err != nil {
			return err
		}
		if *to = (time.Time{}); t != 0 {
			*to = journal.FromMillis(t)
		}
	}
	if s.Foreign, err = foreign(ctx, db); err != nil {
		return err
	}
	var next uint64
	s.Epoch, next, err = journal.CurrentEpoch(ctx, db)
	s.LastSeq = next - 1
	return err
}

// readStates counts the records by state.
func readStates(ctx context.Context, db journal.Querier, s *Stats) error {
	rows, err := db.QueryContext(ctx, "SELECT state, count(*) FROM journal GROUP BY state")
	if err != nil {
		return err
	}
	defer rows.Close()
	counts := map[State]int{}
	for rows.Next() {
		var state State
		var n int
		if err := rows.Scan((*string)(&state), &n); err != nil {
			return err
		}
		counts[state] = n
	}
	s.Waiting, s.Delivered, s.Erased, s.Dead, s.Discarded = counts[Waiting], counts[Delivered], counts[Erased], counts[Dead], counts[Discarded]
	return rows.Err()
}

// Chain returns the position of the compare-and-set chain of a filter.
func (v *View) Chain(ctx context.Context, filter string) (ChainState, bool, error) {
	c := ChainState{Filter: filter}
	err := v.read(ctx, func(db *sql.DB) error {
		var created, last int64
		err := db.QueryRowContext(ctx, "SELECT stream_created, last_sequence FROM chains WHERE filter = ?", filter).Scan(&created, &last)
		c.StreamCreated, c.LastSequence = time.Unix(0, created).UTC(), uint64(last)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return ChainState{}, false, nil
	}
	return c, err == nil, err
}

// Gaps returns what damage took, oldest first.
func (v *View) Gaps(ctx context.Context) ([]Gap, error) {
	var list []Gap
	err := v.read(ctx, func(db *sql.DB) (err error) {
		list, err = journal.Gaps(ctx, db)
		return err
	})
	return list, err
}

// Verify checks the whole queue: the file's structure, every link of the chain,
// every seal, and that the journal is as long as it was left.
func (v *View) Verify(ctx context.Context) (VerifyReport, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return journal.Verify(ctx, v.dir, v.db, v.keys)
}

// AuditLine says who did what to which record.
type AuditLine struct {
	At            time.Time
	Who, What, ID string
}

// AuditLines returns the newest audit lines, oldest first.
func (v *View) AuditLines(ctx context.Context, limit int) ([]AuditLine, error) {
	var list []AuditLine
	err := v.read(ctx, func(db *sql.DB) error {
		list = nil
		rows, err := db.QueryContext(ctx, "SELECT at, who, what, id FROM (SELECT rowid AS line, * FROM audit ORDER BY line DESC LIMIT ?) ORDER BY line", limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l AuditLine
			var at int64
			if err := rows.Scan(&at, &l.Who, &l.What, &l.ID); err != nil {
				return err
			}
			l.At = journal.FromMillis(at)
			list = append(list, l)
		}
		return rows.Err()
	})
	return list, err
}

func foreign(ctx context.Context, db journal.Querier) (*Foreign, error) {
	s, err := journal.Meta(ctx, db, journal.MetaForeign)
	if err != nil || s == "" {
		return nil, err
	}
	epoch, last, _ := strings.Cut(s, " ")
	n, err := strconv.ParseUint(last, 10, 64)
	if err != nil {
		return nil, nil // damaged: the forwarder meets it again
	}
	return &Foreign{Epoch: epoch, LastSeq: n}, nil
}
