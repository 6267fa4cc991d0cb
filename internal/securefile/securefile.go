package securefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	// ErrLink means that a file to be written is a symbolic link.
	ErrLink = errors.New("is a symbolic link; want the file itself")
	// ErrIrregular means that something is no ordinary file.
	ErrIrregular = errors.New("is no ordinary file")
	// ErrTooLarge means that a file is larger than its reader allows.
	ErrTooLarge = errors.New("is too large")
)

// OwnerError means that a file or directory belongs to another account than the
// one that runs the program.
type OwnerError struct {
	Path  string
	UID   int    // of the account it belongs to
	Owner string // its name; "" if it has none
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to %s, not to the account that runs this", e.Path, e.Account())
}

// Account names the owner for a command line: a name, or #UID.
func (e *OwnerError) Account() string {
	if e.Owner != "" {
		return e.Owner
	}
	return fmt.Sprintf("#%d", e.UID)
}

// Open opens a file for reading and writing and makes it if it is not there.
func Open(path string) (*os.File, error) { return open(path, os.O_RDWR|os.O_CREATE) }

// Append opens a file for writing at its end and makes it if it is not there.
func Append(path string) (*os.File, error) { return open(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND) }

// Create makes a file that must not be there yet; else an error that is
// fs.ErrExist.
func Create(path string) (*os.File, error) {
	return open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func open(path string, flags int) (*os.File, error) {
	f, err := openNoFollow(path, flags)
	if err != nil {
		return nil, err
	}
	err = own(f)
	if err == nil {
		err = Restrict(path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// own fails unless f is an ordinary file of this account.
func own(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: f.Name(), Err: ErrIrregular}
	}
	return checkOwner(f.Name(), info)
}

// WriteNew writes a file that must not be there yet, and leaves none if it
// cannot be written whole.
func WriteNew(path string, b []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// Replace writes a file whole: beside it, synced, renamed over it. No reader
// sees half of it, and a file that was there keeps its owner.
func Replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = keepOwner(f, path)
	if err == nil {
		err = Restrict(f.Name())
	}
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// OwnDir makes a directory, or narrows the one that is there, to its owner, who
// must be the account that runs the program. The directory itself may be reached
// through a link.
func OwnDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := CheckDir(dir); err != nil {
		return err
	}
	return Restrict(dir)
}

// OwnSubdir is OwnDir for a directory inside one of the program's own, which is
// never a link.
func OwnSubdir(dir string) error {
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return &fs.PathError{Op: "open", Path: dir, Err: ErrLink}
	}
	return OwnDir(dir)
}

// CheckDir fails with an *OwnerError if a directory belongs to another account.
// One that is not there is nobody's.
func CheckDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return checkOwner(dir, info)
}

// Read reads an ordinary file of at most max bytes. Its content is in no error.
func Read(path string, max int64) ([]byte, error) {
	f, err := openToRead(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrIrregular}
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		err = &fs.PathError{Op: "read", Path: path, Err: ErrTooLarge}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ReadSecret is Read for a file that nobody else may read; else an
// *ExposedError.
func ReadSecret(path string, max int64) ([]byte, error) {
	if err := Judge(path, true); err != nil {
		return nil, err
	}
	return Read(path, max)
}

// ExposedError says what others could do with a file.
type ExposedError struct {
	Path  string
	Mode  fs.FileMode // of the file, or of the directory it is in
	Owner string      // "": not the trouble
	Read  bool        // others may read it
	Write bool        // others may write it or put another in its place
	Dir   bool        // because of the directory that it is in
}

func (e *ExposedError) Error() string {
	switch {
	case e.Dir:
		return fmt.Sprintf("%s: others may replace files in %s (mode %04o); %s", e.Path, filepath.Dir(e.Path), e.Mode.Perm(), e.Command())
	case e.Owner != "":
		return fmt.Sprintf("%s belongs to %s; %s", e.Path, e.Owner, e.Command())
	case e.Write:
		return fmt.Sprintf("%s: mode %04o lets others change it; %s", e.Path, e.Mode.Perm(), e.Command())
	}
	return fmt.Sprintf("%s: mode %04o lets others read it; %s", e.Path, e.Mode.Perm(), e.Command())
}

// Command returns the command that mends it, for a shell.
func (e *ExposedError) Command() string {
	switch {
	case e.Dir:
		return "chmod go-w " + Quote(filepath.Dir(e.Path))
	case e.Owner != "":
		return "chown root " + Quote(e.Path)
	case e.Read:
		return "chmod 600 " + Quote(e.Path)
	}
	return "chmod go-w " + Quote(e.Path)
}

// Quote returns a path as one word of a shell command.
func Quote(path string) string {
	for _, r := range path {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r > 0x7f:
		case r == '/' || r == '.' || r == '-' || r == '_' || r == '+' || r == ':' || r == '\\':
		default:
			return "'" + replaceQuotes(path) + "'"
		}
	}
	if path == "" {
		return "''"
	}
	return path
}

func replaceQuotes(s string) string {
	var out []byte
	for i := range len(s) {
		if s[i] == '\'' {
			out = append(out, `'\''`...)
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}
