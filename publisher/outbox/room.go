package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
)

// room is the queue's bound and the file system's. New records need room; what
// shrinks the queue (delivery, erasing) never asks.
type room struct {
	dir     string
	max     int64
	minFree int64
	used    atomic.Int64 // bytes of pages in use, at most
}

// measure asks SQLite how much of the file is in use: freed pages count as room.
func (r *room) measure(ctx context.Context, conn *sql.Conn) error {
	var pages, free, size int64
	err := conn.QueryRowContext(ctx, "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&pages, &free, &size)
	if err != nil {
		return err
	}
	r.used.Store((pages - free) * size)
	return nil
}

// grew adds what a transaction wrote, generously: measure corrects it.
func (r *room) grew(n int64) { r.used.Add(n) }

// take says whether n more bytes have room. The sum in memory is measured anew
// before anything is refused, so that room made is room found.
func (r *room) take(ctx context.Context, conn *sql.Conn, n int64) error {
	if r.used.Load()+n > r.max {
		if err := r.measure(ctx, conn); err != nil {
			return err
		}
		if used := r.used.Load(); used+n > r.max {
			return fmt.Errorf("%w: %d of %d MiB are used (outbox.max_bytes)", ErrFull, used>>20, r.max>>20)
		}
	}
	free, err := freeBytes(r.dir)
	if err != nil {
		return err
	}
	if free < r.minFree+n {
		return fmt.Errorf("%w: %d MiB are free on the disk, %d are needed", ErrFull, free>>20, r.minFree>>20)
	}
	return nil
}

// full reports whether a record would be refused now.
func (r *room) full() bool {
	const record = 4 << 10
	if r.used.Load()+record > r.max {
		return true
	}
	free, err := freeBytes(r.dir)
	return err == nil && free < r.minFree+record
}
