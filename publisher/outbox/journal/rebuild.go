package journal

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"idtap/internal/securefile"
)

// Recovery sets a damaged queue aside, under a dated name, and puts a new file
// with everything readable in its place.
//
// A record is carried over if its seal is whole, an erased line if the chain
// holds it. They keep id, epoch, sequence number and state. New records get a
// new epoch: how far the old one had gone cannot be proven, and a number must
// never be given twice. Numbers that are missing are named as gaps.
type Recovery struct {
	Dir  string
	Keys *Keyring
	Now  time.Time
	Step func(string) error // between the steps, for tests
}

// Run recovers the queue, which nothing may have open. It returns the path of
// the damaged file and how many records were carried over; the path is empty if
// an exchange of files that had been interrupted was completed.
func (r Recovery) Run(ctx context.Context) (aside string, carried int, err error) {
	head, headed := loadHead(r.Dir, r.Keys)
	if !exists(filepath.Join(r.Dir, readyName)) {
		aside = r.asideName(asidePrefix)
		if carried, err = r.rebuild(ctx, aside, head, headed); err != nil {
			return "", 0, err
		}
	}
	return aside, carried, r.Finish()
}

// asideName returns where a damaged queue goes: dated, never a name already taken.
func (r Recovery) asideName(prefix string) string {
	base := filepath.Join(r.Dir, prefix+r.Now.UTC().Format("20060102T150405Z"))
	name := base + ".db"
	for i := 2; ; i++ {
		if taken, err := filepath.Glob(name + "*"); err == nil && len(taken) == 0 {
			return name
		}
		name = fmt.Sprintf("%s-%d.db", base, i)
	}
}

// rebuild fills a new file from the damaged one and syncs it under readyName.
// Until then the damaged file is untouched; from then on Finish can complete the
// exchange after any interruption.
func (r Recovery) rebuild(ctx context.Context, aside string, head Tail, headed bool) (int, error) {
	path, err := r.blank()
	if err != nil {
		return 0, err
	}
	db, err := openDB(path, false, "synchronous(full)", "journal_mode(delete)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := upgrade(ctx, conn, upgrades); err != nil {
		return 0, err
	}
	found := salvage(ctx, Path(r.Dir), r.Keys, head.Row)
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return 0, err
	}
	if err := found.store(ctx, conn, r.Now, aside, head, headed); err != nil {
		return 0, err
	}
	if err := found.storeAudit(ctx, conn, r.Keys, r.Now, aside); err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return 0, err
	}
	if err := errors.Join(conn.Close(), db.Close()); err != nil {
		return 0, err
	}
	return len(found.entries), r.makeReady(path)
}

// blank makes an empty file to be filled.
func (r Recovery) blank() (path string, err error) {
	path = filepath.Join(r.Dir, rebuildName)
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return path, createFile(path)
}

// makeReady has Finish use a file that was filled and synced.
func (r Recovery) makeReady(path string) error {
	if err := r.Step("rebuild.written"); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(r.Dir, readyName)); err != nil {
		return err
	}
	return securefile.SyncDir(r.Dir)
}

