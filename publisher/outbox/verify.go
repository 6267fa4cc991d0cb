package outbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Problem is something wrong with the journal.
type Problem struct {
	Row  int64 // 0: the file as a whole
	ID   string
	What string
}

// VerifyReport says what Verify looked at and found.
type VerifyReport struct {
	Records  int // lines of the journal
	Opened   int // bodies whose seal is whole
	Unopened int // bodies not tried, as the key file could not be read
	Erased   int // lines without a body, held by the chain alone
	Problems []Problem
	Gaps     []Gap
}

// OK reports whether nothing is wrong now; gaps of the past are told apart.
func (r VerifyReport) OK() bool { return len(r.Problems) == 0 }

func (r *VerifyReport) add(row int64, id, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{row, id, fmt.Sprintf(format, args...)})
}

// Verify checks the whole queue: the file's structure, every link of the chain,
// every seal, and that the journal is as long as it was left.
func (v *View) Verify(ctx context.Context) (VerifyReport, error) {
	var r VerifyReport
	gaps, err := v.Gaps(ctx)
	if err != nil {
		return r, err
	}
	r.Gaps = gaps
	var head *os.File
	if head, err = os.Open(filepath.Join(v.dir, headName)); err == nil {
		defer head.Close()
	} else {
		head = nil
	}
	err = func() error {
		v.mu.RLock()
		defer v.mu.RUnlock()
		// The head first: what is committed from now on is no gap.
		var want tip
		var headed bool
		if head != nil && v.keys != nil {
			want, headed = readHead(head, v.keys)
		}
		tx, err := v.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := structure(ctx, tx, "integrity_check", &r); err != nil {
			return err
		}
		end, err := walk(ctx, tx, v.keys, 0, &r)
		if err != nil {
			return err
		}
		if headed && end.row < want.row {
			r.add(end.row, "", "the journal ends here, but had %d more records", want.row-end.row)
		}
		return nil
	}()
	if broken(err) {
		r.add(0, "", "%v", err)
		err = nil
	}
	return r, err
}

// structure runs one of SQLite's own checks.
func structure(ctx context.Context, db querier, pragma string, r *VerifyReport) error {
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

// walk goes along the chain from the row after from and gives its end.
func walk(ctx context.Context, db querier, keys *keyring, from int64, r *VerifyReport) (tip, error) {
	var end tip
	var err error
	if end.hash, err = before(ctx, db, from); err != nil {
		return end, err
	}
	end.row = from
	err = each(ctx, db, func(e *entry) error {
		r.Records++
		switch {
		case !bytes.Equal(e.link(end.hash), e.hash):
			r.add(e.row, e.id, "the chain breaks here: this line or the one before it was changed")
		case e.body == nil:
			r.Erased++
		case keys == nil:
			r.Unopened++
		default:
			if sum := sha256.Sum256(e.body); !bytes.Equal(sum[:], e.sum) {
				r.add(e.row, e.id, "the sealed body was changed")
			} else if _, err := e.open(keys); errors.Is(err, errNoKey) {
				return fmt.Errorf("%w: %w", ErrKey, err)
			} else if err != nil {
				r.add(e.row, e.id, "the seal is broken")
			} else {
				r.Opened++
			}
		}
		if gone := e.state == Erased || e.state == Discarded; gone && e.body != nil {
			r.add(e.row, e.id, "%s, but its body is still there", e.state)
		} else if !gone && e.body == nil {
			r.add(e.row, e.id, "%s, but its body is missing", e.state)
		}
		end.row, end.hash = e.row, e.hash
		return nil
	}, "WHERE row > ? ORDER BY row", from)
	return end, err
}

// before gives the hash that the row after from is chained to.
func before(ctx context.Context, db querier, from int64) ([]byte, error) {
	if from > 0 {
		var hash []byte
		err := db.QueryRowContext(ctx, "SELECT hash FROM journal WHERE row = ?", from).Scan(&hash)
		return hash, err
	}
	_, hash, err := anchor(ctx, db)
	return hash, err
}

// anchor gives the row and the hash that the journal's first line is chained to:
// what was pruned, or nothing.
func anchor(ctx context.Context, db querier) (row int64, hash []byte, err error) {
	s, err := meta(ctx, db, metaAnchor)
	if err != nil || s == "" {
		return 0, nil, err
	}
	if _, err := fmt.Sscanf(s, "%d %x", &row, &hash); err != nil {
		return 0, nil, fmt.Errorf("%w: chain anchor", ErrDamaged)
	}
	return row, hash, nil
}

func setAnchor(ctx context.Context, conn *sql.Conn, row int64, hash []byte) error {
	return setMeta(ctx, conn, metaAnchor, fmt.Sprintf("%d %x", row, hash))
}

// check is what every start does: the file's structure, then chain and seals
// from the first line whose body is still kept, which is all that can still be
// published. It fills in where the journal ends.
func check(ctx context.Context, conn querier, keys *keyring, head io.ReaderAt, end *tip) error {
	if err := checkSchema(ctx, conn); err != nil {
		return err
	}
	var r VerifyReport
	if err := structure(ctx, conn, "quick_check", &r); err != nil {
		return err
	}
	if !r.OK() {
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
	if !r.OK() {
		return fmt.Errorf("%w: row %d: %s", ErrDamaged, r.Problems[0].Row, r.Problems[0].What)
	}
	if was, ok := readHead(head, keys); ok && was.row > t.row {
		return fmt.Errorf("%w: the last %d records are missing", ErrDamaged, was.row-t.row)
	}
	*end = t
	return nil
}

// missingKey reports whether the queue was sealed with a key that the key file
// no longer has: then the file is wrong, not the queue.
func missingKey(ctx context.Context, conn querier, keys *keyring) (bool, error) {
	used, err := meta(ctx, conn, metaKeys)
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
