package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"idtap/internal/securefile"
)

// A cleaning tool, a restore, or a person may delete, rename or replace the
// queue's files while they are open. SQLite goes on writing to what it has open,
// and nobody finds it again. So before and after each commit the names are
// looked at: os.SameFile compares device and inode, and an inode is not given
// away while the file is open. (Windows does not let go of an open file.)

// ErrMoved says that a name no longer leads to the open file.
var ErrMoved = errors.New("the queue's files were deleted, renamed or replaced")

// names is which files the queue's names led to when they were opened.
type names struct {
	db, log, index, head fs.FileInfo
}

func lookUp(dir string) (n names, err error) {
	for _, f := range []struct {
		info *fs.FileInfo
		name string
	}{{&n.db, dbName}, {&n.log, dbName + "-wal"}, {&n.index, dbName + "-shm"}, {&n.head, headName}} {
		if *f.info, err = os.Stat(filepath.Join(dir, f.name)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// leadsTo reports whether a path still leads to the file that it led to before.
func leadsTo(path string, before fs.FileInfo) (now fs.FileInfo, same bool) {
	now, err := os.Stat(path)
	return now, err == nil && os.SameFile(before, now)
}

// CheckNames returns ErrMoved if the names of the database or its log no longer
// lead to the open files, and ErrDamaged if somebody else shortened one of them
// or changed the database.
func (f *File) CheckNames(ctx context.Context) error {
	db, ok := leadsTo(Path(f.dir), f.names.db)
	if !ok {
		return fmt.Errorf("%w: %s", ErrMoved, dbName)
	}
	log, ok := leadsTo(Path(f.dir)+"-wal", f.names.log)
	if !ok {
		return fmt.Errorf("%w: %s-wal", ErrMoved, dbName)
	}
	if log.Size() < f.names.log.Size() {
		return fmt.Errorf("%w: its log was cut off", ErrDamaged)
	}
	if db.Size() != f.names.db.Size() || !db.ModTime().Equal(f.names.db.ModTime()) {
		return f.checkChanged(ctx, db)
	}
	return nil
}

// checkChanged checks a database that somebody else has written to, which may
// have been a harmless checkpoint.
func (f *File) checkChanged(ctx context.Context, now fs.FileInfo) error {
	db, err := openDB(Path(f.dir), true)
	if err != nil {
		return err
	}
	defer db.Close()
	var end Tail
	if err := check(ctx, db, f.keys, f.head, &end); err != nil {
		if isCorruption(err) && !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return err
	}
	f.names.db = now
	return nil
}

// NoteSizes takes over what the file's own writing changed. It returns ErrMoved
// if what was written is not where the names lead.
func (f *File) NoteSizes() error {
	db, ok := leadsTo(Path(f.dir), f.names.db)
	if !ok {
		return fmt.Errorf("%w: %s", ErrMoved, dbName)
	}
	log, ok := leadsTo(Path(f.dir)+"-wal", f.names.log)
	if !ok {
		return fmt.Errorf("%w: %s-wal", ErrMoved, dbName)
	}
	f.names.db, f.names.log = db, log
	return nil
}

// CheckRest looks at the files that no record depends on: without the index
// other processes misread the log, without the head a lost tail is not seen.
func (f *File) CheckRest() error {
	if _, ok := leadsTo(Path(f.dir)+"-shm", f.names.index); !ok {
		return fmt.Errorf("%w: %s-shm", ErrMoved, dbName)
	}
	if _, ok := leadsTo(filepath.Join(f.dir, headName), f.names.head); !ok {
		return fmt.Errorf("%w: %s", ErrMoved, headName)
	}
	return nil
}

// Rescue writes what is still open into a new queue file that takes the names,
// and closes the old one; the queue is then opened again. After an error the old
// one stays open, and Rescue can be tried again. Somebody else's files that have
// the names now are set aside; aside is their path, "" if there are none.
func (f *File) Rescue(ctx context.Context, now time.Time, step func(string) error) (aside string, err error) {
	r := Recovery{Dir: f.dir, Keys: f.keys, Now: now, Step: step}
	if err := securefile.OwnDir(f.dir); err != nil {
		return "", err
	}
	path, err := r.blank()
	if err != nil {
		return "", err
	}
	if _, err := f.Conn.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return "", err
	}
	aside = r.asideName(replacedPrefix)
	if err := noteRescue(ctx, path, aside, now); err != nil {
		return "", err
	}
	if err := r.makeReady(path); err != nil {
		return "", err
	}
	if err := r.Finish(); err != nil {
		return "", err
	}
	f.Close()
	left := ""
	for suffix, own := range map[string]fs.FileInfo{"": f.names.db, "-wal": f.names.log, "-shm": f.names.index} {
		now, err := os.Stat(aside + suffix)
		switch {
		case err != nil:
		case os.SameFile(now, own): // all of it is in the new file
			os.Remove(aside + suffix)
		default:
			left = aside
		}
	}
	return left, nil
}

// noteRescue completes and syncs a copy of the queue.
func noteRescue(ctx context.Context, path, aside string, now time.Time) error {
	db, err := openDB(path, false, "synchronous(full)", "journal_mode(delete)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := SetMeta(ctx, conn, metaAside, filepath.Base(aside)); err != nil {
		return err
	}
	if err := SetMeta(ctx, conn, MetaMoved, fmt.Sprint(now.UnixMilli())); err != nil {
		return err
	}
	if err := errors.Join(conn.Close(), db.Close()); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
