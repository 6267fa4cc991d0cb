//go:build unix

package securefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// write makes a file with exactly this mode.
func write(t *testing.T, path string, mode fs.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLinksAreNotFollowed: whatever stands in the place of a file to be written,
// what it points at stays as it is.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	victim := write(t, filepath.Join(dir, "victim"), 0o644)
	link, dangling, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "dangling"), filepath.Join(dir, "pipe")
	for path, to := range map[string]string{link: victim, dangling: filepath.Join(dir, "made")} {
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, openIt := range map[string]func(string) (*os.File, error){"Open": Open, "Append": Append} {
		for path, want := range map[string]error{link: ErrLink, dangling: ErrLink, pipe: ErrIrregular} {
			f, err := openIt(path)
			if err == nil {
				f.Close()
			}
			if !errors.Is(err, want) && !(path == pipe && errors.Is(err, syscall.ENXIO)) {
				t.Errorf("%s(%s) = %v, want %v", name, filepath.Base(path), err, want)
			}
		}
	}
	if _, err := Create(link); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of a link = %v, want fs.ErrExist", err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.Symlink(t.TempDir(), sub); err != nil {
		t.Fatal(err)
	}
	if err := OwnSubdir(sub); !errors.Is(err, ErrLink) {
		t.Errorf("OwnSubdir of a link = %v, want ErrLink", err)
	}
	if info, err := os.Stat(victim); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the victim's mode is %v, %v, want 0644", info.Mode(), err)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "old" {
		t.Errorf("the victim holds %q, %v, want what it held", b, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "made")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made through the link: %v", err)
	}
}

// TestReplace: whole, its owner's, and no new file beside it.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "key"), 0o644)
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if info, _ := os.Stat(path); err != nil || string(b) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("the file holds %q, %v, mode %v, want new and 0600", b, err, info.Mode())
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%d files in the directory, %v, want 1", len(list), err)
	}
}

// TestAnothersFiles: with a real second account, which only root can set up.
func TestAnothersFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: no file can be given to another account here")
		return
	}
	const nobody = 65534
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "f"), 0o666)
	for _, p := range []string{path, dir} {
		if err := os.Chown(p, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	var other *OwnerError
	for name, err := range map[string]error{"Open": second(Open(path)), "Append": second(Append(path)), "OwnDir": OwnDir(dir), "CheckDir": CheckDir(dir)} {
		if !errors.As(err, &other) || other.UID != nobody {
			t.Errorf("%s = %v, want an OwnerError of %d", name, err, nobody)
		}
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid := ownerOf(info); uid != nobody || gid != nobody {
		t.Errorf("Replace left the file to %d:%d, want %d", uid, gid, nobody)
	}
	var exposed *ExposedError
	if err := Judge(path, false); !errors.As(err, &exposed) || exposed.Owner == "" {
		t.Errorf("Judge of another's file = %v, want its owner", err)
	}
}

func second(_ *os.File, err error) error { return err }

// TestJudge: who else could read or write.
func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		mode, dir   fs.FileMode
		secret      bool
		read, write bool
	}{
		{0o600, 0o700, true, false, false},
		{0o400, 0o755, true, false, false},
		{0o644, 0o755, false, false, false},
		{0o644, 0o755, true, true, false},
		{0o640, 0o755, true, true, false}, // a group of this account's own file
		{0o620, 0o755, false, false, true},
		{0o602, 0o755, false, false, true},
		{0o666, 0o755, true, true, true},
		{0o600, 0o777, true, false, true},
		{0o600, 0o777 | fs.ModeSticky, true, false, false},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := write(t, filepath.Join(dir, "f"), tt.mode)
		if err := os.Chmod(dir, tt.dir); err != nil {
			t.Fatal(err)
		}
		err := Judge(path, tt.secret)
		var e *ExposedError
		if !errors.As(err, &e) {
			e = &ExposedError{}
		}
		if e.Read != tt.read || e.Write != tt.write || (err == nil) != (!tt.read && !tt.write) {
			t.Errorf("Judge(%04o in %04o, secret %v) = %v, want read %v, write %v", tt.mode, tt.dir, tt.secret, err, tt.read, tt.write)
		}
		if err != nil && !strings.Contains(err.Error(), e.Command()) {
			t.Errorf("%q does not say %q", err, e.Command())
		}
	}
}

// TestReadSecret: an ordinary file, through a link too, bounded, unexposed.
func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good"), 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{good, link} {
		if b, err := ReadSecret(path, 3); err != nil || string(b) != "old" {
			t.Errorf("ReadSecret(%s) = %q, %v, want old", path, b, err)
		}
	}
	if _, err := ReadSecret(good, 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("ReadSecret beyond its bound = %v, want ErrTooLarge", err)
	}
	if _, err := ReadSecret(dir, 9); !errors.Is(err, ErrIrregular) && !errors.As(err, new(*ExposedError)) {
		t.Errorf("ReadSecret of a directory = %v, want ErrIrregular", err)
	}
	if _, err := ReadSecret(write(t, filepath.Join(dir, "open"), 0o644), 9); !errors.As(err, new(*ExposedError)) {
		t.Errorf("ReadSecret of an open file = %v, want an ExposedError", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if Locked(path) {
		t.Error("Locked before anybody had the lock")
	}
	if err := Lock(first); err != nil {
		t.Fatal(err)
	}
	other, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := Lock(other); !errors.Is(err, ErrLocked) || !Locked(path) {
		t.Errorf("a second Lock = %v, Locked = %v, want ErrLocked and true", err, Locked(path))
	}
	first.Close()
	if Locked(path) {
		t.Error("Locked after the lock was given back")
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"/a/b.c": "/a/b.c", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "/数据": "/数据", "$x": "'$x'"} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}
