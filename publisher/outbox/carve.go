package outbox

import (
	"database/sql"
	"encoding/binary"
	"io"
	"math"
	"os"
	"strings"
)

// What SQLite writes (https://www.sqlite.org/fileformat2.html), as far as
// finding a journal line in a page needs it. The queue's files have 4 KiB pages
// without reserved bytes.
const (
	pageSize       = 4096
	walHeader      = 32
	frameHeader    = 24
	maxLocal       = pageSize - 35
	minLocal       = (pageSize-12)*32/255 - 23
	maxCarvedBytes = 4 << 20 // of one record
)

var journalWidth = strings.Count(entryColumns, ",") + 1

// carve looks for journal lines in every page of a damaged queue file and of its
// write-ahead log, whatever SQLite itself still reads of them: a broken header,
// index or log frame hides records that are whole. What it finds proves itself
// by its seal.
func carve(path string, fn func(*entry)) {
	c := carver{newest: map[uint32]int64{}}
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		c.db = f
	}
	if f, err := os.Open(path + "-wal"); err == nil {
		defer f.Close()
		c.wal = f
	}
	page := make([]byte, pageSize)
	var head [4]byte
	for at := int64(walHeader); c.wal != nil; at += frameHeader + pageSize {
		if _, err := c.wal.ReadAt(head[:], at); err != nil {
			break
		}
		c.newest[binary.BigEndian.Uint32(head[:])] = at + frameHeader
	}
	for at := int64(0); c.db != nil; at += pageSize {
		if n, err := c.db.ReadAt(page, at); n < pageSize && err != nil {
			break
		}
		c.leaf(page, fn)
	}
	for at := int64(walHeader + frameHeader); c.wal != nil; at += frameHeader + pageSize {
		if n, err := c.wal.ReadAt(page, at); n < pageSize && err != nil {
			break
		}
		c.leaf(page, fn)
	}
}

type carver struct {
	db, wal io.ReaderAt
	newest  map[uint32]int64 // page number -> where its newest image stands in the log
}

// leaf tries every byte of a page as the start of a cell: size, row and then a
// record header that begins with its own length and the empty first column. The
// page's own header and cell pointers may be damaged and are not asked.
func (c *carver) leaf(page []byte, fn func(*entry)) {
	for at := range page {
		size, n := varint(page[at:])
		if n == 0 || size < uint64(journalWidth) || size > maxCarvedBytes {
			continue
		}
		row, m := varint(page[at+n:])
		local := page[at+n+m:]
		if m == 0 || row > math.MaxInt64 || len(local) < 2 || int(local[0]) <= journalWidth || local[0] >= 0x80 || local[1] != 0 {
			continue
		}
		payload, ok := c.payload(local, int(size))
		if !ok {
			continue
		}
		if e, ok := parseEntry(int64(row), payload); ok {
			fn(e)
		}
	}
}

// payload gives a cell's content, following it to overflow pages.
func (c *carver) payload(local []byte, size int) ([]byte, bool) {
	if size <= maxLocal {
		if len(local) < size {
			return nil, false
		}
		return local[:size], true
	}
	here := minLocal + (size-minLocal)%(pageSize-4)
	if here > maxLocal {
		here = minLocal
	}
	if len(local) < here+4 {
		return nil, false
	}
	out := append(make([]byte, 0, size), local[:here]...)
	next := binary.BigEndian.Uint32(local[here:])
	page := make([]byte, pageSize)
	for len(out) < size {
		if !c.page(next, page) {
			return nil, false
		}
		next = binary.BigEndian.Uint32(page)
		out = append(out, page[4:4+min(size-len(out), pageSize-4)]...)
	}
	return out, true
}

// page reads the newest image of a page.
func (c *carver) page(n uint32, into []byte) bool {
	if n == 0 {
		return false
	}
	src, at := c.db, int64(n-1)*pageSize
	if w, ok := c.newest[n]; ok {
		src, at = c.wal, w
	}
	if src == nil {
		return false
	}
	_, err := src.ReadAt(into, at)
	return err == nil
}

// parseEntry reads a journal line in SQLite's record format. ok is false for
// anything that is not one.
func parseEntry(row int64, b []byte) (*entry, bool) {
	size, n := varint(b)
	if n == 0 || size > uint64(len(b)) || size < uint64(n) {
		return nil, false
	}
	types, values := b[n:size], b[size:]
	v := make([]any, 0, journalWidth)
	for len(types) > 0 {
		t, n := varint(types)
		if n == 0 || len(v) == journalWidth {
			return nil, false
		}
		types = types[n:]
		value, width, ok := field(t, values)
		if !ok {
			return nil, false
		}
		v, values = append(v, value), values[width:]
	}
	if len(v) != journalWidth {
		return nil, false
	}
	v[0] = row // the primary key stands outside
	e := new(entry)
	return e, e.scan(carved(v)) == nil
}

// field reads one value of a record by its serial type.
func field(t uint64, b []byte) (value any, width int, ok bool) {
	switch {
	case t == 0:
		return nil, 0, true
	case t == 8 || t == 9:
		return int64(t - 8), 0, true
	case t <= 6:
		width = []int{0, 1, 2, 3, 4, 6, 8}[t]
		if len(b) < width {
			return nil, 0, false
		}
		n := int64(int8(b[0]))
		for _, c := range b[1:width] {
			n = n<<8 | int64(c)
		}
		return n, width, true
	case t < 12 || t > maxCarvedBytes*2:
		return nil, 0, false
	}
	width = int(t-12) / 2
	if len(b) < width {
		return nil, 0, false
	}
	if t%2 == 0 {
		return append([]byte{}, b[:width]...), width, true
	}
	return string(b[:width]), width, true
}

// varint reads SQLite's big-endian variable-length integer; n is 0 where b ends
// inside it.
func varint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	if n < 8 || n >= len(b) {
		return 0, 0
	}
	return v<<8 | uint64(b[n]), n + 1
}

// carved lets entry.scan read values that no query gave.
type carved []any

func (c carved) Scan(into ...any) error {
	for i, to := range into {
		if err := assign(to, c[i]); err != nil {
			return err
		}
	}
	return nil
}

// assign stores a value only where it has exactly the column's type.
func assign(to, value any) error {
	ok := false
	switch to := to.(type) {
	case *string:
		*to, ok = value.(string)
	case *int64:
		*to, ok = value.(int64)
	case *int:
		var n int64
		n, ok = value.(int64)
		*to = int(n)
	case *[]byte:
		if *to, ok = value.([]byte); value == nil {
			ok = true
		}
	case sql.Scanner:
		return to.Scan(value)
	}
	if !ok {
		return ErrDamaged
	}
	return nil
}
