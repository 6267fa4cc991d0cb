package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Problem is something wrong with the journal.
type Problem struct {
	Row  int64  `json:"row,omitempty"` // 0: the file as a whole
	ID   string `json:"id,omitempty"`
	What string `json:"what"`
}

// Report says what Verify looked at and found.
type Report struct {
	OK       bool      `json:"ok"`       // nothing is wrong now; gaps of the past are told apart
	Records  int       `json:"records"`  // lines of the journal
	Opened   int       `json:"opened"`   // bodies whose seal is whole
	Unopened int       `json:"unopened"` // bodies not tried, as the key file could not be read
	Erased   int       `json:"erased"`   // lines without a body, held by the chain alone
	Audit    int       `json:"audit"`    // audit lines whose chain was followed
	Problems []Problem `json:"problems"`
	Gaps     []Gap     `json:"gaps"`
}

func newReport() Report { return Report{OK: true, Problems: []Problem{}, Gaps: []Gap{}} }

func (r *Report) add(row int64, id, format string, args ...any) {
	r.OK = false
	r.Problems = append(r.Problems, Problem{row, id, fmt.Sprintf(format, args...)})
}

// Verify checks the whole queue in dir, open for reading as db: the file's
// structure, every link of the chain, every seal unless keys is nil, and that the
// journal is as long as it was left.
func Verify(ctx context.Context, dir string, db *sql.DB, keys *Keyring) (Report, error) {
	r := newReport()
	err := func() (err error) {
		if r.Gaps, err = Gaps(ctx, db); err != nil {
			return err
		}
		// The head first: what is committed from now on is no gap.
		want, headed := loadHead(dir, keys)
		tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := structure(ctx, tx, "integrity_check", &r); err != nil {
			return err
		}
		end, err := walk(ctx, tx, keys, 0, &r)
		if err != nil {
			return err
		}
		if keys != nil {
			if err := verifyAudit(ctx, tx, keys, &r); err != nil {
				return err
			}
		}
		if headed && end.Row < want.Row {
			r.add(end.Row, "", "the journal ends here, but had %d more records", want.Row-end.Row)
		}
		return nil
	}()
	if IsBroken(err) {
		r.add(0, "", "%v", err)
		err = nil
	}
	return r, err
}

// QuickCheck runs the quick one of SQLite's own checks.
func QuickCheck(ctx context.Context, db Querier) (Report, error) {
	r := newReport()
	return r, structure(ctx, db, "quick_check", &r)
}

// structure runs one of SQLite's own checks.
func structure(ctx context.Context, db Querier, pragma string, r *Report) error {
	rows, err := db.QueryContext(ctx, "PRAGMA "+pragma+"(5)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		if s != "ok" {
			r.add(0, "", "%s", strings.TrimSpace(s))
		}
	}
	return rows.Err()
}

// walk follows the chain from the row after from and returns its end.
func walk(ctx context.Context, db Querier, keys *Keyring, from int64, r *Report) (Tail, error) {
	end := Tail{Row: from}
	var err error
	if end.Hash, err = before(ctx, db, from); err != nil {
		return end, err
	}
	err = Each(ctx, db, func(e *Entry) error {
		r.Records++
		switch {
		case !bytes.Equal(e.link(end.Hash), e.Hash):
			r.add(e.Row, e.ID, "the chain breaks here: this line or the one before it was changed")
		case e.Body == nil:
			r.Erased++
		case keys == nil:
			r.Unopened++
		default:
			if sum := sha256.Sum256(e.Body); !bytes.Equal(sum[:], e.Sum) {
				r.add(e.Row, e.ID, "the sealed body was changed")
			} else if _, err := e.Open(keys); errors.Is(err, errNoKey) {
				return fmt.Errorf("%w: %w", ErrKey, err)
			} else if err != nil {
				r.add(e.Row, e.ID, "the seal is broken")
			} else {
				r.Opened++
			}
		}
		if gone := e.State == Erased || e.State == Discarded; gone && e.Body != nil {
			r.add(e.Row, e.ID, "%s, but its body is still there", e.State)
		} else if !gone && e.Body == nil {
			r.add(e.Row, e.ID, "%s, but its body is missing", e.State)
		}
		end.Row, end.Hash = e.Row, e.Hash
		return nil
	}, "WHERE row > ? ORDER BY row", from)
	return end, err
}

// before returns the hash that the row after from is chained to.
func before(ctx context.Context, db Querier, from int64) ([]byte, error) {
	var hash []byte
	err := db.QueryRowContext(ctx, "SELECT hash FROM journal WHERE row <= ? ORDER BY row DESC LIMIT 1", from).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		_, hash, err = anchor(ctx, db)
	}
	return hash, err
}

// check is what every start does: the file's structure, then chain and seals
// from the first line whose body is still kept, which is all that can still be
// published. It fills in where the journal ends.
func check(ctx context.Context, conn Querier, keys *Keyring, head io.ReaderAt, end *Tail) error {
	if err := checkSchema(ctx, conn); err != nil {
		return err
	}
	r := newReport()
	if err := structure(ctx, conn, "quick_check", &r); err != nil {
		return err
	}
	if !r.OK {
		return fmt.Errorf("%w: %s", ErrDamaged, r.Problems[0].What)
	}
	var first sql.NullInt64
	var byTable, byIndex int
	if err := conn.QueryRowContext(ctx, `SELECT (SELECT min(row) FROM (SELECT min(row) AS row FROM bodies UNION ALL SELECT min(row) FROM journal WHERE state IN ('waiting', 'delivered', 'dead'))),
		(SELECT count(*) FROM journal NOT INDEXED WHERE state = 'waiting'),
		(SELECT count(*) FROM journal INDEXED BY journal_state WHERE state = 'waiting')`).Scan(&first, &byTable, &byIndex); err != nil {
		return err
	}
	if byTable != byIndex {
		return fmt.Errorf("%w: %d records wait, the index knows %d", ErrDamaged, byTable, byIndex)
	}
	from := int64(0)
	var last sql.NullInt64
	where, args := "", []any(nil)
	if first.Valid {
		where, args = "WHERE row < ?", []any{first.Int64}
	}
	if err := conn.QueryRowContext(ctx, "SELECT max(row) FROM journal "+where, args...).Scan(&last); err != nil {
		return err
	}
	from = last.Int64
	t, err := walk(ctx, conn, keys, from, &r)
	if errors.Is(err, ErrKey) {
		if known, kerr := missingKey(ctx, conn, keys); kerr != nil || known {
			return err
		}
		return fmt.Errorf("%w: a record names a key that never was", ErrDamaged)
	}
	if err != nil {
		return err
	}
	if !r.OK {
		return fmt.Errorf("%w: row %d: %s", ErrDamaged, r.Problems[0].Row, r.Problems[0].What)
	}
	if was, ok := readHead(head, keys); ok && was.Row > t.Row {
		return fmt.Errorf("%w: the last %d records are missing", ErrDamaged, was.Row-t.Row)
	}
	*end = t
	return nil
}

// missingKey reports whether the queue was sealed with a key that the key file
// no longer has: then the file is wrong, not the queue.
func missingKey(ctx context.Context, conn Querier, keys *Keyring) (bool, error) {
	used, err := Meta(ctx, conn, metaKeys)
	if err != nil {
		return false, err
	}
	for _, id := range strings.Fields(used) {
		if !keys.has(id) {
			return true, nil
		}
	}
	return false, nil
}
