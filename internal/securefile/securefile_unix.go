//go:build unix

package securefile

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func openNoFollow(path string, flags int) (*os.File, error) {
	// O_NONBLOCK: a named pipe in the file's place must not hold the caller up.
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrLink}
	}
	return f, err
}

func openToRead(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

func ownerOf(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

func checkOwner(path string, info fs.FileInfo) error {
	uid, _ := ownerOf(info)
	if uid == os.Geteuid() {
		return nil
	}
	e := &OwnerError{Path: path, UID: uid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		e.Owner = u.Username
	}
	return e
}

// keepOwner gives f the owner of the file at path, if there is one.
func keepOwner(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // a new file is its maker's
	}
	uid, gid := ownerOf(info)
	if uid == os.Geteuid() {
		return nil
	}
	return f.Chown(uid, gid)
}

// Restrict leaves a file or directory to its owner: 0600 or 0700.
func Restrict(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	want := fs.FileMode(0o600)
	if info.IsDir() {
		want = 0o700
	}
	if info.Mode().Perm() == want {
		return nil
	}
	return os.Chmod(path, want)
}

// SyncDir makes a rename in dir survive a power cut.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Judge returns an *ExposedError if others could change a file or put another in
// its place, or could read one that is secret. Others are all accounts but this
// one and root. A group may read what somebody else has handed to this account
// through it (root:idtap 0640).
func Judge(path string, secret bool) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	uid, gid := ownerOf(info)
	e := &ExposedError{Path: path, Mode: info.Mode()}
	if uid != os.Geteuid() && uid != 0 {
		e.Owner = strconv.Itoa(uid)
		if u, err := user.LookupId(e.Owner); err == nil {
			e.Owner = u.Username
		}
		e.Read, e.Write = true, true
		return e
	}
	e.Write = info.Mode().Perm()&0o022 != 0
	readers := fs.FileMode(0o044)
	if uid != os.Geteuid() && gid == os.Getegid() {
		readers = 0o004
	}
	e.Read = secret && info.Mode().Perm()&readers != 0
	if e.Write || e.Read {
		return e
	}
	dir, err := os.Stat(filepath.Dir(real))
	if err != nil {
		return err
	}
	if dir.Mode().Perm()&0o022 != 0 && dir.Mode()&fs.ModeSticky == 0 {
		e.Dir, e.Write, e.Mode, e.Path = true, true, dir.Mode(), real
		return e
	}
	return nil
}
