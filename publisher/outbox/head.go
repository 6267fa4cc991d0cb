package outbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The head file says where the journal ended after the last commit. SQLite drops
// everything behind a damaged place of its write-ahead log without a word: the
// journal is then merely shorter, each record of it sound. The head makes that
// visible. It is written after each commit without a sync, so it may lag behind
// the journal, which means nothing, but never runs ahead of it.
//
//	row(8) next seq(8) hash(32) epoch(36) HMAC-SHA-256(32)
const headSize = 8 + 8 + 32 + 36 + 32

func openHead(dir string) (*os.File, error) {
	path := filepath.Join(dir, headName)
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("queue head: %w", err)
	}
	return os.OpenFile(path, os.O_RDWR, 0o600)
}

func headBytes(keys *keyring, t tip) []byte {
	b := make([]byte, 0, headSize)
	b = binary.BigEndian.AppendUint64(b, uint64(t.row))
	b = binary.BigEndian.AppendUint64(b, t.next)
	b = append(b, t.hash...)
	b = append(b, t.epoch...)
	m := hmac.New(sha256.New, keys.derive("head", 32))
	m.Write(b)
	return m.Sum(b)
}

// writeHead notes the journal's end. A failure costs only the proof that
// nothing is missing.
func writeHead(f *os.File, keys *keyring, t tip) {
	f.WriteAt(headBytes(keys, t), 0)
}

// readHead gives what the head file says; nothing where it is new or damaged.
func readHead(r io.ReaderAt, keys *keyring) (tip, bool) {
	b := make([]byte, headSize+1)
	if n, _ := r.ReadAt(b, 0); n != headSize {
		return tip{}, false
	}
	t := tip{
		row:   int64(binary.BigEndian.Uint64(b)),
		next:  binary.BigEndian.Uint64(b[8:]),
		hash:  b[16:48:48],
		epoch: string(b[48:84]),
	}
	return t, hmac.Equal(headBytes(keys, t), b[:headSize])
}
