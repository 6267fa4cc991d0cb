package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// openDB opens one of the queue's files. SQLite's own defaults would lose the
// last records in a power cut (synchronous=NORMAL suffices only without WAL) and
// leave erased bodies in free pages.
func openDB(path string, readOnly bool, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_pragma": append([]string{"busy_timeout(1000)", "trusted_schema(off)", "cell_size_check(on)"}, pragmas...)}
	if readOnly {
		q.Set("mode", "ro")
		q.Add("_pragma", "query_only(on)")
	}
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/...
	}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Path: p, RawQuery: q.Encode()}).String())
}

// durable sets what the promise "accepted" rests on and reads it back.
func durable(ctx context.Context, conn *sql.Conn) error {
	// Takes only in a file that is still empty: freed pages can be given back.
	if _, err := conn.ExecContext(ctx, "PRAGMA auto_vacuum=incremental"); err != nil {
		return err
	}
	for _, p := range []struct{ name, set, want string }{
		{"journal_mode", "wal", "wal"},
		{"synchronous", "full", "2"},
		{"secure_delete", "on", "1"},
	} {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+p.name+"="+p.set); err != nil {
			return err
		}
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil {
			return err
		}
		if got != p.want {
			return fmt.Errorf("this file system does not let the queue set %s=%s (it stays %s)", p.name, p.set, got)
		}
	}
	return nil
}

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	codeError      = 1 // among others: a table or column that is not there
	codeIOErr      = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeConstraint = 19
	codeMismatch   = 20
	codeNotADB     = 26

	codeShortRead = codeIOErr | 2<<8 // the file ends too early
)

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return -1
}

// isConstraint reports whether a row does not fit the table it should enter.
func isConstraint(err error) bool {
	c := sqliteCode(err)
	return c == codeConstraint || c == codeMismatch
}

// IsFull reports whether SQLite says that the disk is full.
func IsFull(err error) bool { return sqliteCode(err) == codeFull }

// IsIOError reports whether SQLite says that the disk failed.
func IsIOError(err error) bool { return sqliteCode(err) == codeIOErr }

// IsBroken reports whether SQLite says that the file is not whole.
func IsBroken(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code()&0xff == codeCorrupt || e.Code()&0xff == codeNotADB || e.Code() == codeShortRead
}

// IsDamaged reports whether SQLite or a check of our own says that the file is
// not whole.
func IsDamaged(err error) bool { return IsBroken(err) || errors.Is(err, ErrDamaged) }

// isCorruption reports whether an error of the check at the start can only come
// of what is in the file: our own statements are sound, so a column that is not
// there, or holds something else, is damage.
func isCorruption(err error) bool {
	var path *fs.PathError
	switch sqliteCode(err) {
	case codeError, codeConstraint, codeMismatch:
		return true
	case -1:
		return !errors.Is(err, ErrNewer) && !errors.Is(err, ErrKey) && !errors.Is(err, context.Canceled) &&
			!errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &path)
	}
	return IsBroken(err)
}
