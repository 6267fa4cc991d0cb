package outbox

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
)

// replace puts a new file in the place of a damaged one, which it keeps under a
// dated name, and goes on with everything readable carried over.
//
// A record is carried over if its seal is whole, an erased line if the chain
// holds it. They keep id, epoch, sequence number and state. New records get a
// new epoch: how far the old one had gone cannot be proven, and a number must
// never be given twice. Numbers that are missing are named as gaps.
func (q *Queue) replace(ctx context.Context, cause error) error {
	q.o.Log.Error().Err(cause).Msg("the queue is damaged: it is set aside and what is readable carried over")
	head, headed := tip{}, false
	if f, err := os.Open(filepath.Join(q.dir, headName)); err == nil {
		head, headed = readHead(f, q.keys)
		f.Close()
	}
	q.mu.Lock() // readers wait until the new file is in its place
	err := func() error {
		defer q.mu.Unlock()
		if err := q.detachKeepingLog(); err != nil {
			return err
		}
		if !exists(filepath.Join(q.dir, readyName)) { // else an exchange before this one was interrupted
			aside := asideName(q.o)
			n, err := rebuild(ctx, q.o, q.keys, aside, head, headed)
			if err != nil {
				return err
			}
			q.o.Log.Warn().Str("file", aside).Int("carried", n).Msg("a new queue is begun; the damaged one is kept")
		}
		if err := finishRebuild(q.o); err != nil {
			return err
		}
		return q.start(ctx)
	}()
	if err != nil {
		return fmt.Errorf("%w; replacing it failed: %w", ErrDamaged, err)
	}
	return nil
}

// detachKeepingLog closes the files and leaves the write-ahead log as it is,
// which SQLite folds back and deletes when the last connection closes: behind a
// damaged place in it there may be whole records.
func (q *Queue) detachKeepingLog() error {
	wal := filepath.Join(q.dir, dbName) + "-wal"
	log, err := os.ReadFile(wal)
	q.detach()
	if err != nil || len(log) == 0 {
		return nil
	}
	return replaceFile(wal, log)
}

// asideName is where a damaged queue goes: dated, never a name already taken.
func asideName(o Options) string {
	base := filepath.Join(o.Dir, asidePrefix+o.Clock.Now().UTC().Format("20060102T150405Z"))
	name := base + ".db"
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s-%d.db", base, i)
	}
}

// rebuild fills a new file from the damaged one and syncs it under readyName.
// Until then the damaged file is untouched; from then on finishRebuild can
// complete the exchange after any interruption.
func rebuild(ctx context.Context, o Options, keys *keyring, aside string, head tip, headed bool) (int, error) {
	path := filepath.Join(o.Dir, rebuildName)
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
	}
	if err := createFile(path); err != nil {
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
	found := salvage(ctx, filepath.Join(o.Dir, dbName), keys, head.row)
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return 0, err
	}
	if err := found.store(ctx, conn, o, aside, head, headed); err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return 0, err
	}
	if err := errors.Join(conn.Close(), db.Close()); err != nil {
		return 0, err
	}
	if err := o.Fail("rebuild.written"); err != nil {
		return 0, err
	}
	if err := os.Rename(path, filepath.Join(o.Dir, readyName)); err != nil {
		return 0, err
	}
	return len(found.entries), syncDir(o.Dir)
}