// Finish exchanges the files if a rebuilt queue is ready; it may be repeated. The
// old write-ahead log goes first: beside the new file SQLite would replay it into
// that one.
func (r Recovery) Finish() error {
	ready := filepath.Join(r.Dir, readyName)
	if !exists(ready) {
		return nil
	}
	db, err := openDB(ready, true)
	if err != nil {
		return err
	}
	aside, err := Meta(context.Background(), db, metaAside)
	db.Close()
	if err != nil {
		return err
	}
	aside = filepath.Join(r.Dir, filepath.Base(aside))
	old := Path(r.Dir)
	for _, suffix := range []string{"-wal", "-shm", ""} {
		err := os.Rename(old+suffix, aside+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := r.Step("rebuild.aside"); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(r.Dir, headName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := securefile.SyncDir(r.Dir); err != nil {
		return err
	}
	if err := os.Rename(ready, old); err != nil {
		return err
	}
	return securefile.SyncDir(r.Dir)
}

// salvaged is what could be read of a damaged queue.
type salvaged struct {
	entries []*Entry // in order of rows
	tables  map[string][][]any
	audit   []auditLine
	pruned  int64 // last row that was taken out for its age
	gaps    []Gap // named before
}

// carried are the tables that are copied as they are, with their columns.
var carried = []struct{ name, columns string }{
	{"epochs", "n, epoch, next_seq, first_row, begun_at"},
	{"gaps", "epoch, first, last, records, found_at, file"},
	{"chains", "filter, stream_created, last_sequence"},
	{"repeats", "id, epoch, seq, at, sealed"},
	{"quarantine", "id, at, reader, kind, codes, verified, body"},
	{"tallies", "at, outcome, kind, codes"},
}

// salvage reads whatever it can and never fails.
func salvage(ctx context.Context, path string, keys *Keyring, lastRow int64) salvaged {
	s := salvaged{tables: map[string][][]any{}}
	good := map[int64]*Entry{}
	keep := func(e *Entry) {
		if old, ok := good[e.Row]; ok && !e.supersedes(old) {
			return
		}
		good[e.Row] = e
	}
	s.query(ctx, path, keys, lastRow, keep)
	lines, bodies := scanPages(path)
	for _, e := range lines {
		for _, b := range bodies[e.Row] {
			if e.Body = b; e.genuine(keys) {
				keep(e)
				break
			}
		}
	}
	for _, e := range good {
		s.entries = append(s.entries, e)
	}
	slices.SortFunc(s.entries, func(a, b *Entry) int { return cmp.Compare(a.Row, b.Row) })
	return s
}

// query takes what SQLite still reads.
func (s *salvaged) query(ctx context.Context, path string, keys *Keyring, lastRow int64, keep func(*Entry)) {
	if !hasHeader(path) {
		image := filepath.Join(filepath.Dir(path), imageName)
		defer os.Remove(image)
		if makeImage(path, image) != nil {
			return
		}
		path = image
	}
	db, err := openDB(path, true)
	if err != nil {
		return
	}
	defer db.Close()
	s.copyTables(ctx, db)
	s.copyAudit(ctx, db)
	var lines []*Entry
	scanEntries(ctx, db, lastRow, func(e *Entry) { lines = append(lines, e) })
	pruned, prev, _ := anchor(ctx, db)
	s.pruned = pruned
	s.gaps, _ = Gaps(ctx, db)
	for _, e := range lines {
		// The chain is joined over an earlier gap, too.
		if e.genuine(keys) || e.Body == nil && bytes.Equal(e.link(prev), e.Hash) {
			keep(e)
		}
		prev = e.Hash
	}
}

// scanEntries calls fn for each line of the journal that can be read, in order.
// Where a page is broken it goes on line by line.
func scanEntries(ctx context.Context, db *sql.DB, lastRow int64, fn func(*Entry)) {
	last := int64(0)
	take := func(e *Entry) error {
		last = e.Row
		fn(e)
		return nil
	}
	if Each(ctx, db, take, "ORDER BY row") == nil {
		return
	}
	var top sql.NullInt64
	db.QueryRowContext(ctx, "SELECT max(row) FROM journal").Scan(&top)
	for row := last + 1; row <= max(top.Int64, lastRow) && ctx.Err() == nil; row++ {
		Each(ctx, db, take, "WHERE row = ?", row)
	}
}

// genuine reports whether a line's sealed body opens: then all of its clear
// columns are what was accepted, as the seal is tied to them.
func (e *Entry) genuine(keys *Keyring) bool {
	if e.Body == nil {
		return false
	}
	_, err := e.Open(keys)
	return err == nil
}

// supersedes reports whether e tells more of the same record's fate than old.
func (e *Entry) supersedes(old *Entry) bool {
	if e.Requeued != old.Requeued {
		return e.Requeued > old.Requeued
	}
	rank := func(e *Entry) int {
		return slices.Index([]State{Waiting, Dead, Delivered, Erased, Discarded}, e.State)
	}
	return rank(e) > rank(old)
}

// copyTables reads the small tables, each row that can be read.
func (s *salvaged) copyTables(ctx context.Context, db *sql.DB) {
	for _, t := range carried {
		width := strings.Count(t.columns, ",") + 1
		rows, err := db.QueryContext(ctx, "SELECT "+t.columns+" FROM "+t.name+" ORDER BY rowid")
		if err != nil {
			continue
		}
		for rows.Next() {
			values := make([]any, width)
			into := make([]any, width)
			for i := range values {
				into[i] = &values[i]
			}
			if rows.Scan(into...) == nil {
				s.tables[t.name] = append(s.tables[t.name], values)
			}
		}
		rows.Close()
	}
}

// copyAudit reads the audit lines that can be read.
func (s *salvaged) copyAudit(ctx context.Context, db *sql.DB) {
	rows, err := db.QueryContext(ctx, "SELECT at, who, what, id FROM audit ORDER BY rowid") // of every schema
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var l auditLine
		if rows.Scan(&l.at, &l.who, &l.what, &l.id) == nil {
			s.audit = append(s.audit, l)
		}
	}
}

// storeAudit chains the audit lines again; the last one says so.
func (s *salvaged) storeAudit(ctx context.Context, conn *sql.Conn, keys *Keyring, now time.Time, aside string) error {
	for _, l := range append(s.audit, auditLine{at: now.UnixMilli(), who: "idtap", what: "recovered", id: filepath.Base(aside)}) {
		if err := addAudit(ctx, conn, keys, l); err != nil {
			return err
		}
	}
	return nil
}

// store writes what was salvaged into the new file.
func (s *salvaged) store(ctx context.Context, conn *sql.Conn, now time.Time, aside string, head Tail, headed bool) error {
	for _, t := range carried {
		query := "INSERT OR IGNORE INTO " + t.name + " (" + t.columns + ") VALUES (?" + strings.Repeat(",?", strings.Count(t.columns, ",")) + ")"
		for _, row := range s.tables[t.name] {
			if _, err := conn.ExecContext(ctx, query, row...); err != nil && !isConstraint(err) {
				return err
			}
		}
	}
	start := sha256.Sum256([]byte("idtap rebuilt queue\x00" + filepath.Base(aside)))
	prev, last := start[:], s.pruned
	var keysUsed []string
	for _, e := range s.entries {
		e.settle()
		if e.Body != nil {
			sum := sha256.Sum256(e.Body)
			e.Sum = sum[:]
			if id := keyID(e.Body[1 : 1+keyIDSize]).String(); !slices.Contains(keysUsed, id) {
				keysUsed = append(keysUsed, id)
			}
		}
		e.Hash = e.link(prev)
		if _, err := conn.ExecContext(ctx, insertEntry, e.values()...); err != nil {
			if isConstraint(err) {
				continue // an id that is there already
			}
			return err
		}
		if e.Body != nil {
			if _, err := conn.ExecContext(ctx, insertBody, e.Row, e.Body); err != nil {
				return err
			}
		}
		prev, last = e.Hash, e.Row
		if _, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO epochs (epoch, next_seq, first_row, begun_at) VALUES (?, 1, ?, ?)", e.Epoch, e.Row, e.AcceptedAt); err != nil {
			return err
		}
	}
	for _, g := range s.missing(head, headed) {
		if _, err := conn.ExecContext(ctx, "INSERT INTO gaps (epoch, first, last, records, found_at, file) VALUES (?,?,?,?,?,?)",
			g.Epoch, int64(g.First), int64(g.Last), int64(g.Records), now.UnixMilli(), filepath.Base(aside)); err != nil {
			return err
		}
	}
	if err := BeginEpoch(ctx, conn, 1, last+1, now); err != nil {
		return err
	}
	if err := SetAnchor(ctx, conn, s.pruned, start[:]); err != nil {
		return err
	}
	for _, m := range [][2]string{{metaAside, filepath.Base(aside)}, {metaKeys, strings.Join(keysUsed, " ")}} {
		if err := SetMeta(ctx, conn, m[0], m[1]); err != nil {
			return err
		}
	}
	return nil
}

// settle makes a carried line's state one that it can have. A state that was
// itself damaged is told by what else is there: better published twice under
// one id than never.
func (e *Entry) settle() {
	switch {
	case e.Body == nil && e.State != Discarded:
		e.State = Erased
	case e.Body == nil:
	case e.State == Waiting, e.State == Dead, e.State == Delivered:
	case e.StreamSeq.Valid && e.StreamSeq.Int64 > 0 && e.Requeued == 0:
		e.State = Delivered
	default:
		e.State = Waiting
	}
}

// missing names what is not among the entries and was not named before: by
// sequence numbers where the neighbours tell them, else by how many rows the
// journal is short of.
func (s *salvaged) missing(head Tail, headed bool) []Gap {
	var found []Gap
	short := -s.pruned
	name := func(epoch string, first, last uint64) {
		g := Gap{Epoch: epoch, First: first, Last: last, Records: last - first + 1}
		same := func(old Gap) bool { return old.Epoch == epoch && old.First <= first && last <= old.Last }
		if first <= last && !slices.ContainsFunc(s.gaps, same) {
			found = append(found, g)
		}
	}
	seqs := map[string][]uint64{}
	for _, e := range s.entries {
		seqs[e.Epoch] = append(seqs[e.Epoch], e.Seq)
	}
	if n := len(s.entries); n > 0 {
		first := s.entries[0]
		if lead := uint64(first.Row - 1 - s.pruned); lead > 0 {
			name(first.Epoch, max(first.Seq, lead+1)-lead, first.Seq-1)
		}
		short += s.entries[n-1].Row - int64(n)
	}
	if headed && head.Row > 0 {
		if n := len(s.entries); n == 0 {
			short += head.Row
		} else {
			short += max(0, head.Row-s.entries[n-1].Row)
		}
		if len(seqs[head.Epoch]) == 0 && head.Next > 1 {
			name(head.Epoch, 1, head.Next-1)
		}
		seqs[head.Epoch] = append(seqs[head.Epoch], head.Next)
	}
	for epoch, list := range seqs {
		list = slices.Compact(slices.Sorted(slices.Values(list)))
		for i := 1; i < len(list); i++ {
			name(epoch, list[i-1]+1, list[i]-1)
		}
	}
	for _, g := range slices.Concat(s.gaps, found) {
		short -= int64(g.Records)
	}
	if short > 0 {
		found = append(found, Gap{Records: uint64(short)})
	}
	return found
}
