package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idtap/internal/securefile"
)

// Names in the queue's directory.
const (
	dbName      = "outbox.db"
	rebuildName = "outbox-rebuild.db" // being filled from a damaged queue
	readyName   = "outbox-ready.db"   // filled and synced, about to take dbName's place
	imageName   = "outbox-image.db"   // of a database that is missing beside its log, while it is read
	headName    = "outbox.head"
	lockName    = "outbox.lock"
	keyName     = "outbox.key"

	asidePrefix    = "outbox-damaged-"  // damaged queues, dated
	replacedPrefix = "outbox-replaced-" // somebody else's files in the place of an open queue's, dated
)

// makeDir makes a directory for its owner alone. One that is there stays as it is.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return securefile.OwnDir(dir)
}

// createFile makes an empty file for its owner alone, or narrows the one that is there.
// SQLite gives -wal and -shm the mode of the database file.
func createFile(path string) error {
	f, err := securefile.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// Path returns the path of the queue file in dir.
func Path(dir string) string { return filepath.Join(dir, dbName) }

// KeyPath returns the path of the key file in dir.
func KeyPath(dir string) string { return filepath.Join(dir, keyName) }

// Exists reports whether there is a queue in dir: a database, or at least its log.
func Exists(dir string) bool { return exists(Path(dir)) || exists(Path(dir)+"-wal") }

// exists reports whether a file is there and holds anything.
func exists(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Size() > 0
}

// Asides returns the paths of the damaged queues that were set aside, oldest
// first. One whose database was missing has a log alone.
func Asides(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, asidePrefix+"*.db*"))
	if err != nil {
		return nil
	}
	for i, path := range found {
		found[i] = strings.TrimSuffix(strings.TrimSuffix(path, "-shm"), "-wal")
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// DiskBytes returns what the queue takes on the disk, write-ahead log included.
func DiskBytes(dir string) int64 {
	var n int64
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Stat(filepath.Join(dir, dbName+suffix)); err == nil {
			n += fi.Size()
		}
	}
	return n
}
