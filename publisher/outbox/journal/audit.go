package journal

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"
)

// Audit lines have a chain of their own, keyed by the queue's key: each holds the
// HMAC-SHA-256 of the one before it, its number and what it says, and the meta
// table holds the last one. So a line that was changed, put in or taken out is
// seen by whoever has the key file, and nobody without it can make one.
// Lines from before the chain have an empty hash; the anchor is after them.

// auditLine is one line of the audit table.
type auditLine struct {
	n             int64
	at            int64 // Unix milliseconds
	who, what, id string
	hash          []byte
}

func (l *auditLine) link(keys *Keyring, prev []byte) []byte {
	m := hmac.New(sha256.New, keys.Derive("audit", 32))
	m.Write(prev)
	var b []byte
	b = binary.BigEndian.AppendUint64(b, uint64(l.n))
	b = binary.BigEndian.AppendUint64(b, uint64(l.at))
	for _, s := range []string{l.who, l.what, l.id} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	m.Write(b)
	return m.Sum(nil)
}

// Audit adds an audit line; it belongs in a transaction of Conn.
func (f *File) Audit(ctx context.Context, at time.Time, who, what, id string) error {
	return addAudit(ctx, f.Conn, f.keys, auditLine{at: at.UnixMilli(), who: who, what: what, id: id})
}

func addAudit(ctx context.Context, conn *sql.Conn, keys *Keyring, l auditLine) error {
	last, prev, err := mark(ctx, conn, metaAuditTail)
	if err == nil && last == 0 {
		last, prev, err = mark(ctx, conn, metaAuditAnchor)
	}
	if err != nil {
		return err
	}
	l.n = last + 1
	l.hash = l.link(keys, prev)
	if _, err := conn.ExecContext(ctx, "INSERT INTO audit (n, at, who, what, id, hash) VALUES (?,?,?,?,?,?)", l.n, l.at, l.who, l.what, l.id, l.hash); err != nil {
		return err
	}
	return setMark(ctx, conn, metaAuditTail, l.n, l.hash)
}

// PruneAudit deletes the oldest audit lines from before a time, and anchors the
// chain after them. It returns how many.
func (f *File) PruneAudit(ctx context.Context, before time.Time) (int64, error) {
	var keep sql.NullInt64
	if err := f.Conn.QueryRowContext(ctx, "SELECT min(n) FROM audit WHERE at >= ?", before.UnixMilli()).Scan(&keep); err != nil {
		return 0, err
	}
	last := &auditLine{}
	query, args := "SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1", []any(nil)
	if keep.Valid {
		query, args = "SELECT n, hash FROM audit WHERE n < ? ORDER BY n DESC LIMIT 1", []any{keep.Int64}
	}
	err := f.Conn.QueryRowContext(ctx, query, args...).Scan(&last.n, &last.hash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if anchored, _, err := mark(ctx, f.Conn, metaAuditAnchor); err != nil {
		return 0, err
	} else if last.n > anchored {
		if err := setMark(ctx, f.Conn, metaAuditAnchor, last.n, last.hash); err != nil {
			return 0, err
		}
	}
	r, err := f.Conn.ExecContext(ctx, "DELETE FROM audit WHERE n <= ?", last.n)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// verifyAudit follows the chain of audit lines.
func verifyAudit(ctx context.Context, db Querier, keys *Keyring, r *Report) error {
	var chained int
	err := db.QueryRowContext(ctx, "SELECT count(*) FROM pragma_table_info('audit') WHERE name = 'hash'").Scan(&chained)
	if err != nil || chained == 0 {
		return err // of an older schema: the daemon upgrades it
	}
	last, prev, err := mark(ctx, db, metaAuditAnchor)
	if err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT n, at, who, what, id, hash FROM audit WHERE n > ? ORDER BY n", last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l auditLine
		if err := rows.Scan(&l.n, &l.at, &l.who, &l.what, &l.id, &l.hash); err != nil {
			return err
		}
		r.Audit++
		switch {
		case l.n != last+1:
			r.add(0, "", "audit lines %d to %d are missing", last+1, l.n-1)
		case !bytes.Equal(l.link(keys, prev), l.hash):
			r.add(0, "", "audit line %d was changed", l.n)
		}
		last, prev = l.n, l.hash
	}
	if err := rows.Err(); err != nil {
		return err
	}
	tail, hash, err := mark(ctx, db, metaAuditTail)
	if err == nil && (tail > last || tail == last && tail > 0 && !bytes.Equal(hash, prev)) {
		r.add(0, "", "the last audit lines are missing: there were %d, there are %d", tail, last)
	}
	return err
}
