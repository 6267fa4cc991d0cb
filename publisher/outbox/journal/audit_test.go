package journal

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"
)

// verifyTest verifies the queue in dir.
func verifyTest(t *testing.T, dir string) Report {
	t.Helper()
	db, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := Verify(context.Background(), dir, db, testKeys(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuditChain(t *testing.T) {
	for name, c := range map[string]struct {
		spoil string
		ok    bool
	}{
		"untouched":           {"SELECT 1", true},
		"who changed":         {"UPDATE audit SET who = 'x' WHERE n = 3", false},
		"what changed":        {"UPDATE audit SET what = 'x' WHERE n = 3", false},
		"id changed":          {"UPDATE audit SET id = 'x' WHERE n = 3", false},
		"time changed":        {"UPDATE audit SET at = at + 1 WHERE n = 3", false},
		"one taken out":       {"DELETE FROM audit WHERE n = 3", false},
		"the first taken out": {"DELETE FROM audit WHERE n = 1", false},
		"the last taken out":  {"DELETE FROM audit WHERE n = 5", false},
		"all taken out":       {"DELETE FROM audit", false},
		"one put in":          {"INSERT INTO audit SELECT 6, at, who, what, id, hash FROM audit WHERE n = 5", false},
		"two exchanged":       {"UPDATE audit SET n = 9 WHERE n = 2; UPDATE audit SET n = 2 WHERE n = 3; UPDATE audit SET n = 3 WHERE n = 9", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := openTest(t, dir)
			for n := range 5 {
				if err := f.Audit(t.Context(), testStart.Add(time.Duration(n)*time.Hour), "clerk", "reveal", fmt.Sprint(n)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := f.Conn.ExecContext(t.Context(), c.spoil); err != nil {
				t.Fatal(err)
			}
			if r := verifyTest(t, dir); r.OK != c.ok {
				t.Errorf("Verify() = %+v, want ok %v", r, c.ok)
			}
		})
	}
}

func TestAuditPruned(t *testing.T) {
	dir := t.TempDir()
	f := openTest(t, dir)
	for n := range 6 {
		if err := f.Audit(t.Context(), testStart.Add(time.Duration(n)*time.Hour), "clerk", "reveal", fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		before  time.Duration
		deleted int64
		left    int
	}{{0, 0, 6}, {2 * time.Hour, 2, 4}, {2 * time.Hour, 0, 4}, {99 * time.Hour, 4, 0}, {99 * time.Hour, 0, 0}} {
		n, err := f.PruneAudit(t.Context(), testStart.Add(c.before))
		if r := verifyTest(t, dir); err != nil || n != c.deleted || !r.OK || r.Audit != c.left {
			t.Fatalf("PruneAudit(%v) = %d, %v, want %d; Verify() = %+v, want %d lines", c.before, n, err, c.deleted, r, c.left)
		}
	}
	if err := f.Audit(t.Context(), testStart, "clerk", "reveal", "again"); err != nil {
		t.Fatal(err)
	}
	if r := verifyTest(t, dir); !r.OK || r.Audit != 1 {
		t.Fatalf("Verify() after all were pruned = %+v, want one line", r)
	}
}

// A queue of the first schema keeps its audit lines, and the chain begins after them.
func TestAuditOfTheFirstSchema(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", Path(dir))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "PRAGMA auto_vacuum=incremental"); err != nil {
		t.Fatal(err)
	}
	if err := upgrade(t.Context(), conn, upgrades[:1]); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO audit VALUES (1, 'a', 'b', 'c'), (2, 'd', 'e', 'f')"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	db.Close()
	if r := verifyTest(t, dir); !r.OK {
		t.Fatalf("Verify() before the upgrade = %+v", r)
	}
	f := openTest(t, dir)
	if err := f.Audit(t.Context(), testStart, "clerk", "reveal", "x"); err != nil {
		t.Fatal(err)
	}
	var lines, last int
	if err := f.Conn.QueryRowContext(t.Context(), "SELECT count(*), max(n) FROM audit").Scan(&lines, &last); err != nil || lines != 3 || last != 3 {
		t.Fatalf("%d audit lines up to %d, %v, want 3", lines, last, err)
	}
	if r := verifyTest(t, dir); !r.OK || r.Audit != 1 {
		t.Fatalf("Verify() after the upgrade = %+v, want one line in the chain", r)
	}
}
