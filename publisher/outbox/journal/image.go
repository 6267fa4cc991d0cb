package journal

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// A write-ahead log (https://www.sqlite.org/fileformat2.html#walformat) is a header of
// 32 bytes (magic, format, page size, checkpoint number, two salts, two sums)
// and frames: page number, size of the database in pages if the frame ends a
// transaction, the salts, two sums over everything so far, and the page.

// committed returns where in a log the newest committed image of each page is,
// and how many pages the database has then. It stops where SQLite does: at the
// first frame whose salts or sums are not the log's.
func committed(log io.ReaderAt) (at map[uint32]int64, pages uint32) {
	head := make([]byte, walHeader)
	if _, err := log.ReadAt(head, 0); err != nil {
		return nil, 0
	}
	magic := binary.BigEndian.Uint32(head)
	if magic&^1 != 0x377f0682 || binary.BigEndian.Uint32(head[8:]) != pageSize {
		return nil, 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 != 0 {
		order = binary.BigEndian
	}
	sum := walSum{order: order}
	if sum.add(head[:24]); !sum.is(head[24:]) {
		return nil, 0
	}
	at = map[uint32]int64{}
	pending := map[uint32]int64{}
	frame := make([]byte, frameHeader+pageSize)
	for offset := int64(walHeader); ; offset += int64(len(frame)) {
		if _, err := log.ReadAt(frame, offset); err != nil {
			return at, pages
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeader:])
		if string(frame[8:16]) != string(head[16:24]) || !sum.is(frame[16:]) {
			return at, pages
		}
		pending[binary.BigEndian.Uint32(frame)] = offset + frameHeader
		if n := binary.BigEndian.Uint32(frame[4:]); n != 0 {
			for page, offset := range pending {
				at[page] = offset
			}
			clear(pending)
			pages = n
		}
	}
}

// walSum is the log's running checksum.
type walSum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (w *walSum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		w.s0 += w.order.Uint32(b) + w.s1
		w.s1 += w.order.Uint32(b[4:]) + w.s0
	}
}

func (w *walSum) is(b []byte) bool {
	return binary.BigEndian.Uint32(b) == w.s0 && binary.BigEndian.Uint32(b[4:]) == w.s1
}

// makeImage writes the database that a log and what is left of its file make
// together, without a log. SQLite cannot be asked: it deletes the log of a
// database that is missing, even when it opens it for reading only.
func makeImage(path, into string) error {
	log, err := os.Open(path + "-wal")
	if err != nil {
		return err
	}
	defer log.Close()
	at, pages := committed(log)
	if _, ok := at[1]; !ok {
		return errors.New("the log does not hold the first page")
	}
	db, err := os.Open(path)
	if err == nil {
		defer db.Close()
	}
	if err := createFile(into); err != nil {
		return err
	}
	image, err := os.OpenFile(into, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer image.Close()
	page := make([]byte, pageSize)
	for n := range pages {
		clear(page)
		if offset, ok := at[n+1]; ok {
			log.ReadAt(page, offset)
		} else if db != nil {
			db.ReadAt(page, int64(n)*pageSize) // what is missing stays empty, and damaged
		}
		if n == 0 {
			page[18], page[19] = 1, 1 // no log belongs to it
		}
		if _, err := image.Write(page); err != nil {
			return err
		}
	}
	return image.Close()
}
