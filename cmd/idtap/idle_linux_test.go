package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"idtap/driver/mock"
)

// BenchmarkIdle runs the built binary with one simulated reader on a pty and
// nobody tapping, and measures its memory and processor time from outside.
func BenchmarkIdle(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "idtap")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	server := externalServer(b)
	for _, tt := range []struct{ name, url string }{{"Client", server.ConnectedUrl()}, {"Embedded", ""}} {
		b.Run(tt.name, func(b *testing.B) {
			module := mock.NewModule(mock.Options{Timing: mock.DeskTiming})
			pty, err := mock.OpenPTY(module)
			if err != nil {
				b.Fatal(err)
			}
			go pty.Serve(b.Context())
			dir := b.TempDir()
			file := filepath.Join(dir, "desk.yaml")
			text := fmt.Sprintf("desk: {id: idle, division: \"410105\"}\nreaders: [{name: front, driver: serial, port: %s, baud: 115200}]\n"+
				"nats: {url: %q}\noutbox: {dir: %s}\ndesk_page: {listen: 127.0.0.1:0}\n", pty.Address(), tt.url, filepath.Join(dir, "state"))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			cmd := exec.Command(binary, "run", "-c", file, "--log-format", "json")
			log, err := cmd.StderrPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Signal(os.Interrupt)
			for lines := bufio.NewScanner(log); lines.Scan(); {
				if strings.Contains(lines.Text(), `"state":"ready"`) {
					break
				}
			}
			go func() { // the daemon must not block on its log
				for lines := bufio.NewScanner(log); lines.Scan(); {
				}
			}()
			var cpu time.Duration
			var elapsed time.Duration
			for b.Loop() {
				before, start := processTime(b, cmd.Process.Pid), time.Now()
				<-time.After(10 * time.Second) // what is measured: ten idle seconds
				cpu += processTime(b, cmd.Process.Pid) - before
				elapsed += time.Since(start)
			}
			b.ReportMetric(100*float64(cpu)/float64(elapsed), "idle-CPU-%")
			b.ReportMetric(residentMiB(b, cmd.Process.Pid), "RSS-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// processTime is user and system time of a process, from /proc/PID/stat.
func processTime(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}

func residentMiB(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kib) / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
