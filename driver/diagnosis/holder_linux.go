package diagnosis

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const proc = "/proc"

// Holders lists the other processes that have a file open. Those of other users
// are seen by root only.
func Holders(path string) []Process {
	var want unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return nil
	}
	return holders(func(link string) bool {
		var got unix.Stat_t
		if unix.Stat(link, &got) != nil {
			return false
		}
		if want.Mode&unix.S_IFMT == unix.S_IFCHR { // a port may have several nodes
			return got.Mode&unix.S_IFMT == unix.S_IFCHR && got.Rdev == want.Rdev
		}
		return got.Dev == want.Dev && got.Ino == want.Ino
	})
}

// Listener finds the other process that listens on a TCP port of this machine;
// ok is false where there is none or it may not be seen.
func Listener(port uint16) (p Process, ok bool) {
	sockets := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		listening(filepath.Join(proc, "net", table), port, sockets)
	}
	list := holders(func(link string) bool {
		target, err := os.Readlink(link)
		return err == nil && sockets[target]
	})
	if len(list) == 0 {
		return Process{}, false
	}
	return list[0], true
}

// listening collects the sockets that listen on a port, as links of /proc/*/fd
// name them.
func listening(table string, port uint16, sockets map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		const listen = "0A"
		if len(fields) < 10 || fields[3] != listen {
			continue
		}
		if _, hex, ok := strings.Cut(fields[1], ":"); ok && strings.EqualFold(hex, fmt.Sprintf("%04X", port)) {
			sockets["socket:["+fields[9]+"]"] = true
		}
	}
}

// holders lists the other processes with a descriptor that fits.
func holders(fits func(link string) bool) []Process {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var list []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		fds, err := os.ReadDir(filepath.Join(proc, e.Name(), "fd"))
		if err != nil {
			continue // another user's, or gone
		}
		for _, fd := range fds {
			if fits(filepath.Join(proc, e.Name(), "fd", fd.Name())) {
				list = append(list, FindProcess(pid))
				break
			}
		}
	}
	return list
}

// FindProcess names a process.
func FindProcess(pid int) Process {
	p := Process{PID: pid, Name: "?"}
	dir := filepath.Join(proc, strconv.Itoa(pid))
	if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil {
		p.Name = strings.TrimSpace(string(comm))
	}
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
		p.Exe = strings.TrimSuffix(exe, " (deleted)")
	}
	return p
}

// Running reports whether a process of that number is there.
func Running(pid int) bool {
	_, err := os.Stat(filepath.Join(proc, strconv.Itoa(pid)))
	return err == nil
}
