package journal

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
	"time"

	"idtap/internal/securefile"
)

// File is a queue file opened by the one who writes it.
type File struct {
	Conn *sql.Conn // the one connection that writes
	Tail Tail      // as of the last commit

	dir         string
	keys        *Keyring
	db          *sql.DB
	head        *os.File
	names       names
	prepared    []*sql.Stmt
	insertEntry *sql.Stmt
	insertBody  *sql.Stmt
}

// Open checks the queue file in dir and opens it for writing; where there is
// none it makes one. The check reads only: a connection that may write throws
// away what it takes for a useless log, and with it records that could still be
// found there.
func Open(ctx context.Context, dir string, keys *Keyring, now time.Time) (*File, error) {
	f := &File{dir: dir, keys: keys}
	if err := f.open(ctx, now); err != nil {
		f.Abandon()
		return nil, err
	}
	return f, nil
}

func (f *File) open(ctx context.Context, now time.Time) error {
	path := Path(f.dir)
	checked := false
	var err error
	if f.head, err = openHead(f.dir); err != nil {
		return err
	}
	if !hasHeader(path) && exists(path+"-wal") { // SQLite would delete the log
		return fmt.Errorf("queue: %w: the database is missing beside its log", ErrDamaged)
	}
	if exists(path) && !exists(path+"-journal") { // a journal: killed while the file was made
		checked, err = f.inspect(ctx, path)
		if err != nil && isCorruption(err) && !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	if err := createFile(path); err != nil {
		return fmt.Errorf("queue file: %w", err)
	}
	if err := securefile.SyncDir(f.dir); err != nil {
		return fmt.Errorf("queue directory: %w", err)
	}
	if f.db, err = openDB(path, false); err != nil {
		return fmt.Errorf("queue file: %w", err)
	}
	f.db.SetMaxOpenConns(1)
	if f.Conn, err = f.db.Conn(ctx); err != nil {
		return fmt.Errorf("queue file: %w", err)
	}
	if err := f.load(ctx, checked, now); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if f.names, err = lookUp(f.dir); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// inspect checks a file that is there without writing to it. It leaves one of
// an older schema to be checked after its upgrade.
func (f *File) inspect(ctx context.Context, path string) (checked bool, err error) {
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
	return true, check(ctx, conn, f.keys, f.head, &f.Tail)
}

// load brings the file to this version and memory up to the file.
func (f *File) load(ctx context.Context, checked bool, now time.Time) error {
	if err := durable(ctx, f.Conn); err != nil {
		return err
	}
	if err := upgrade(ctx, f.Conn, upgrades); err != nil {
		return err
	}
	if !checked {
		if err := check(ctx, f.Conn, f.keys, f.head, &f.Tail); err != nil {
			return err
		}
	}
	var err error
	if err = f.begin(ctx, now); err != nil {
		return err
	}
	if f.Tail.Epoch, f.Tail.Next, err = CurrentEpoch(ctx, f.Conn); err != nil {
		return err
	}
	if f.insertEntry, err = f.Prepare(ctx, insertEntry); err != nil {
		return err
	}
	f.insertBody, err = f.Prepare(ctx, insertBody)
	return err
}

// Prepare prepares a statement, which is closed with the file.
func (f *File) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s, err := f.Conn.PrepareContext(ctx, query)
	if err == nil {
		f.prepared = append(f.prepared, s)
	}
	return s, err
}

// begin makes the epoch of a new queue and notes the key in use.
func (f *File) begin(ctx context.Context, now time.Time) error {
	var n int
	if err := f.Conn.QueryRowContext(ctx, "SELECT count(*) FROM epochs").Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		if err := BeginEpoch(ctx, f.Conn, 1, f.Tail.Row+1, now); err != nil {
			return err
		}
	}
	used, err := Meta(ctx, f.Conn, metaKeys)
	if err != nil {
		return err
	}
	if id := f.keys.Newest(); !slices.Contains(strings.Fields(used), id) {
		return SetMeta(ctx, f.Conn, metaKeys, strings.TrimSpace(used+" "+id))
	}
	return nil
}

// Append seals a body into e and adds it after t, which it moves to the new
// line. It belongs in a transaction of Conn; after its commit, Committed tells
// the file.
func (f *File) Append(ctx context.Context, t *Tail, e *Entry, body []byte) error {
	e.Row = t.Row + 1
	e.seal(f.keys, body, t.Hash)
	if _, err := f.insertEntry.ExecContext(ctx, e.values()...); err != nil {
		return err
	}
	if _, err := f.insertBody.ExecContext(ctx, e.Row, e.Body); err != nil {
		return err
	}
	t.Row, t.Hash = e.Row, e.Hash
	if e.Place != PlaceTaken {
		t.Next = e.Seq + 1
	}
	return nil
}

