package outbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
)

// The tests below run this test binary again as another process, to kill it, to
// trace it or to give it a file system of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv("OUTBOX_CHILD"); role != "" {
		children[role](os.Getenv("OUTBOX_DIR"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var children = map[string]func(dir string){"append": appendChild, "serial": serialChild, "lock": lockChild}

// child is the command that runs one of children.
func child(t testing.TB, role, dir string, wrap ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrap, self)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "OUTBOX_CHILD="+role, "OUTBOX_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// must ends a child with what went wrong.
func must[T any](v T, err error) T {
	if err != nil {
		_, _, line, _ := runtime.Caller(1)
		fmt.Fprintf(os.Stderr, "child, line %d: %v\n", line, err)
		os.Exit(3)
	}
	return v
}

func childQueue(dir string) *Queue {
	return must(Open(context.Background(), Options{Dir: dir, MinFree: 1, RepeatWindow: time.Hour, Log: zerolog.Nop()}))
}

// said is a line that a child prints once Accept has returned.
type said struct {
	ID, Epoch, Content string
	Seq                uint64
}

// appendChild accepts from four readers at once, and delivers beside them, until
// it is killed.
func appendChild(dir string) {
	q := childQueue(dir)
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	base := os.Getpid() * 1_000_000
	for reader := range 4 {
		go func() {
			for n := 0; ; n++ {
				content := fmt.Sprint(base + reader*100_000 + n)
				a := must(q.Accept(context.Background(), card(n, content)))
				mu.Lock()
				out.Encode(said{a.ID, a.Epoch, content, a.Seq})
				mu.Unlock()
				if n%7 == 0 {
					must(q.Quarantine(context.Background(), Quarantined{Reader: "r", Body: []byte("{}")}))
				}
			}
		}()
	}
	for {
		var acks []Ack
		var chain ChainState
		for _, r := range must(q.Next(context.Background(), 5)) {
			acks = append(acks, Ack{Row: r.Row, Stream: "S", Sequence: uint64(r.Row)})
			chain = ChainState{Filter: r.Filter, StreamCreated: testStart, LastSequence: uint64(r.Row)}
		}
		must(0, q.Delivered(context.Background(), chain, acks...))
	}
}

// stored gives every record of a queue by id, and holds its numbers to the
// promise: no gap, none twice.
func stored(t testing.TB, q *Queue) map[string]Listed {
	t.Helper()
	list, err := q.List(context.Background(), ListFilter{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Listed{}
	for i, l := range list {
		if l.Seq != uint64(i+1) || l.Row != int64(i+1) || l.Epoch != list[0].Epoch {
			t.Fatalf("record %d has row %d, seq %d, epoch %s", i+1, l.Row, l.Seq, l.Epoch)
		}
		all[l.ID] = l
	}
	return all
}

func TestKilledAtRandom(t *testing.T) {
	dir := t.TempDir()
	accepted := map[string]said{}
	for round := range 10 * faults() {
		cmd := child(t, "append", dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop := 1 + rand.IntN(60)
		lines := bufio.NewScanner(pipe)
		for n := 0; lines.Scan(); n++ {
			var s said
			if json.Unmarshal(lines.Bytes(), &s) != nil {
				continue // cut off by the kill: not said
			}
			accepted[s.ID] = s
			if n == stop {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()

		q := openTest(t, Options{Dir: dir, RepeatWindow: time.Hour, Clock: clockwork.NewRealClock()})
		all := stored(t, q)
		for id, s := range accepted {
			if l, ok := all[id]; !ok || l.Seq != s.Seq || l.Epoch != s.Epoch {
				t.Fatalf("round %d: accepted %s seq %d is not stored", round, id, s.Seq)
			}
		}
		verify(t, q)
		st := stats(t, q)
		if st.Fault != "" || st.Gaps != 0 {
			t.Fatalf("round %d: a kill was taken for damage: %+v", round, st)
		}
		// The chain never runs ahead of what is marked.
		if c, ok, err := q.Chain(t.Context(), testFilter); err != nil || ok && c.LastSequence != uint64(st.Delivered) {
			t.Fatalf("round %d: chain at %d, %d delivered: %v", round, c.LastSequence, st.Delivered, err)
		}
		// What was accepted is remembered by the repeat rule.
		for _, s := range accepted {
			if a := accept(t, q, card(0, s.Content)); !a.Repeated || a.Earlier.ID != s.ID {
				t.Fatalf("round %d: the repeat rule forgot %s", round, s.ID)
			}
			break
		}
		q.Close()
	}
	t.Logf("%d records accepted over the kills, all stored", len(accepted))
}

// Copies of the files at random moments are what a power cut leaves, given that
// what was synced is there (TestSyncedBeforeAccepted); behind the last sync
// anything may be missing or zero.
func TestPowerCutSnapshots(t *testing.T) {
	from := memDir(t)
	q := openTest(t, Options{Dir: from, Clock: clockwork.NewRealClock()})
	type snapshot struct {
		dir      string
		accepted int
		wal      int64 // size of the log when that many were accepted
	}
	var shots []snapshot
	ids := []string{}
	for n := range 120 {
		ids = append(ids, accept(t, q, draft(n)).ID)
		if n%5 == 0 && n > 0 {
			r := next(t, q)
			if err := q.Delivered(t.Context(), ChainState{}, Ack{Row: r.Row, Stream: "S", Sequence: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if rand.IntN(10) == 0 {
			dir := memDir(t)
			copyDir(t, from, dir)
			fi, err := os.Stat(filepath.Join(dir, dbName+"-wal"))
			if err != nil {
				t.Fatal(err)
			}
			shots = append(shots, snapshot{dir, n + 1, fi.Size()})
		}
	}
	for i, s := range shots {
		// One more commit was under way: a torn frame of garbage or zeros follows
		// what was synced.
		f, err := os.OpenFile(filepath.Join(s.dir, dbName+"-wal"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		torn := make([]byte, rand.IntN(2*pageSize))
		if i%2 == 0 {
			for j := range torn {
				torn[j] = byte(rand.Uint32())
			}
		}
		f.Write(torn)
		f.Close()
		if i%3 == 0 {
			os.Remove(filepath.Join(s.dir, headName)) // never synced: it may be missing
		}
		after := openTest(t, Options{Dir: s.dir})
		all := stored(t, after)
		for _, id := range ids[:s.accepted] {
			if _, ok := all[id]; !ok {
				t.Fatalf("snapshot %d: accepted %s is missing", i, id)
			}
		}
		if st := stats(t, after); st.Fault != "" {
			t.Fatalf("snapshot %d: a power cut was taken for damage", i)
		}
		accept(t, after, draft(0))
		verify(t, after)
		after.Close()
	}
	t.Logf("%d snapshots", len(shots))
}

// serialChild accepts one record after the other.
func serialChild(dir string) {
	q := childQueue(dir)
	for n := range 60 {
		must(q.Accept(context.Background(), card(n, fmt.Sprint(n))))
		os.Stdout.WriteString("accepted\n")
	}
	os.Stdout.WriteString("done\n")
}

// TestSyncedBeforeAccepted traces the system calls of another process: each
// answer comes after the log was written and then synced, with nothing written
// to it since. It proves the order of calls, not what a disk makes of them.
func TestSyncedBeforeAccepted(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is needed to prove the order of syncs (make test installs it)")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := child(t, "serial", t.TempDir(), strace, "-f", "-y", "-qq", "-o", trace, "-e", "trace=write,pwrite64,fsync,fdatasync")
	if out, err := cmd.Output(); err != nil || !bytes.HasSuffix(out, []byte("done\n")) {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := syncOrder(string(b)); err != nil || n != 60 {
		t.Fatalf("%d answers: %v", n, err)
	}
	// The check can fail: without the syncs it does.
	if _, err := syncOrder(regexp.MustCompile("(?m)^.*sync.*$").ReplaceAllString(string(b), "")); err == nil {
		t.Fatal("a trace without syncs passed")
	}
}

// syncOrder reads a trace and gives the number of answers before the first one
// that came too early.
func syncOrder(trace string) (answers int, err error) {
	var written, synced bool       // since the answer before
	pending := map[string]string{} // thread -> call that has not returned yet
	for _, line := range strings.Split(trace, "\n") {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if head, ok := strings.CutSuffix(call, "<unfinished ...>"); ok {
			pending[thread] = head
			if !strings.Contains(head, "pwrite64(") && !strings.Contains(head, "write(1<") {
				continue // counts when it returns
			}
			call = head
		} else if _, rest, ok := strings.Cut(call, "resumed>"); ok {
			call = pending[thread] + rest
			if !strings.Contains(call, "sync(") {
				continue // counted when it began
			}
		}
		isLog := strings.Contains(call, dbName+"-wal>")
		switch {
		case strings.HasPrefix(call, "pwrite64(") && isLog:
			written, synced = true, false
		case strings.Contains(call, "sync(") && isLog && strings.HasSuffix(call, "= 0"):
			synced = true
		case strings.HasPrefix(call, "write(1<") && strings.Contains(call, "accepted"):
			if !written || !synced {
				return answers, fmt.Errorf("answer %d: log written %v, synced %v", answers+1, written, synced)
			}
			answers++
			written, synced = false, false
		}
	}
	return answers, nil
}

func lockChild(dir string) {
	q := childQueue(dir)
	fmt.Println("open")
	bufio.NewReader(os.Stdin).ReadByte()
	q.Close()
}

func TestSecondDaemonIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "lock", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatal(line, err)
	}
	_, err = Open(t.Context(), Options{Dir: dir})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid || locked.Dir != dir {
		t.Fatalf("second daemon: %v", err)
	}
	for _, word := range []string{fmt.Sprint(cmd.Process.Pid), dir, "stop it", "outbox.dir"} {
		if !bytes.Contains([]byte(err.Error()), []byte(word)) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	// Looking in is allowed beside it.
	v, err := OpenView(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	stats(t, v)
	v.Close()
	in.Write([]byte("\n"))
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	openTest(t, Options{Dir: dir})
}
