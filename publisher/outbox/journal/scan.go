package journal

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"io"
	"math"
	"os"
	"slices"
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
	maxRecordBytes = 4 << 20 // of one record
)

var width = strings.Count(columns, ",") + 1

// scanPages looks for journal lines and sealed bodies in every page of a damaged
// queue file and of its write-ahead log, whatever SQLite itself still reads of
// them: a broken header, index or log frame hides records that are whole. Which
// body belongs to which line its seal proves.
func scanPages(path string) (lines []*Entry, bodies map[int64][][]byte) {
	c := pageScanner{newest: map[uint32]int64{}, bodies: map[int64][][]byte{}}
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		c.db = f
	}
	if f, err := os.Open(path + "-wal"); err == nil {
		defer f.Close()
		c.wal = f
	}
	var head [4]byte
	for at := int64(walHeader); c.wal != nil; at += frameHeader + pageSize {
		if _, err := c.wal.ReadAt(head[:], at); err != nil {
			break
		}
		c.newest[binary.BigEndian.Uint32(head[:])] = at + frameHeader
	}
	c.pages(c.db, 0, pageSize)
	c.pages(c.wal, walHeader+frameHeader, frameHeader+pageSize)
	return c.lines, c.bodies
}

type pageScanner struct {
	db, wal io.ReaderAt
	newest  map[uint32]int64 // page number -> where its newest image is in the log

	lines  []*Entry
	bodies map[int64][][]byte
}

// pages looks through the pages of a file that begin at first, step apart. The
// last one may be cut off.
func (c *pageScanner) pages(src io.ReaderAt, first, step int64) {
	if src == nil {
		return
	}
	page := make([]byte, pageSize)
	for at := first; ; at += step {
		n, err := src.ReadAt(page, at)
		c.leaf(page[:n])
		if err != nil {
			return
		}
	}
}

// leaf tries every byte of a page as the start of a cell: size, row and then a
// record header that begins with its own length and the empty first column. The
// page's own header and cell pointers may be damaged and are not asked.
func (c *pageScanner) leaf(page []byte) {
	for at := range page {
		size, n := varint(page[at:])
		if n == 0 || size < sealHeader || size > maxRecordBytes {
			continue
		}
		row, m := varint(page[at+n:])
		local := page[at+n+m:]
		if m == 0 || row > math.MaxInt64 || len(local) < 3 || local[1] != 0 {
			continue
		}
		line, body := int(local[0]) > width && local[0] < 0x80, local[0] >= 3 && local[0] <= 6
		if !line && !body {
			continue
		}
		payload, ok := c.payload(local, int(size))
		if !ok {
			continue
		}
		v, ok := parseRecord(payload)
		if !ok {
			continue
		}
		v[0] = int64(row) // the primary key is outside the record
		if line {
			if e, ok := parseEntry(v); ok {
				c.lines = append(c.lines, e)
			}
		} else if b, ok := parseBody(v); ok {
			same := func(old []byte) bool { return bytes.Equal(old, b) }
			if !slices.ContainsFunc(c.bodies[int64(row)], same) {
				c.bodies[int64(row)] = append(c.bodies[int64(row)], b)
			}
		}
	}
}

// payload returns a cell's content, following it to overflow pages.
func (c *pageScanner) payload(local []byte, size int) ([]byte, bool) {
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
func (c *pageScanner) page(n uint32, into []byte) bool {
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

// parseRecord reads the values of a record in SQLite's format.
func parseRecord(b []byte) ([]any, bool) {
	size, n := varint(b)
	if n == 0 || size > uint64(len(b)) || size <= uint64(n) {
		return nil, false
	}
	types, values := b[n:size], b[size:]
	var v []any
	for len(types) > 0 {
		t, n := varint(types)
		if n == 0 || len(v) == width {
			return nil, false
		}
		types = types[n:]
		value, n, ok := field(t, values)
		if !ok {
			return nil, false
		}
		v, values = append(v, value), values[n:]
	}
	return v, len(values) == 0
}

// parseEntry makes a journal line of a record that is one, without its body.
func parseEntry(v []any) (*Entry, bool) {
	if len(v) != width {
		return nil, false
	}
	e := new(Entry)
	return e, e.scan(scannedRow(append(v, nil))) == nil
}

// parseBody makes a sealed body of a record that looks like one.
func parseBody(v []any) ([]byte, bool) {
	if len(v) != 2 {
		return nil, false
	}
	b, ok := v[1].([]byte)
	return b, ok && len(b) > sealHeader && b[0] == sealVersion
}

// field reads one value of a record by its serial type.
func field(t uint64, b []byte) (value any, size int, ok bool) {
	switch {
	case t == 0:
		return nil, 0, true
	case t == 8 || t == 9:
		return int64(t - 8), 0, true
	case t <= 6:
		size = []int{0, 1, 2, 3, 4, 6, 8}[t]
		if len(b) < size {
			return nil, 0, false
		}
		n := int64(int8(b[0]))
		for _, c := range b[1:size] {
			n = n<<8 | int64(c)
		}
		return n, size, true
	case t < 12 || t > maxRecordBytes*2:
		return nil, 0, false
	}
	size = int(t-12) / 2
	if len(b) < size {
		return nil, 0, false
	}
	if t%2 == 0 {
		return append([]byte{}, b[:size]...), size, true
	}
	return string(b[:size]), size, true
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

// scannedRow lets Entry.scan read values that no query returned.
type scannedRow []any

func (r scannedRow) Scan(into ...any) error {
	for i, to := range into {
		if err := assign(to, r[i]); err != nil {
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
