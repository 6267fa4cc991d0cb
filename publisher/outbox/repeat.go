package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"idtap/publisher/outbox/journal"
)

// repeats remembers which card content was accepted lately.
//
// How long ago is told by the process's own monotonic clock, which no change of
// the wall clock moves; for a tap from before a restart only wall times exist,
// and the distance between them counts, in whichever direction. So a clock that
// jumps while idtap runs changes nothing, and one that jumped across a restart
// can at worst make a repeat a new event: never the other way round beyond one
// window, and never is a stored event touched.
type repeats struct {
	window  time.Duration
	newest  map[string]acceptance // by content
	content map[string]string     // by event id
}

// acceptance is one accepted content; it is personal data (a keyed hash) and is
// sealed on the disk.
type acceptance struct {
	content string
	stamp   Stamp
	at      time.Time // with the monotonic reading if this process accepted it
}

func (m acceptance) about() []byte { return []byte("idtap repeat v1\x00" + m.stamp.ID) }

func (r *repeats) fresh(m acceptance, now time.Time) bool {
	return now.Sub(m.at).Abs() <= r.window
}

func (r *repeats) add(m acceptance) {
	if r.newest == nil {
		r.newest, r.content = map[string]acceptance{}, map[string]string{}
	}
	r.newest[m.content], r.content[m.stamp.ID] = m, m.content
}

func (r *repeats) drop(id string) {
	content, ok := r.content[id]
	delete(r.content, id)
	if ok && r.newest[content].stamp.ID == id {
		delete(r.newest, content)
	}
}

func (r *repeats) renumber(numbers map[string]Stamp) {
	for content, m := range r.newest {
		if s, ok := numbers[m.stamp.ID]; ok {
			m.stamp = s
			r.newest[content] = m
		}
	}
}

// stale returns the ids whose window is over.
func (r *repeats) stale(now time.Time) (ids []string) {
	for id, content := range r.content {
		if m := r.newest[content]; m.stamp.ID != id || !r.fresh(m, now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// load reads what an earlier process remembered. An entry whose seal is broken
// is left out: the card counts as new, which loses nothing.
func (r *repeats) load(ctx context.Context, conn *sql.Conn, keys *journal.Keyring, now time.Time) error {
	r.newest, r.content = nil, nil
	rows, err := conn.QueryContext(ctx, "SELECT id, epoch, seq, at, sealed FROM repeats ORDER BY rowid")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			m       acceptance
			seq, at int64
			sealed  []byte
		)
		if err := rows.Scan(&m.stamp.ID, &m.stamp.Epoch, &seq, &at, &sealed); err != nil {
			return err
		}
		m.stamp.Seq, m.stamp.AcceptedAt, m.at = uint64(seq), journal.FromMillis(at), journal.FromMillis(at)
		content, err := keys.Open(sealed, m.about())
		if err != nil || !r.fresh(m, now) {
			continue
		}
		m.content = string(content)
		r.add(m)
	}
	return rows.Err()
}

// repeated reports whether a content was accepted within the window, in this
// transaction or before it. The newest acceptance counts.
func (t *tx) repeated(content string) (Stamp, bool) {
	if content == "" {
		return Stamp{}, false
	}
	for i := len(t.remember) - 1; i >= 0; i-- {
		if m := t.remember[i]; m.content == content && !t.forgotten(m.stamp.ID) {
			return m.stamp, true
		}
	}
	m, ok := t.q.repeats.newest[content]
	if !ok || !t.q.repeats.fresh(m, t.now) || t.forgotten(m.stamp.ID) {
		return Stamp{}, false
	}
	return m.stamp, true
}

func (t *tx) forgotten(id string) bool {
	for _, f := range t.forget {
		if f == id {
			return true
		}
	}
	return false
}

// forgetRepeat makes the content of a cancelled or discarded record new again.
func (t *tx) forgetRepeat(id string) error {
	if id == "" {
		return nil
	}
	if _, err := t.exec("DELETE FROM repeats WHERE id = ?", id); err != nil {
		return fmt.Errorf("repeat acceptance: %w", err)
	}
	t.forget = append(t.forget, id)
	return nil
}
