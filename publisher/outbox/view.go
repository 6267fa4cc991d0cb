package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"idtap/publisher/event"
)

// View reads a queue without owning it: beside a running daemon, which it never
// holds up, or while none runs. A Queue is its own View.
type View struct {
	dir  string
	keys *keyring // nil: bodies cannot be opened and are left out

	mu   sync.RWMutex // held for reading during a query, for writing while a damaged file is replaced
	db   *sql.DB
	heal func(ctx context.Context, cause error) error // nil: a reader cannot
}

// OpenView opens the queue in o.Dir for reading. The error is fs.ErrNotExist
// where there is no queue yet, ErrNewer and ErrDamaged as for Open. Without
// access to the key file everything but bodies can be read.
func OpenView(ctx context.Context, o Options) (*View, error) {
	o = o.withDefaults()
	path := filepath.Join(o.Dir, dbName)
	if !exists(path) {
		return nil, fmt.Errorf("no queue in %s: %w", o.Dir, fs.ErrNotExist)
	}
	v := &View{dir: o.Dir}
	v.keys, _ = loadKeys(o.KeyFile)
	if err := v.attach(); err != nil {
		return nil, err
	}
	err := func() error {
		conn, err := v.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = schemaVersion(ctx, conn, len(upgrades))
		return err
	}()
	if err != nil {
		v.Close()
		if damaged(err) && !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
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

func (v *View) attach() error {
	db, err := openDB(filepath.Join(v.dir, dbName), true)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(2)
	v.db = db
	return nil
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
	if broken(err) && v.heal != nil {
		if err := v.heal(ctx, err); err != nil {
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
	After int64     // rows behind this one
	Limit int       // at most this many, 0: 100
}

// Listed is a record without its body: nothing in it is personal.
type Listed struct {
	Row int64
	Stamp
	Type     string
	Subject  string
	Filter   string
	Refers   string
	Kind     string
	Status   string
	Codes    []string
	State    State
	Requeued int
	Ack      Ack    // zero until delivered
	Reason   string // why it is dead
}

// List gives records in journal order, clear columns only.
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
		return each(ctx, db, func(e *entry) error {
			list = append(list, e.listed())
			return nil
		}, where+" ORDER BY row LIMIT ?", append(args, f.Limit)...)
	})
	return list, err
}

// Get gives one record, with its body while that is kept. One whose seal is
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

// Recent gives the newest records accepted at or after since, oldest first,
// further subjects of one event left out.
func (v *View) Recent(ctx context.Context, since time.Time, limit int) ([]Record, error) {
	return v.list(ctx, `WHERE row IN (SELECT row FROM journal WHERE accepted_at >= ? AND place <> 1 AND state <> 'discarded'
		ORDER BY row DESC LIMIT ?) ORDER BY row`, since.UnixMilli(), limit)
}

// FollowUps gives the confirmed, corrected and cancelled events about a
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
	if errors.Is(err, ErrDamaged) && !broken(err) {
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
		return each(ctx, db, func(e *entry) error {
			var body []byte
			if v.keys != nil {
				var err error
				if body, err = e.open(v.keys); err != nil {
					hurt = err
				}
			}
			list = append(list, e.record(body))
			return nil
		}, where, args...)
	})
	if err == nil {
		err = hurt
	}
	return list, err
}

