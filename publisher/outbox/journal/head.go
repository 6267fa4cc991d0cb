package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"idtap/internal/securefile"
)

// The head file says where the journal ended after the last commit. SQLite drops
// everything after a damaged place of its write-ahead log without a word: the
// journal is then merely shorter, and each record of it sound. The head makes
// that visible. It is written after each commit without a sync, so it may be
// older than the journal, which means nothing, but never newer.
//
//	row(8) next seq(8) hash(32) epoch(36) HMAC-SHA-256(32)
const headSize = 8 + 8 + 32 + 36 + 32

func openHead(dir string) (*os.File, error) {
	f, err := securefile.Open(filepath.Join(dir, headName))
	if err != nil {
		return nil, fmt.Errorf("queue head: %w", err)
	}
	return f, nil
}

func headBytes(keys *Keyring, t Tail) []byte {
	b := make([]byte, 0, headSize)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Row))
	b = binary.BigEndian.AppendUint64(b, t.Next)
	b = append(b, t.Hash...)
	b = append(b, t.Epoch...)
	m := hmac.New(sha256.New, keys.Derive("head", 32))
	m.Write(b)
	return m.Sum(b)
}

// writeHead notes the journal's end. A failure costs only the proof that
// nothing is missing.
func writeHead(f *os.File, keys *Keyring, t Tail) {
	f.WriteAt(headBytes(keys, t), 0)
}

// loadHead reads the head file of a queue; nothing without keys.
func loadHead(dir string, keys *Keyring) (Tail, bool) {
	if keys == nil {
		return Tail{}, false
	}
	f, err := os.Open(filepath.Join(dir, headName))
	if err != nil {
		return Tail{}, false
	}
	defer f.Close()
	return readHead(f, keys)
}

// readHead returns what the head file says; nothing where it is new or damaged.
func readHead(r io.ReaderAt, keys *Keyring) (Tail, bool) {
	b := make([]byte, headSize+1)
	if n, _ := r.ReadAt(b, 0); n != headSize {
		return Tail{}, false
	}
	t := Tail{
		Row:   int64(binary.BigEndian.Uint64(b)),
		Next:  binary.BigEndian.Uint64(b[8:]),
		Hash:  b[16:48:48],
		Epoch: string(b[48:84]),
	}
	return t, hmac.Equal(headBytes(keys, t), b[:headSize])
}