// finishRebuild exchanges the files once a rebuilt queue is ready; it may be
// repeated. The old write-ahead log goes first: beside the new file SQLite would
// replay it into that one.
func finishRebuild(o Options) error {
	ready := filepath.Join(o.Dir, readyName)
	if !exists(ready) {
		return nil
	}
	db, err := openDB(ready, true)
	if err != nil {
		return err
	}
	aside, err := meta(context.Background(), db, metaAside)
	db.Close()
	if err != nil {
		return err
	}
	aside = filepath.Join(o.Dir, filepath.Base(aside))
	old := filepath.Join(o.Dir, dbName)
	for _, suffix := range []string{"-wal", "-shm", ""} {
		err := os.Rename(old+suffix, aside+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := o.Fail("rebuild.aside"); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(o.Dir, headName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := syncDir(o.Dir); err != nil {
		return err
	}
	if err := os.Rename(ready, old); err != nil {
		return err
	}
	return syncDir(o.Dir)
}

// salvaged is what could be read of a damaged queue.
type salvaged struct {
	entries []*entry // in order of rows
	tables  map[string][][]any
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
	{"audit", "at, who, what, id"},
}

// salvage reads whatever it can and never fails.
func salvage(ctx context.Context, path string, keys *keyring, lastRow int64) salvaged {
	s := salvaged{tables: map[string][][]any{}}
	good := map[int64]*entry{}
	keep := func(e *entry) {
		if old, ok := good[e.row]; ok && !e.supersedes(old) {
			return
		}
		good[e.row] = e
	}
	if db, err := openDB(path, true); err == nil {
		s.copyTables(ctx, db)
		var lines []*entry
		top := lastRow
		scanEntries(ctx, db, lastRow, func(e *entry) { lines = append(lines, e); top = max(top, e.row) })
		pruned, prev, _ := anchor(ctx, db)
		s.pruned = pruned
		s.gaps, _ = gaps(ctx, db)
		db.Close()
		for _, e := range lines {
			// Over a gap of before the chain was joined again, too.
			if e.genuine(keys) || e.body == nil && bytes.Equal(e.link(prev), e.hash) {
				keep(e)
			}
			prev = e.hash
		}
	}
	lines, bodies := carve(path)
	for _, e := range lines {
		for _, b := range bodies[e.row] {
			if e.body = b; e.genuine(keys) {
				keep(e)
				break
			}
		}
	}
	for _, e := range good {
		s.entries = append(s.entries, e)
	}
	slices.SortFunc(s.entries, func(a, b *entry) int { return cmp.Compare(a.row, b.row) })
	return s
}

// scanEntries calls fn for each line of the journal that can be read, in order.
// Where a page is broken it goes on line by line.
func scanEntries(ctx context.Context, db *sql.DB, lastRow int64, fn func(*entry)) {
	last := int64(0)
	take := func(e *entry) error {
		last = e.row
		fn(e)
		return nil
	}
	if each(ctx, db, take, "ORDER BY row") == nil {
		return
	}
	var top sql.NullInt64
	db.QueryRowContext(ctx, "SELECT max(row) FROM journal").Scan(&top)
	for row := last + 1; row <= max(top.Int64, lastRow) && ctx.Err() == nil; row++ {
		each(ctx, db, take, "WHERE row = ?", row)
	}
}

// genuine reports whether a line's sealed body opens: then all of its clear
// columns are what was accepted, as the seal is tied to them.
func (e *entry) genuine(keys *keyring) bool {
	if e.body == nil {
		return false
	}
	_, err := e.open(keys)
	return err == nil
}

// supersedes reports whether e tells more of the same record's fate than old.
func (e *entry) supersedes(old *entry) bool {
	if e.requeued != old.requeued {
		return e.requeued > old.requeued
	}
	rank := func(e *entry) int {
		return slices.Index([]State{Waiting, Dead, Delivered, Erased, Discarded}, e.state)
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

// store writes what was salvaged into the new file.
func (s *salvaged) store(ctx context.Context, conn *sql.Conn, o Options, aside string, head tip, headed bool) error {
	for _, t := range carried {
		query := "INSERT OR IGNORE INTO " + t.name + " (" + t.columns + ") VALUES (?" + strings.Repeat(",?", strings.Count(t.columns, ",")) + ")"
		for _, row := range s.tables[t.name] {
			if _, err := conn.ExecContext(ctx, query, row...); err != nil && !refused(err) {
				return err
			}
		}
	}
	start := sha256.Sum256([]byte("idtap rebuilt queue\x00" + filepath.Base(aside)))
	prev, last := start[:], s.pruned
	now := o.Clock.Now()
	var keysUsed []string
	for _, e := range s.entries {
		e.settle()
		if e.body != nil {
			sum := sha256.Sum256(e.body)
			e.sum = sum[:]
			if id := keyID(e.body[1 : 1+keyIDSize]).String(); !slices.Contains(keysUsed, id) {
				keysUsed = append(keysUsed, id)
			}
		}
		e.hash = e.link(prev)
		if _, err := conn.ExecContext(ctx, entryInsert, e.values()...); err != nil {
			if refused(err) {
				continue // an id that stands there already
			}
			return err
		}
		if e.body != nil {
			if _, err := conn.ExecContext(ctx, bodyInsert, e.row, e.body); err != nil {
				return err
			}
		}
		prev, last = e.hash, e.row
		if _, err := conn.ExecContext(ctx, "INSERT OR IGNORE INTO epochs (epoch, next_seq, first_row, begun_at) VALUES (?, 1, ?, ?)", e.epoch, e.row, e.acceptedAt); err != nil {
			return err
		}
	}
	for _, g := range s.missing(head, headed) {
		if _, err := conn.ExecContext(ctx, "INSERT INTO gaps (epoch, first, last, records, found_at, file) VALUES (?,?,?,?,?,?)",
			g.Epoch, int64(g.First), int64(g.Last), int64(g.Records), now.UnixMilli(), filepath.Base(aside)); err != nil {
			return err
		}
	}
	if err := newEpoch(ctx, conn, 1, last+1, now); err != nil {
		return err
	}
	if err := setAnchor(ctx, conn, s.pruned, start[:]); err != nil {
		return err
	}
	for _, m := range [][2]string{{metaAside, filepath.Base(aside)}, {metaKeys, strings.Join(keysUsed, " ")}} {
		if err := setMeta(ctx, conn, m[0], m[1]); err != nil {
			return err
		}
	}
	return nil
}

// settle makes a carried line's state one that it can have. A state that was
// itself damaged is told by what else stands there: better published twice under
// one id than never.
func (e *entry) settle() {
	switch {
	case e.body == nil && e.state != Discarded:
		e.state = Erased
	case e.body == nil:
	case e.state == Waiting, e.state == Dead, e.state == Delivered:
	case e.streamSeq.Valid && e.streamSeq.Int64 > 0 && e.requeued == 0:
		e.state = Delivered
	default:
		e.state = Waiting
	}
}

// missing names what is not among the entries and was not named before: by
// sequence numbers where the neighbours tell them, else by how many rows the
// journal is short of.
func (s *salvaged) missing(head tip, headed bool) []Gap {
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
		seqs[e.epoch] = append(seqs[e.epoch], e.seq)
	}
	if n := len(s.entries); n > 0 {
		first := s.entries[0]
		if lead := uint64(first.row - 1 - s.pruned); lead > 0 {
			name(first.epoch, max(first.seq, lead+1)-lead, first.seq-1)
		}
		short += s.entries[n-1].row - int64(n)
	}
	if headed && head.row > 0 {
		if n := len(s.entries); n == 0 {
			short += head.row
		} else {
			short += max(0, head.row-s.entries[n-1].row)
		}
		if len(seqs[head.epoch]) == 0 && head.next > 1 {
			name(head.epoch, 1, head.next-1)
		}
		seqs[head.epoch] = append(seqs[head.epoch], head.next)
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
