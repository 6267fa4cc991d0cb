package outbox

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"modernc.org/sqlite"
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
`}

// Names in the meta table.
const (
	metaSchema  = "schema"  // version again: a damaged header is not taken for a newer idtap
	metaKeys    = "keys"    // ids of keys that sealed anything, space-separated
	metaAnchor  = "anchor"  // "<row> <hash>" that the first row of the journal is chained to
	metaForeign = "foreign" // "<epoch> <last sequence>" met on this desk's filter
	metaAside   = "aside"   // in a queue being rebuilt: where the damaged file goes
	metaSent    = "sent"    // when the last record was delivered
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

// checkHeader looks at those bytes of a queue file's head that never change. Some
// of them SQLite takes for another program's wish, such as not to write.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var h [100]byte
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
func definitions(ctx context.Context, conn querier) (string, error) {
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
func checkSchema(ctx context.Context, conn querier) error {
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

// refused reports whether a row does not fit the table it should enter.
func refused(err error) bool {
	c := sqliteCode(err)
	return c == codeConstraint || c == codeMismatch
}

// broken reports whether SQLite says that the file is not whole.
func broken(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code()&0xff == codeCorrupt || e.Code()&0xff == codeNotADB || e.Code() == codeShortRead
}

// senseless reports whether an error of the check at the start can only come of
// what stands in the file: our own statements are sound, so a column that is not
// there, or holds something else, is damage.
func senseless(err error) bool {
	var path *fs.PathError
	switch sqliteCode(err) {
	case codeError, codeConstraint, codeMismatch:
		return true
	case -1:
		return !errors.Is(err, ErrNewer) && !errors.Is(err, ErrKey) && !errors.Is(err, context.Canceled) &&
			!errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &path)
	}
	return broken(err)
}

// damaged reports whether err says so, or a check of our own.
func damaged(err error) bool { return broken(err) || errors.Is(err, ErrDamaged) }
