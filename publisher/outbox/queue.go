package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/internal/securefile"
	"idtap/publisher/internal/failpoint"
	"idtap/publisher/outbox/journal"
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
}

func (o Options) withDefaults() Options {
	if o.KeyFile == "" {
		o.KeyFile = journal.KeyPath(o.Dir)
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
	return o
}

// Queue is an open queue. One goroutine writes; any number may call.
type Queue struct {
	View
	o    Options
	lock *journal.Lock
	fail failpoint.Func // asked as "<operation>.begin", ".written" (not committed) and ".committed" (not answered)

	ops     chan *op
	closing chan struct{}
	written chan struct{} // closed when the writer has ended
	closed  sync.Once

	counts counts

	wakeMu sync.Mutex
	wake   chan struct{} // closed and replaced when something new waits

	turned atomic.Pointer[time.Time] // when the writer last went round

	// The writer's own.
	file      *journal.File // nil: damaged, and could not be recovered
	delivered *sql.Stmt
	repeats   repeats
	space     space
	dirty     bool // committed since the last checkpoint
}

// Open opens the queue in o.Dir, or begins one, and checks it. A damaged file is
// set aside under a dated name and everything readable is carried over into a
// new one, which is logged and shown as Stats.Fault.
//
// Errors: *LockedError (ErrLocked) while another daemon has it, ErrKey if the
// key file is not the one it was sealed with, ErrNewer after a downgrade.
func Open(ctx context.Context, o Options) (*Queue, error) {
	o = o.withDefaults()
	if err := securefile.OwnDir(o.Dir); err != nil {
		return nil, fmt.Errorf("queue directory: %w", err)
	}
	lock, err := journal.LockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		View: View{dir: o.Dir}, o: o, lock: lock, fail: failpoint.From(ctx),
		ops: make(chan *op), closing: make(chan struct{}), written: make(chan struct{}), wake: make(chan struct{}),
		repeats: repeats{window: o.RepeatWindow}, counts: counts{changed: make(chan struct{})},
	}
	q.recover = q.recoverFor
	q.space.dir, q.space.max, q.space.minFree = o.Dir, o.MaxBytes, o.MinFree
	if err := q.open(ctx); err != nil {
		q.shut()
		return nil, err
	}
	now := q.o.Clock.Now()
	q.turned.Store(&now)
	go q.write()
	return q, nil
}

func (q *Queue) open(ctx context.Context) error {
	if err := q.recovery().Finish(); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	var err error
	if q.keys, err = journal.OpenKeys(ctx, q.o.Dir, q.o.KeyFile, q.o.Clock.Now()); err != nil {
		return err
	}
	err = q.start(ctx)
	if err != nil && journal.IsDamaged(err) {
		err = q.replace(ctx, err)
	}
	return err
}

// start checks the files and opens them; it is also how the queue comes back
// after a damaged file was replaced while it ran.
func (q *Queue) start(ctx context.Context) error {
	var err error
	if q.file, err = journal.Open(ctx, q.dir, q.keys, q.o.Clock.Now()); err != nil {
		return err
	}
	if err := q.load(ctx); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	q.dirty = true // what an earlier process left in the write-ahead log
	return q.attach()
}

// load brings memory up to the file.
func (q *Queue) load(ctx context.Context) (err error) {
	if q.delivered, err = q.file.Prepare(ctx, deliveredUpdate); err != nil {
		return err
	}
	if err := q.repeats.load(ctx, q.file.Conn, q.keys, q.o.Clock.Now()); err != nil {
		return err
	}
	if err := q.counts.recount(ctx, q.dir, q.file.Conn); err != nil {
		return err
	}
	return q.space.measure(ctx, q.file.Conn)
}

func (q *Queue) recovery() journal.Recovery {
	return journal.Recovery{Dir: q.dir, Keys: q.keys, Now: q.o.Clock.Now(), Step: q.fail}
}

// replace puts a new file in the place of a damaged one and goes on with
// everything readable carried over.
func (q *Queue) replace(ctx context.Context, cause error) error {
	q.o.Log.Error().Err(cause).Msg("the queue is damaged: it is set aside and what is readable carried over")
	q.mu.Lock() // readers wait until the new file is in its place
	err := func() error {
		defer q.mu.Unlock()
		if err := q.detach((*journal.File).Abandon); err != nil {
			return err
		}
		aside, n, err := q.recovery().Run(ctx)
		if err != nil {
			return err
		}
		if aside != "" {
			q.o.Log.Warn().Str("file", aside).Int("carried", n).Msg("a new queue is begun; the damaged one is kept")
		}
		return q.start(ctx)
	}()
	if err != nil {
		err = fmt.Errorf("%w; replacing it failed: %w", ErrDamaged, err)
		q.counts.fail(err)
	}
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
func (q *Queue) detach(closeFile func(*journal.File) error) error {
	if q.View.db != nil {
		q.View.db.Close()
	}
	var err error
	if q.file != nil {
		err = closeFile(q.file)
	}
	q.file, q.delivered = nil, nil
	return err
}

func (q *Queue) shut() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Join(q.detach((*journal.File).Close), q.lock.Release())
}

// EmbeddedStoreKey returns the key of the embedded server's store.
func (q *Queue) EmbeddedStoreKey() string {
	return fmt.Sprintf("%x", q.keys.Derive("embedded store", 32))
}

// RefKey returns the HMAC key of person.ref for a desk without a ref_key_file.
func (q *Queue) RefKey() []byte { return q.keys.Derive("person ref", 32) }

// RotateKey appends a new key to the key file of a queue that no daemon has
// open. Records sealed so far keep opening with the older lines; a line may be
// deleted once `idtap outbox verify` no longer names its key, except the first,
// from which person.ref and the embedded store's key are derived.
func RotateKey(o Options) (string, error) {
	o = o.withDefaults()
	l, err := journal.LockDir(o.Dir)
	if err != nil {
		return "", err
	}
	defer l.Release()
	if _, err := journal.LoadKeys(o.KeyFile); err != nil {
		return "", err
	}
	return journal.AddKey(o.KeyFile, o.Clock.Now())
}
