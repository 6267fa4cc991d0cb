package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
)

// Options of a queue. Dir is needed, the rest has defaults.
type Options struct {
	Dir          string
	KeyFile      string        // default: outbox.key in Dir
	MaxBytes     int64         // bound of the database file, default 256 MiB; its write-ahead log adds a few MiB
	Retain       time.Duration // how long bodies of delivered records and quarantined taps stay, default 72 h
	KeepCounts   time.Duration // how long clear columns stay, default 400 days
	RepeatWindow time.Duration // 0: nothing is a repeat
	MinFree      int64         // taps are refused below this much free space, default 16 MiB
	Clock        clockwork.Clock
	Log          zerolog.Logger

	// Fail is called between the steps of every change, for tests: as
	// "<operation>.begin", ".written" (not committed) and ".committed" (not
	// answered). An error ends the operation there.
	Fail func(step string) error
}

func (o Options) withDefaults() Options {
	if o.KeyFile == "" {
		o.KeyFile = filepath.Join(o.Dir, keyName)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Retain == 0 {
		o.Retain = 72 * time.Hour
	}
	if o.KeepCounts == 0 {
		o.KeepCounts = 400 * 24 * time.Hour
	}
	if o.MinFree == 0 {
		o.MinFree = 16 << 20
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Fail == nil {
		o.Fail = func(string) error { return nil }
	}
	return o
}

// Queue is an open queue. One goroutine writes; any number may call.
type Queue struct {
	View
	o    Options
	lock *dirLock

	ops     chan *op
	closing chan struct{}
	written chan struct{} // closed when the writer has ended
	closed  sync.Once

	wakeMu sync.Mutex
	wake   chan struct{} // closed and replaced when something new waits

	// The writer's own.
	db       *sql.DB
	conn     *sql.Conn
	prepared prepared
	head     *os.File
	tip      tip
	repeats  repeats
	room     room
	dirty    bool // committed since the last checkpoint
}

// prepared is the statements that run once per record.
type prepared struct{ entry, body, delivered *sql.Stmt }

// tip is where the journal ends.
type tip struct {
	row   int64
	hash  []byte
	epoch string
	next  uint64 // next sequence number
}

// Open opens the queue in o.Dir, or begins one, and checks it. A damaged file is
// set aside under a dated name and everything readable is carried over into a
// new one, which is logged and shown as Stats.Fault.
//
// Errors: *LockedError (ErrLocked) while another daemon has it, ErrKey if the
// key file is not the one it was sealed with, ErrNewer after a downgrade.
func Open(ctx context.Context, o Options) (*Queue, error) {
	o = o.withDefaults()
	if err := ownDir(o.Dir); err != nil {
		return nil, fmt.Errorf("queue directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		View: View{dir: o.Dir}, o: o, lock: lock,
		ops: make(chan *op), closing: make(chan struct{}), written: make(chan struct{}), wake: make(chan struct{}),
		repeats: repeats{window: o.RepeatWindow},
	}
	q.heal = q.mend
	q.room.dir, q.room.max, q.room.minFree = o.Dir, o.MaxBytes, o.MinFree
	if err := q.open(ctx); err != nil {
		q.shut()
		return nil, err
	}
	go q.write()
	return q, nil
}

func (q *Queue) open(ctx context.Context) error {
	if err := finishRebuild(q.o); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	var err error
	if q.keys, err = openKeys(ctx, q.o); err != nil {
		return err
	}
	err = q.start(ctx)
	if err != nil && damaged(err) {
		err = q.replace(ctx, err)
	}
	return err
}

// openKeys reads the key file. It makes one only where nothing sealed exists:
// a lost key must not be papered over by a new one.
func openKeys(ctx context.Context, o Options) (*keyring, error) {
	keys, err := loadKeys(o.KeyFile)
	if err == nil && filepath.Dir(o.KeyFile) == filepath.Clean(o.Dir) {
		err = restrict(o.KeyFile)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if exists(filepath.Join(o.Dir, dbName)) {
		db, err := openDB(filepath.Join(o.Dir, dbName), true)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		if used, err := meta(ctx, db, metaKeys); used != "" || err != nil && !damaged(err) {
			return nil, fmt.Errorf("%w: %s is missing: put a copy back, or move the queue in %s away", ErrKey, o.KeyFile, o.Dir)
		}
	}
	if _, err := addKey(o.KeyFile, o.Clock.Now()); err != nil {
		return nil, fmt.Errorf("queue key: %w", err)
	}
	return loadKeys(o.KeyFile)
}

// start checks the files and opens them; it is also how the queue comes back
// after a damaged file was replaced while it ran. The check reads only: a
// connection that may write throws away what it takes for a useless log, and
// with it records that could still be found there.
func (q *Queue) start(ctx context.Context) error {
	path := filepath.Join(q.dir, dbName)
	checked := false
	var err error
	if q.head, err = openHead(q.dir); err != nil {
		return err
	}
	if exists(path) && !exists(path+"-journal") { // a journal: killed while the file was made
		checked, err = q.inspect(ctx, path)
		if err != nil && senseless(err) && !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	if err := createFile(path); err != nil {
		return fmt.Errorf("queue file: %w", err)
	}
	if err := syncDir(q.dir); err != nil {
		return fmt.Errorf("queue directory: %w", err)
	}
	if q.db, err = openDB(path, false); err != nil {
		return fmt.Errorf("queue file: %w", err)
	}
	q.db.SetMaxOpenConns(1)
	if q.conn, err = q.db.Conn(ctx); err != nil {
		return fmt.Errorf("queue file: %w", err)
	}
	if err := q.load(ctx, checked); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	q.dirty = true // what an earlier process left in the write-ahead log
	return q.attach()
}

// inspect checks a file that is there without writing to it. It leaves one of
// an older schema to be checked after its upgrade.
func (q *Queue) inspect(ctx context.Context, path string) (checked bool, err error) {
	if err := checkHeader(path); err != nil {
		return false, err
	}
	db, err := openDB(path, true)
	if err != nil {
		return false, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	version, err := schemaVersion(ctx, conn, len(upgrades))
	if err != nil || version < len(upgrades) {
		return false, err
	}
	return true, check(ctx, conn, q.keys, q.head, &q.tip)
}

// load brings the file to this version and memory up to the file.
func (q *Queue) load(ctx context.Context, checked bool) error {
	if err := durable(ctx, q.conn); err != nil {
		return err
	}
	if err := upgrade(ctx, q.conn, upgrades); err != nil {
		return err
	}
	if !checked {
		if err := check(ctx, q.conn, q.keys, q.head, &q.tip); err != nil {
			return err
		}
	}
	var err error
	if err = q.begin(ctx); err != nil {
		return err
	}
	if q.tip.epoch, q.tip.next, err = currentEpoch(ctx, q.conn); err != nil {
		return err
	}
	for stmt, text := range map[**sql.Stmt]string{
		&q.prepared.entry: entryInsert, &q.prepared.body: bodyInsert, &q.prepared.delivered: deliveredUpdate,
	} {
		if *stmt, err = q.conn.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	if err := q.repeats.load(ctx, q.conn, q.keys, q.o.Clock.Now()); err != nil {
		return err
	}
	return q.room.measure(ctx, q.conn)
}

// begin makes the epoch of a new queue and notes the key in use.
func (q *Queue) begin(ctx context.Context) error {
	var n int
	if err := q.conn.QueryRowContext(ctx, "SELECT count(*) FROM epochs").Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		if err := newEpoch(ctx, q.conn, 1, q.tip.row+1, q.o.Clock.Now()); err != nil {
			return err
		}
	}
	used, err := meta(ctx, q.conn, metaKeys)
	if err != nil {
		return err
	}
	if id := q.keys.newest().String(); !slices.Contains(strings.Fields(used), id) {
		return setMeta(ctx, q.conn, metaKeys, strings.TrimSpace(used+" "+id))
	}
	return nil
}

// newEpoch begins an epoch at a row: a random id, so that a queue made anew is not taken
// for the one before it.
func newEpoch(ctx context.Context, conn *sql.Conn, next uint64, row int64, now time.Time) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "INSERT INTO epochs (epoch, next_seq, first_row, begun_at) VALUES (?, ?, ?, ?)", id.String(), int64(next), row, now.UnixMilli())
	return err
}

func setMeta(ctx context.Context, conn *sql.Conn, name, value string) error {
	_, err := conn.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", name, value)
	return err
}

// Close ends the queue: what was accepted is on the disk already.
func (q *Queue) Close() error {
	var err error
	q.closed.Do(func() {
		close(q.closing)
		<-q.written
		err = q.shut()
	})
	return err
}

// detach closes the files, the lock excepted. No reader may be under way.
func (q *Queue) detach() error {
	var errs []error
	for _, s := range []*sql.Stmt{q.prepared.entry, q.prepared.body, q.prepared.delivered} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if q.conn != nil {
		errs = append(errs, q.conn.Close())
	}
	if q.View.db != nil {
		errs = append(errs, q.View.db.Close())
	}
	if q.db != nil {
		errs = append(errs, q.db.Close())
	}
	if q.head != nil {
		errs = append(errs, q.head.Close())
	}
	q.prepared, q.conn, q.db, q.head = prepared{}, nil, nil, nil
	return errors.Join(errs...)
}

func (q *Queue) shut() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Join(q.detach(), q.lock.release())
}

// EmbeddedStoreKey is the key of the embedded server's store.
func (q *Queue) EmbeddedStoreKey() string {
	return fmt.Sprintf("%x", q.keys.derive("embedded store", 32))
}

// RefKey is the HMAC key of person.ref for a desk without a ref_key_file.
func (q *Queue) RefKey() []byte { return q.keys.derive("person ref", 32) }

// Stats gives the queue's state.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	s, err := q.View.Stats(ctx)
	s.MaxBytes = q.o.MaxBytes
	s.Full = q.room.full()
	return s, err
}