// Renumber gives waiting and dead lines new numbers of t's epoch, in their order,
// with bodies that renumber returns, and links the chain again from the first of
// them on. A line that was put back by hand keeps its number, under which it was
// stored, and so does a dead one that something was delivered after: in its epoch
// the number would be missing. Renumbered is told each change.
func (f *File) Renumber(ctx context.Context, t *Tail, renumber func(e *Entry, body []byte) ([]byte, error), renumbered func(e *Entry)) error {
	var first, settled sql.NullInt64
	err := f.Conn.QueryRowContext(ctx, `SELECT (SELECT min(row) FROM journal WHERE state IN ('waiting', 'dead')),
		(SELECT max(row) FROM journal WHERE state IN ('delivered', 'erased'))`).Scan(&first, &settled)
	if err != nil || !first.Valid {
		return err
	}
	prev, err := before(ctx, f.Conn, first.Int64-1)
	if err != nil {
		return err
	}
	lowest := t.Row + 1
	for row := first.Int64; row <= t.Row; row++ {
		e, err := One(ctx, f.Conn, "WHERE row = ?", row)
		if errors.Is(err, sql.ErrNoRows) {
			continue // a gap that damage left
		} else if err != nil {
			return err
		}
		moves := e.Requeued == 0 && (e.State == Waiting || e.State == Dead && row > settled.Int64)
		if body, err := e.Open(f.keys); moves && err == nil && body != nil {
			e.Epoch, e.Seq = t.Epoch, t.Next
			if body, err = renumber(e, body); err != nil {
				return err
			}
			e.seal(f.keys, body, prev)
			if _, err := f.Conn.ExecContext(ctx, "UPDATE bodies SET body = ? WHERE row = ?", e.Body, row); err != nil {
				return err
			}
			t.Next++
			lowest = min(lowest, row)
			renumbered(e)
		} else if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		} else {
			e.Hash = e.link(prev)
		}
		if _, err := f.Conn.ExecContext(ctx, "UPDATE journal SET epoch = ?, seq = ?, body_sum = ?, hash = ? WHERE row = ?",
			e.Epoch, int64(e.Seq), e.Sum, e.Hash, row); err != nil {
			return err
		}
		prev = e.Hash
	}
	t.Hash = prev
	_, err = f.Conn.ExecContext(ctx, "UPDATE epochs SET next_seq = ?, first_row = ? WHERE epoch = ?", int64(t.Next), lowest, t.Epoch)
	return err
}

// Committed notes where the journal ends after a commit.
func (f *File) Committed(t Tail) {
	if t.Row != f.Tail.Row || t.Epoch != f.Tail.Epoch {
		writeHead(f.head, f.keys, t)
	}
	f.Tail = t
}

// Checkpoint folds the write-ahead log back into the file and empties it. A
// reader that is in the way is not waited for: then done is false.
func (f *File) Checkpoint(ctx context.Context) (done bool, err error) {
	if _, err := f.Conn.ExecContext(ctx, "PRAGMA busy_timeout=0"); err != nil {
		return false, err
	}
	defer f.Conn.ExecContext(ctx, "PRAGMA busy_timeout=1000")
	var busy, frames, moved int
	if err := f.Conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return false, err
	}
	return busy == 0, f.NoteSizes()
}

// Shrink gives some of the pages that erasing freed back to the disk; it is
// visible after the next checkpoint.
func (f *File) Shrink(ctx context.Context) error {
	if _, err := f.Conn.ExecContext(ctx, "PRAGMA incremental_vacuum(1000)"); err != nil {
		return err
	}
	return f.NoteSizes()
}

// Close closes the file; the last connection to it folds the log back.
func (f *File) Close() error {
	var errs []error
	for _, s := range f.prepared {
		errs = append(errs, s.Close())
	}
	if f.Conn != nil {
		errs = append(errs, f.Conn.Close())
	}
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	if f.head != nil {
		errs = append(errs, f.head.Close())
	}
	return errors.Join(errs...)
}

// Abandon closes a damaged file and leaves its log as it is: after a damaged
// place in it there may be whole records. Whatever reads the file must have been
// closed before.
func (f *File) Abandon() error {
	if f.db == nil {
		return f.Close()
	}
	wal := Path(f.dir) + "-wal"
	log, err := os.ReadFile(wal)
	f.Close()
	if err != nil || len(log) == 0 {
		return nil
	}
	return securefile.Replace(wal, log)
}

// OpenReader opens the queue file in dir for reading, beside whoever writes it.
func OpenReader(dir string) (*sql.DB, error) {
	if !hasHeader(Path(dir)) && exists(Path(dir)+"-wal") { // even for reading SQLite would delete the log
		return nil, fmt.Errorf("%w: the database is missing beside its log", ErrDamaged)
	}
	db, err := openDB(Path(dir), true)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(2)
	return db, nil
}

// CheckVersion reports whether this idtap reads the queue file: the error is
// ErrNewer or ErrDamaged if not.
func CheckVersion(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = schemaVersion(ctx, conn, len(upgrades))
	if IsDamaged(err) && !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// OpenKeys reads the key file of the queue in dir. It makes one only where
// nothing sealed exists: a lost key must not be papered over by a new one.
func OpenKeys(ctx context.Context, dir, file string, now time.Time) (*Keyring, error) {
	keys, err := LoadKeys(file)
	if err == nil && filepath.Dir(file) == filepath.Clean(dir) {
		err = securefile.Restrict(file)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	sealed, err := holdsSealed(ctx, dir)
	if err != nil {
		return nil, err
	} else if sealed {
		return nil, fmt.Errorf("%w: %s is missing: put a copy back, or move the queue in %s away", ErrKey, file, dir)
	}
	if _, err := AddKey(file, now); err != nil {
		return nil, fmt.Errorf("queue key: %w", err)
	}
	return LoadKeys(file)
}

// holdsSealed reports whether anything in the queue's files was sealed, as far
// as can be told.
func holdsSealed(ctx context.Context, dir string) (bool, error) {
	if !hasHeader(Path(dir)) {
		return exists(Path(dir) + "-wal"), nil
	}
	db, err := openDB(Path(dir), true)
	if err != nil {
		return false, err
	}
	defer db.Close()
	used, err := Meta(ctx, db, metaKeys)
	return used != "" || err != nil && !IsDamaged(err), nil
}
