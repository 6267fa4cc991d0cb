package outbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// entry is one line of the journal as it stands in the file.
type entry struct {
	row        int64
	id         string
	epoch      string
	seq        uint64
	acceptedAt int64
	typ        string
	source     string
	subject    string
	filter     string
	refers     string
	kind       string
	status     string
	codes      string
	place      int64  // placeOwn, placeFurther or placeTaken
	body       []byte // sealed; nil once erased
	sum        []byte // SHA-256 of the sealed body
	hash       []byte // chain

	state     State
	requeued  int
	settledAt sql.NullInt64
	stream    sql.NullString
	streamSeq sql.NullInt64
	duplicate sql.NullBool
	local     sql.NullBool
	reason    sql.NullString
}

// How a record came by its sequence number.
const (
	placeOwn     = 0 // an event of its own
	placeFurther = 1 // a further subject of the event before it
	placeTaken   = 2 // the number of a discarded record, so that the sequence has no gap
)

const entryColumns = `row, id, epoch, seq, accepted_at, type, source, subject, filter, refers, kind, status, codes, place,
	body_sum, hash, state, requeued, settled_at, stream, stream_seq, duplicate, local, reason`

const (
	entryInsert = `INSERT INTO journal (` + entryColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	bodyInsert  = `INSERT INTO bodies (row, body) VALUES (?,?)`

	deliveredUpdate = `UPDATE journal SET state = 'delivered', settled_at = ?, stream = ?, stream_seq = ?, duplicate = ?, local = ?, reason = NULL
		WHERE row = ? AND state IN ('waiting', 'dead')`

	entrySelect = `SELECT ` + entryColumns + `, body FROM journal LEFT JOIN bodies USING (row) `
)

func (e *entry) values() []any {
	return []any{e.row, e.id, e.epoch, int64(e.seq), e.acceptedAt, e.typ, e.source, e.subject, e.filter, e.refers, e.kind, e.status,
		e.codes, e.place, e.sum, e.hash, string(e.state), e.requeued, e.settledAt, e.stream, e.streamSeq, e.duplicate, e.local, e.reason}
}

func (e *entry) scan(s interface{ Scan(...any) error }) error {
	*e = entry{}
	var seq int64
	err := s.Scan(&e.row, &e.id, &e.epoch, &seq, &e.acceptedAt, &e.typ, &e.source, &e.subject, &e.filter, &e.refers, &e.kind, &e.status,
		&e.codes, &e.place, &e.sum, &e.hash, (*string)(&e.state), &e.requeued, &e.settledAt, &e.stream, &e.streamSeq, &e.duplicate, &e.local, &e.reason, &e.body)
	e.seq = uint64(seq)
	return err
}

// clear is everything about a record that stands in the clear and never
// changes, in one unambiguous run of bytes. The sealed body is tied to it and
// the chain runs over it; what becomes of the record later is in neither.
func (e *entry) clear() []byte {
	b := make([]byte, 0, 512)
	b = append(b, "idtap journal v1\x00"...)
	for _, s := range []string{e.id, e.epoch, e.typ, e.source, e.subject, e.filter, e.refers, e.kind, e.status, e.codes} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, e.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.acceptedAt))
	return binary.BigEndian.AppendUint64(b, uint64(e.place))
}

// link is the entry's chain hash behind the entry with hash prev.
func (e *entry) link(prev []byte) []byte {
	h := sha256.New()
	h.Write(prev)
	h.Write(e.sum)
	var row [8]byte
	binary.BigEndian.PutUint64(row[:], uint64(e.row))
	h.Write(row[:])
	h.Write(e.clear())
	return h.Sum(nil)
}

// open gives the JSON data, nil once it is erased.
func (e *entry) open(keys *keyring) ([]byte, error) {
	if e.body == nil {
		return nil, nil
	}
	plain, err := keys.open(e.body, e.clear())
	if err != nil {
		return nil, fmt.Errorf("record %s (row %d): %w", e.id, e.row, err)
	}
	return plain, nil
}

func (e *entry) stamp() Stamp {
	return Stamp{ID: e.id, Epoch: e.epoch, Seq: e.seq, AcceptedAt: fromMillis(e.acceptedAt)}
}

func (e *entry) record(body []byte) Record {
	return Record{Row: e.row, Stamp: e.stamp(), Type: e.typ, Source: e.source, Subject: e.subject, Filter: e.filter, Refers: e.refers,
		Kind: e.kind, Status: e.status, Codes: splitCodes(e.codes), Body: body, Requeued: e.requeued}
}

func (e *entry) listed() Listed {
	l := Listed{Row: e.row, Stamp: e.stamp(), Type: e.typ, Subject: e.subject, Filter: e.filter, Refers: e.refers, Kind: e.kind, Status: e.status,
		Codes: splitCodes(e.codes), State: e.state, Requeued: e.requeued, Reason: e.reason.String,
		Ack: Ack{Stream: e.stream.String, Sequence: uint64(e.streamSeq.Int64), Duplicate: e.duplicate.Bool, Local: e.local.Bool}}
	if e.settledAt.Valid && e.stream.Valid {
		l.Ack.Row, l.Ack.At = e.row, fromMillis(e.settledAt.Int64)
	}
	return l
}

// each calls fn for every entry of a query, in its order; fn must not keep e.
func each(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, fn func(e *entry) error, where string, args ...any) error {
	rows, err := db.QueryContext(ctx, entrySelect+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e := new(entry)
		if err := e.scan(rows); err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

func joinCodes(codes []string) string { return strings.Join(codes, ",") }

func splitCodes(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