// Quarantined gives the taps with error findings that are still kept, oldest
// first. One whose seal is broken comes without a body.
func (v *View) Quarantined(ctx context.Context) ([]Quarantined, error) {
	var list []Quarantined
	err := v.read(ctx, func(db *sql.DB) error {
		list = nil
		rows, err := db.QueryContext(ctx, "SELECT id, at, reader, kind, codes, verified, body FROM quarantine ORDER BY at, id")
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
			z.At, z.Codes = fromMillis(at), splitCodes(codes)
			if v.keys != nil {
				if plain, err := v.keys.open(sealed, z.clear()); err == nil {
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

// Counts gives how often each outcome came between from and to (to excluded):
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

// Stats gives the queue's state. What only a running Queue knows (MaxBytes,
// Full) is zero in a View.
func (v *View) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Bytes: diskBytes(v.dir)}
	if free, err := freeBytes(v.dir); err == nil {
		s.FreeBytes = free
	}
	if a := asides(v.dir); len(a) > 0 {
		s.Fault = a[len(a)-1]
	}
	err := v.read(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT state, count(*) FROM journal GROUP BY state")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var state State
			var n int
			if err := rows.Scan((*string)(&state), &n); err != nil {
				return err
			}
			switch state {
			case Waiting:
				s.Waiting = n
			case Delivered:
				s.Delivered = n
			case Erased:
				s.Erased = n
			case Dead:
				s.Dead = n
			case Discarded:
				s.Discarded = n
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		var oldest sql.NullInt64
		err = db.QueryRowContext(ctx, `SELECT
			(SELECT accepted_at FROM journal WHERE state = 'waiting' ORDER BY row LIMIT 1),
			(SELECT count(*) FROM journal WHERE state = 'delivered' AND local),
			(SELECT count(*) FROM quarantine), (SELECT count(*) FROM gaps)`).Scan(&oldest, &s.Local, &s.Quarantined, &s.Gaps)
		if err != nil {
			return err
		}
		if oldest.Valid {
			s.Oldest = fromMillis(oldest.Int64)
		}
		if t, err := metaInt(ctx, db, metaSent); err != nil {
			return err
		} else if t != 0 {
			s.LastDelivered = fromMillis(t)
		}
		if s.Foreign, err = foreign(ctx, db); err != nil {
			return err
		}
		var next uint64
		s.Epoch, next, err = currentEpoch(ctx, db)
		s.LastSeq = next - 1
		return err
	})
	return s, err
}

// Chain gives where the compare-and-set chain of a filter stands.
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

// Gap is what damage took: records of these sequence numbers, or, where they
// cannot be told, as many records of unknown ones (Epoch empty). If they had
// been delivered only the journal lost them.
type Gap struct {
	Epoch       string
	First, Last uint64
	Records     uint64
	FoundAt     time.Time
	File        string // name of the damaged queue that was set aside
}

// Gaps gives what damage took, oldest first.
func (v *View) Gaps(ctx context.Context) ([]Gap, error) {
	var list []Gap
	err := v.read(ctx, func(db *sql.DB) (err error) {
		list, err = gaps(ctx, db)
		return err
	})
	return list, err
}

func gaps(ctx context.Context, db querier) ([]Gap, error) {
	rows, err := db.QueryContext(ctx, "SELECT epoch, first, last, records, found_at, file FROM gaps ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Gap
	for rows.Next() {
		var g Gap
		var at int64
		if err := rows.Scan(&g.Epoch, &g.First, &g.Last, &g.Records, &at, &g.File); err != nil {
			return nil, err
		}
		g.FoundAt = fromMillis(at)
		list = append(list, g)
	}
	return list, rows.Err()
}

// AuditLine says who did what to which record.
type AuditLine struct {
	At            time.Time
	Who, What, ID string
}

// AuditLines gives the newest audit lines, oldest first.
func (v *View) AuditLines(ctx context.Context, limit int) ([]AuditLine, error) {
	var list []AuditLine
	err := v.read(ctx, func(db *sql.DB) error {
		list = nil
		rows, err := db.QueryContext(ctx, "SELECT at, who, what, id FROM (SELECT rowid AS n, * FROM audit ORDER BY n DESC LIMIT ?) ORDER BY n", limit)
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
			l.At = fromMillis(at)
			list = append(list, l)
		}
		return rows.Err()
	})
	return list, err
}

// querier is what a connection, a pool and a transaction share.
type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// meta reads a value, "" where there is none.
func meta(ctx context.Context, db querier, name string) (string, error) {
	var s string
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", name).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, err
}

func metaInt(ctx context.Context, db querier, name string) (int64, error) {
	s, err := meta(ctx, db, name)
	if err != nil || s == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, nil // damaged and of no consequence
	}
	return n, nil
}

func foreign(ctx context.Context, db querier) (*Foreign, error) {
	s, err := meta(ctx, db, metaForeign)
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

// currentEpoch gives the epoch that new records get and their next number.
func currentEpoch(ctx context.Context, db querier) (epoch string, next uint64, err error) {
	var first int64
	if err := db.QueryRowContext(ctx, "SELECT epoch, next_seq, first_row FROM epochs ORDER BY n DESC LIMIT 1").Scan(&epoch, &next, &first); err != nil {
		return "", 0, err
	}
	// Only an event in the place of a discarded one is out of order.
	var last sql.NullInt64
	err = db.QueryRowContext(ctx, "SELECT seq FROM journal WHERE row >= ? AND epoch = ? AND place <> ? ORDER BY row DESC LIMIT 1", first, epoch, placeTaken).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", 0, err
	}
	if last.Valid && uint64(last.Int64) >= next {
		next = uint64(last.Int64) + 1
	}
	return epoch, next, nil
}
