package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// giveAway gives a directory and what is in it to another account.
func giveAway(t *testing.T, dir string) {
	t.Helper()
	const nobody = 65534
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot lists what is in a directory: names, owners, modes, sizes.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b.WriteString(strings.Join([]string{path, info.Mode().String(), info.ModTime().String()}, " "))
		b.WriteString(" " + time.Duration(info.Sys().(*syscall.Stat_t).Uid).String() + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRootLeavesAnothersQueueAlone: root's commands change nothing in a
// directory that another account may have prepared, and say what works.
func TestRootLeavesAnothersQueueAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: no directory can be given to another account here")
		return
	}
	file, queue := deskFile(t, mockReader)
	fillQueue(t, queue, time.Now())
	victim := filepath.Join(t.TempDir(), "victim")
	writeFile(t, victim, "precious")
	for _, name := range []string{"outbox.lock", "outbox.head"} { // as its owner could plant them
		os.Remove(filepath.Join(queue, name))
		if err := os.Symlink(victim, filepath.Join(queue, name)); err != nil {
			t.Fatal(err)
		}
	}
	giveAway(t, queue)
	before := snapshot(t, queue)
	for _, args := range [][]string{
		{"outbox", "rotate-key", "-c", file}, {"outbox", "requeue", "-c", file, "--from", "1", "--to", "2"},
		{"outbox", "discard", "-c", file, "x"}, {"outbox", "adopt", "-c", file}, {"run", "-c", file},
	} {
		code, _, errs := executeIn(t, t.TempDir(), args...)
		if want := "sudo -u nobody idtap " + strings.Join(args, " "); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%q = %d, %q, want %d and %q", args, code, errs, exitFailed, want)
		}
	}
	if after := snapshot(t, queue); after != before {
		t.Errorf("the directory was changed:\n%s\nwas\n%s", after, before)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the victim holds %q, %v, want what it held", b, err)
	}
}
