package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	"idtap/publisher/outbox/journal"
)

// space is the queue's bound and the file system's. New records need room; what
// shrinks the queue (delivery, erasing) never asks.
type space struct {
	dir     string
	max     int64
	minFree int64
	used    atomic.Int64 // bytes of pages in use, at most
}

// measure asks SQLite how much of the file is in use: freed pages count as room.
func (s *space) measure(ctx context.Context, conn *sql.Conn) error {
	var pages, free, size int64
	err := conn.QueryRowContext(ctx, "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&pages, &free, &size)
	if err != nil {
		return err
	}
	s.used.Store((pages - free) * size)
	return nil
}

// grew adds what a transaction wrote, generously: measure corrects it.
func (s *space) grew(n int64) { s.used.Add(n) }

// take returns ErrFull unless n more bytes have room. The sum in memory is measured
// again before anything is refused, so that room made is room found.
func (s *space) take(ctx context.Context, conn *sql.Conn, n int64) error {
	if s.used.Load()+n > s.max {
		if err := s.measure(ctx, conn); err != nil {
			return err
		}
		if used := s.used.Load(); used+n > s.max {
			return fmt.Errorf("%w: %d of %d MiB are used (outbox.max_bytes)", ErrFull, used>>20, s.max>>20)
		}
	}
	free, err := journal.FreeBytes(s.dir)
	if err != nil {
		return err
	}
	if free < s.minFree+n {
		return fmt.Errorf("%w: %d MiB are free on the disk, %d are needed", ErrFull, free>>20, s.minFree>>20)
	}
	return nil
}

// full reports whether a record would be refused now.
func (s *space) full() bool {
	const record = 4 << 10
	if s.used.Load()+record > s.max {
		return true
	}
	free, err := journal.FreeBytes(s.dir)
	return err == nil && free < s.minFree+record
}
