package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

func init() { children["full"] = fullChild }

// fullChild runs with a mount namespace of its own and puts the queue on a
// memory file system of 24 MiB, which a neighbour fills to the last byte.
func fullChild(dir string) {
	must(0, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(0, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"))
	fillDisk(filepath.Join(dir, "watched"), 5<<20)    // more than the log ever takes
	fillDisk(filepath.Join(dir, "unwatched"), -1<<40) // SQLite itself meets the full disk
}

func fillDisk(dir string, minFree int64) {
	ctx := context.Background()
	q := must(Open(ctx, Options{Dir: dir, MinFree: minFree, Log: zerolog.Nop()}))
	defer q.Close()
	big := draft(0)
	plain := big.Body
	big.Body = func(s Stamp) ([]byte, error) {
		b, err := plain(s)
		return append(b, make([]byte, 5000)...), err
	}
	accepted := map[string]bool{}
	check := func(when string) {
		stored := map[string]bool{}
		for i, l := range must(q.List(ctx, ListFilter{Limit: 1 << 30})) {
			stored[l.ID] = true
			if l.Seq != uint64(i+1) {
				must(0, fmt.Errorf("%s: record %d has number %d", when, i+1, l.Seq))
			}
		}
		for id := range accepted {
			if !stored[id] {
				must(0, fmt.Errorf("%s: accepted %s is not stored", when, id))
			}
		}
		if len(stored) != len(accepted) {
			must(0, fmt.Errorf("%s: %d stored, %d accepted", when, len(stored), len(accepted)))
		}
		if r := must(q.Verify(ctx)); !r.OK {
			must(0, fmt.Errorf("%s: %v", when, r.Problems))
		}
	}
	tap := func(times int) (refused int) {
		for range times {
			a, err := q.Accept(ctx, big)
			switch {
			case err == nil:
				accepted[a.ID] = true
			case errors.Is(err, ErrFull):
				refused++
			default:
				must(0, err)
			}
		}
		return refused
	}
	hog := must(os.Create(filepath.Join(dir, "hog")))
	defer hog.Close()
	for round := range 4 {
		if n := tap(20); n > 0 {
			must(0, fmt.Errorf("round %d: %d taps refused with room on the disk", round, n))
		}
		for block := 64 << 10; block > 0; block /= 2 {
			for {
				if _, err := hog.WriteAt(make([]byte, block), must(hog.Stat()).Size()); err != nil {
					break
				}
			}
		}
		if minFree > 0 && !must(q.Stats(ctx)).Full {
			must(0, errors.New("the disk is full and Stats does not say so"))
		}
		refused := tap(400)                             // the log's own room is used up on the way
		if refused == 0 || minFree > 0 && tap(1) != 1 { // unwatched, a checkpoint may just have made room for it
			must(0, errors.New("a tap was accepted on a full disk"))
		}
		check("full")
		fmt.Printf("%s round %d: %d accepted, %d refused while full\n", filepath.Base(dir), round, len(accepted), refused)
		if round%2 == 1 { // a restart on a full disk
			must(0, q.Close())
			var err error
			for q, err = Open(ctx, Options{Dir: dir, MinFree: minFree, Log: zerolog.Nop()}); err != nil; {
				must(0, hog.Truncate(0))
				q = must(Open(ctx, Options{Dir: dir, MinFree: minFree, Log: zerolog.Nop()}))
				err = nil
			}
			check("after a restart")
		}
		must(0, hog.Truncate(0)) // and taps go on by themselves
	}
	if n := tap(20); n > 0 {
		must(0, fmt.Errorf("%d taps refused in the end", n))
	}
	check("end")
	for range accepted {
		r := must(q.Next(ctx, 1))[0]
		must(0, q.Delivered(ctx, ChainState{}, Ack{Row: r.Row, Stream: "S", Sequence: 1}))
	}
	check("delivered")
}

// TestFullDisk: on a small file system no tap is accepted that is not stored,
// and taps go on by themselves once there is room.
func TestFullDisk(t *testing.T) {
	cmd := child(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.Output()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
