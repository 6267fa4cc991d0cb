package journal

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Names in the meta table.
const (
	MetaForeign = "foreign" // "<epoch> <last sequence>" met on this desk's filter
	MetaSent    = "sent"    // when the last record was delivered
	MetaMoved   = "moved"   // when the queue was last rescued after its files had been removed

	metaSchema      = "schema"       // version again: a damaged header is not taken for a newer idtap
	metaKeys        = "keys"         // ids of keys that sealed anything, separated by spaces
	metaAnchor      = "anchor"       // "<row> <hash>" that the first row of the journal is chained to
	metaAuditAnchor = "audit_anchor" // "<n> <hash>" that the first audit line is chained to
	metaAuditTail   = "audit_tail"   // "<n> <hash>" of the last one

	metaAside = "aside" // in a queue being rebuilt: where the damaged file goes
)

// Meta reads a value of the meta table, "" where there is none.
func Meta(ctx context.Context, db Querier, name string) (string, error) {
	var s string
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", name).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, err
}

// SetMeta writes a value of the meta table.
func SetMeta(ctx context.Context, conn *sql.Conn, name, value string) error {
	_, err := conn.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", name, value)
	return err
}

// MetaInt reads a number of the meta table: 0 where there is none, or where it is
// damaged, which is of no consequence for the numbers kept there.
func MetaInt(ctx context.Context, db Querier, name string) (int64, error) {
	s, err := Meta(ctx, db, name)
	if err != nil || s == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, nil
	}
	return n, nil
}

// CurrentEpoch returns the epoch that new records get and their next number.
func CurrentEpoch(ctx context.Context, db Querier) (epoch string, next uint64, err error) {
	var first int64
	if err := db.QueryRowContext(ctx, "SELECT epoch, next_seq, first_row FROM epochs ORDER BY n DESC LIMIT 1").Scan(&epoch, &next, &first); err != nil {
		return "", 0, err
	}
	// Only an event in the place of a discarded one is out of order.
	var last sql.NullInt64
	err = db.QueryRowContext(ctx, "SELECT seq FROM journal WHERE row >= ? AND epoch = ? AND place <> ? ORDER BY row DESC LIMIT 1",
		first, epoch, PlaceTaken).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", 0, err
	}
	if last.Valid && uint64(last.Int64) >= next {
		next = uint64(last.Int64) + 1
	}
	return epoch, next, nil
}

// BeginEpoch begins an epoch at a row: a random id, so that a new queue is not
// taken for the one before it.
func BeginEpoch(ctx context.Context, conn *sql.Conn, next uint64, row int64, now time.Time) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "INSERT INTO epochs (epoch, next_seq, first_row, begun_at) VALUES (?, ?, ?, ?)",
		id.String(), int64(next), row, now.UnixMilli())
	return err
}

// Gap is what damage took: records of these sequence numbers, or, where they
// cannot be told, as many records of unknown ones (Epoch empty). If they had
// been delivered only the journal lost them.
type Gap struct {
	Epoch   string    `json:"epoch,omitempty"`
	First   uint64    `json:"first,omitempty"`
	Last    uint64    `json:"last,omitempty"`
	Records uint64    `json:"records"`
	FoundAt time.Time `json:"found_at"`
	File    string    `json:"file"` // name of the damaged queue that was set aside
}

// Gaps returns what damage took, oldest first.
func Gaps(ctx context.Context, db Querier) ([]Gap, error) {
	rows, err := db.QueryContext(ctx, "SELECT epoch, first, last, records, found_at, file FROM gaps ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Gap{}
	for rows.Next() {
		var g Gap
		var at int64
		if err := rows.Scan(&g.Epoch, &g.First, &g.Last, &g.Records, &at, &g.File); err != nil {
			return nil, err
		}
		g.FoundAt = FromMillis(at)
		list = append(list, g)
	}
	return list, rows.Err()
}

// anchor returns the row and the hash that the journal's first line is chained
// to: what was pruned, or nothing.
func anchor(ctx context.Context, db Querier) (row int64, hash []byte, err error) {
	return mark(ctx, db, metaAnchor)
}

// SetAnchor chains the journal's first line to a row that was pruned.
func SetAnchor(ctx context.Context, conn *sql.Conn, row int64, hash []byte) error {
	return setMark(ctx, conn, metaAnchor, row, hash)
}

// mark reads a row and a hash from the meta table; zero where there is none.
func mark(ctx context.Context, db Querier, name string) (row int64, hash []byte, err error) {
	s, err := Meta(ctx, db, name)
	if err != nil || s == "" {
		return 0, nil, err
	}
	number, text, _ := strings.Cut(s, " ")
	if row, err = strconv.ParseInt(number, 10, 64); err == nil {
		hash, err = hex.DecodeString(text)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s of a chain", ErrDamaged, name)
	}
	return row, hash, nil
}

func setMark(ctx context.Context, conn *sql.Conn, name string, row int64, hash []byte) error {
	return SetMeta(ctx, conn, name, fmt.Sprintf("%d %x", row, hash))
}

// FromMillis returns the time of Unix milliseconds, in UTC.
func FromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
