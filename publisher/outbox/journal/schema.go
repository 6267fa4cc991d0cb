package journal

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
)

// upgrades take a queue file from one schema version to the next; the first
// makes it. A released step is never changed, only followed by another.
//
// Every table is STRICT, so that the quick check at the start finds a value whose
// type was damaged. Times are Unix milliseconds. Bodies have a table of their
// own: erasing one gives its pages back, which it would not inside a line that
// stays.
var upgrades = []string{`
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE journal (
	row         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	epoch       TEXT NOT NULL,
	seq         INTEGER NOT NULL,
	accepted_at INTEGER NOT NULL,
	type        TEXT NOT NULL,
	source      TEXT NOT NULL,
	subject     TEXT NOT NULL,
	filter      TEXT NOT NULL,
	refers      TEXT NOT NULL,
	kind        TEXT NOT NULL,
	status      TEXT NOT NULL,
	codes       TEXT NOT NULL,
	place       INTEGER NOT NULL,
	body_sum    BLOB NOT NULL,
	hash        BLOB NOT NULL,
	state       TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'erased', 'dead', 'discarded')),
	requeued    INTEGER NOT NULL DEFAULT 0,
	settled_at  INTEGER,
	stream      TEXT,
	stream_seq  INTEGER,
	duplicate   INTEGER,
	local       INTEGER,
	reason      TEXT
) STRICT;
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE INDEX journal_state ON journal (state);
CREATE INDEX journal_time ON journal (accepted_at);
CREATE INDEX journal_refers ON journal (refers) WHERE refers <> '';
CREATE TABLE epochs (
	n         INTEGER PRIMARY KEY,
	epoch     TEXT NOT NULL UNIQUE,
	next_seq  INTEGER NOT NULL,
	first_row INTEGER NOT NULL,
	begun_at  INTEGER NOT NULL
) STRICT;
CREATE TABLE gaps (
	epoch    TEXT NOT NULL,
	first    INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	records  INTEGER NOT NULL,
	found_at INTEGER NOT NULL,
	file     TEXT NOT NULL
) STRICT;
CREATE TABLE chains (filter TEXT PRIMARY KEY, stream_created INTEGER NOT NULL, last_sequence INTEGER NOT NULL) STRICT;
CREATE TABLE repeats (id TEXT PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE quarantine (
	id       TEXT PRIMARY KEY,
	at       INTEGER NOT NULL,
	reader   TEXT NOT NULL,
	kind     TEXT NOT NULL,
	codes    TEXT NOT NULL,
	verified INTEGER NOT NULL,
	body     BLOB NOT NULL
) STRICT;
CREATE TABLE tallies (at INTEGER NOT NULL, outcome TEXT NOT NULL, kind TEXT NOT NULL, codes TEXT NOT NULL) STRICT;
CREATE INDEX tallies_time ON tallies (at);
CREATE TABLE audit (at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, id TEXT NOT NULL) STRICT;
`, `
CREATE TABLE audits (
	n    INTEGER PRIMARY KEY,
	at   INTEGER NOT NULL,
	who  TEXT NOT NULL,
	what TEXT NOT NULL,
	id   TEXT NOT NULL,
	hash BLOB NOT NULL
) STRICT;
INSERT INTO audits SELECT rowid, at, who, what, id, x'' FROM audit ORDER BY rowid;
INSERT INTO meta SELECT 'audit_anchor', max(rowid) || ' ' FROM audit HAVING count(*) > 0;
DROP TABLE audit;
ALTER TABLE audits RENAME TO audit;
`}

const headerSize = 100 // of a SQLite database

// hasHeader reports whether a file is long enough to have one, damaged or not.
func hasHeader(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Size() >= headerSize
}

// checkHeader looks at those bytes of a queue file's head that never change. Some
// of them SQLite takes for another program's wish, such as not to write.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var h [headerSize]byte
	if _, err := io.ReadFull(f, h[:]); err != nil {
		return fmt.Errorf("%w: its head is missing", ErrDamaged)
	}
	sound := string(h[:16]) == "SQLite format 3\x00" && int(h[16])<<8|int(h[17]) == pageSize &&
		(h[18] == 1 || h[18] == 2) && h[19] == h[18] && h[20] == 0 && h[21] == 64 && h[22] == 32 && h[23] == 32
	// Both are still 0 while the first tables stand in the log only.
	format, encoding := binary.BigEndian.Uint32(h[44:]), binary.BigEndian.Uint32(h[56:])
	sound = sound && (format == 0 || format == 4) && (encoding == 0 || encoding == 1)
	if !sound {
		return fmt.Errorf("%w: its head was changed", ErrDamaged)
	}
	return nil
}

// schemaVersion reads the version from the header and from the meta table: 0
// for an empty file, ErrDamaged where they differ, ErrNewer where both agree on
// a version that steps does not reach.
func schemaVersion(ctx context.Context, conn *sql.Conn, known int) (int, error) {
	var header, objects int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&header); err != nil {
		return 0, err
	}
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil {
		return 0, err
	}
	if header == 0 && objects == 0 {
		return 0, nil
	}
	var text string
	if err := conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name=?", metaSchema).Scan(&text); err != nil {
		return 0, fmt.Errorf("%w: schema version: %w", ErrDamaged, err)
	}
	if text != strconv.Itoa(header) || header < 1 {
		return 0, fmt.Errorf("%w: schema version %d or %q", ErrDamaged, header, text)
	}
	if header > known {
		return 0, fmt.Errorf("%w: its schema is %d, this idtap knows %d: install the newer idtap again, or give this one an outbox.dir of its own", ErrNewer, header, known)
	}
	return header, nil
}

// definitions is the text of every table and index in a file.
func definitions(ctx context.Context, conn Querier) (string, error) {
	var all sql.NullString
	err := conn.QueryRowContext(ctx, "SELECT group_concat(type || name || tbl_name || sql, ';') FROM (SELECT * FROM sqlite_schema ORDER BY name)").Scan(&all)
	return all.String, err
}

// ownDefinitions are those that the upgrades make.
var ownDefinitions = sync.OnceValues(func() (string, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return "", err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := upgrade(ctx, conn, upgrades); err != nil {
		return "", err
	}
	return definitions(ctx, conn)
})

// checkSchema compares the tables in a file with our own: a damaged definition
// is still a definition to SQLite.
func checkSchema(ctx context.Context, conn Querier) error {
	want, err := ownDefinitions()
	if err != nil {
		return err
	}
	got, err := definitions(ctx, conn)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%w: its tables are not the queue's", ErrDamaged)
	}
	return nil
}

// upgrade brings a queue file to the last version of steps, each step in a
// transaction of its own.
func upgrade(ctx context.Context, conn *sql.Conn, steps []string) error {
	version, err := schemaVersion(ctx, conn, len(steps))
	if err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		set := fmt.Sprintf("INSERT INTO meta VALUES ('%s', '%d') ON CONFLICT DO UPDATE SET value=excluded.value; PRAGMA user_version=%d;",
			metaSchema, version+1, version+1)
		if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE;"+steps[version]+set+"COMMIT;"); err != nil {
			conn.ExecContext(ctx, "ROLLBACK")
			return fmt.Errorf("queue upgrade to schema %d: %w", version+1, err)
		}
	}
	return nil
}
