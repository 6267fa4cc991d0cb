package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

var testStart = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// openTest opens the queue file in dir, sealed with testKeys.
func openTest(t testing.TB, dir string) *File {
	t.Helper()
	f, err := Open(context.Background(), dir, testKeys(t), testStart)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// appendTest appends a record with the given body.
func appendTest(t testing.TB, f *File, id string, body []byte) *Entry {
	t.Helper()
	e := &Entry{ID: id, Epoch: f.Tail.Epoch, Seq: f.Tail.Next, AcceptedAt: testStart.UnixMilli(), Type: "t", Source: "s", Subject: "u.v.w",
		Filter: "u.>", Kind: "resident", Status: "clean", Codes: "age_high", State: Waiting}
	tail := f.Tail
	if err := f.Append(context.Background(), &tail, e, body); err != nil {
		t.Fatal(err)
	}
	f.Committed(tail)
	return e
}

func TestSettingsAreReadBack(t *testing.T) {
	f := openTest(t, t.TempDir())
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "secure_delete": "1", "auto_vacuum": "2", "page_size": fmt.Sprint(pageSize)} {
		var got string
		if err := f.Conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
	// Where the file system refuses the log, the queue says so and does not open.
	db, err := openDB(filepath.Join(t.TempDir(), "x.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "PRAGMA locking_mode=exclusive; CREATE TABLE t (x); BEGIN; INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := durable(t.Context(), conn); err == nil {
		t.Error("settings that did not take were not noticed")
	}
}

func TestUpgradeSteps(t *testing.T) {
	db, err := openDB(filepath.Join(t.TempDir(), "x.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	steps := []string{"CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL); CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y;", "INSERT INTO a VALUES (1, 2);", "BROKEN;"}
	for _, known := range []int{1, 1, 3} {
		if err := upgrade(t.Context(), conn, steps[:known]); err != nil {
			t.Fatal(err)
		}
		if v, err := schemaVersion(t.Context(), conn, known); err != nil || v != known {
			t.Fatalf("version %d, want %d: %v", v, known, err)
		}
	}
	if err := upgrade(t.Context(), conn, steps); err == nil {
		t.Fatal("a broken step went through")
	}
	if v, err := schemaVersion(t.Context(), conn, 3); err != nil || v != 3 {
		t.Fatalf("a broken step left version %d: %v", v, err)
	}
	if err := upgrade(t.Context(), conn, steps[:2]); !errors.Is(err, ErrNewer) {
		t.Fatalf("downgrade: %v", err)
	}
}

func TestHeadIsNeverBelieved(t *testing.T) {
	keys := testKeys(t)
	good := headBytes(keys, Tail{Row: 7, Next: 8, Hash: make([]byte, 32), Epoch: "00000000-0000-4000-8000-000000000000"})
	if got, ok := readHead(bytes.NewReader(good), keys); !ok || got.Row != 7 || got.Next != 8 {
		t.Fatalf("readHead(good) = %+v, %v, want row 7, next 8", got, ok)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, ok := readHead(bytes.NewReader(bad), keys); ok {
			t.Fatalf("byte %d flipped and believed", i)
		}
	}
	for _, short := range []int{0, 1, headSize - 1} {
		if _, ok := readHead(bytes.NewReader(good[:short]), keys); ok {
			t.Fatalf("%d bytes believed", short)
		}
	}
}
