package journal

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
)

// Entry is one line of the journal.
type Entry struct {
	Row        int64
	ID         string
	Epoch      string
	Seq        uint64
	AcceptedAt int64 // Unix milliseconds
	Type       string
	Source     string
	Subject    string
	Filter     string
	Refers     string
	Kind       string
	Status     string
	Codes      string // separated by commas
	Place      Place
	Body       []byte // sealed; nil once erased
	Sum        []byte // SHA-256 of the sealed body
	Hash       []byte // chain

	State     State
	Requeued  int
	SettledAt sql.NullInt64 // Unix milliseconds
	Stream    sql.NullString
	StreamSeq sql.NullInt64
	Duplicate sql.NullBool
	Local     sql.NullBool
	Reason    sql.NullString
}

// Place is how a record got its sequence number.
type Place int64

// Places of a record.
const (
	PlaceOwn     Place = 0 // an event of its own
	PlaceFurther Place = 1 // a further subject of the event before it
	PlaceTaken   Place = 2 // the number of a discarded record, so that the sequence has no gap
)

const columns = `row, id, epoch, seq, accepted_at, type, source, subject, filter, refers, kind, status, codes, place,
	body_sum, hash, state, requeued, settled_at, stream, stream_seq, duplicate, local, reason`

const (
	insertEntry = `INSERT INTO journal (` + columns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	insertBody  = `INSERT INTO bodies (row, body) VALUES (?,?)`

	selectEntry = `SELECT ` + columns + `, body FROM journal LEFT JOIN bodies USING (row) `
)

func (e *Entry) values() []any {
	return []any{e.Row, e.ID, e.Epoch, int64(e.Seq), e.AcceptedAt, e.Type, e.Source, e.Subject, e.Filter, e.Refers, e.Kind, e.Status,
		e.Codes, int64(e.Place), e.Sum, e.Hash, string(e.State), e.Requeued, e.SettledAt, e.Stream, e.StreamSeq, e.Duplicate, e.Local, e.Reason}
}

func (e *Entry) scan(s interface{ Scan(...any) error }) error {
	*e = Entry{}
	var seq int64
	err := s.Scan(&e.Row, &e.ID, &e.Epoch, &seq, &e.AcceptedAt, &e.Type, &e.Source, &e.Subject, &e.Filter, &e.Refers, &e.Kind, &e.Status,
		&e.Codes, (*int64)(&e.Place), &e.Sum, &e.Hash, (*string)(&e.State), &e.Requeued, &e.SettledAt, &e.Stream, &e.StreamSeq, &e.Duplicate, &e.Local, &e.Reason, &e.Body)
	e.Seq = uint64(seq)
	return err
}

// clear is everything in the clear about a record that never changes, as one
// unambiguous run of bytes. The sealed body is tied to it and the chain runs over
// it; what becomes of the record later is in neither.
func (e *Entry) clear() []byte {
	b := make([]byte, 0, 512)
	b = append(b, "idtap journal v1\x00"...)
	for _, s := range []string{e.ID, e.Epoch, e.Type, e.Source, e.Subject, e.Filter, e.Refers, e.Kind, e.Status, e.Codes} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.AcceptedAt))
	return binary.BigEndian.AppendUint64(b, uint64(e.Place))
}

// link returns the entry's chain hash after an entry with hash prev.
func (e *Entry) link(prev []byte) []byte {
	h := sha256.New()
	h.Write(prev)
	h.Write(e.Sum)
	var row [8]byte
	binary.BigEndian.PutUint64(row[:], uint64(e.Row))
	h.Write(row[:])
	h.Write(e.clear())
	return h.Sum(nil)
}

// seal seals a body into the entry and links it after the entry with hash prev.
func (e *Entry) seal(keys *Keyring, body, prev []byte) {
	e.Body = keys.Seal(body, e.clear())
	sum := sha256.Sum256(e.Body)
	e.Sum = sum[:]
	e.Hash = e.link(prev)
}

// Open returns the JSON data, nil once it is erased. The error is ErrDamaged
// where the seal is broken or a clear column was changed.
func (e *Entry) Open(keys *Keyring) ([]byte, error) {
	if e.Body == nil {
		return nil, nil
	}
	plain, err := keys.Open(e.Body, e.clear())
	if err != nil {
		return nil, fmt.Errorf("record %s (row %d): %w", e.ID, e.Row, err)
	}
	return plain, nil
}

// Querier is what a connection, a pool and a transaction share.
type Querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// One returns the entry of a query, sql.ErrNoRows if there is none.
func One(ctx context.Context, db Querier, where string, args ...any) (*Entry, error) {
	e := new(Entry)
	return e, e.scan(db.QueryRowContext(ctx, selectEntry+where, args...))
}

// Each calls fn for every entry of a query, in its order, until fn fails.
func Each(ctx context.Context, db Querier, fn func(e *Entry) error, where string, args ...any) error {
	rows, err := db.QueryContext(ctx, selectEntry+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e := new(Entry)
		if err := e.scan(rows); err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return rows.Err()
}
