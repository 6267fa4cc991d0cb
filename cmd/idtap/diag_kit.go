package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"idtap/driver/sam"
	"idtap/driver/trace"
	"idtap/driver/trace/guard"
	"idtap/internal/securefile"
)

// kitWait bounds one step of the kit: a reader that does not show what was asked
// for is worth a file, too.
const kitWait = 60 * time.Second

// enough is how many answers of a kind make a step seen.
const enough = 3

// kitStep is one thing that the person does, and what the wire then shows.
type kitStep struct {
	name string // its text is kit.<name>
	seen func(w wireSeen) bool
}

var kitSteps = []kitStep{
	{"empty", func(w wireSeen) bool { return w.empty >= enough }},
	{"card", func(w wireSeen) bool { return w.reads > 0 && w.others >= enough }},
	{"lifted", func(w wireSeen) bool { return w.empty >= enough }},
	{"again", func(w wireSeen) bool { return w.reads > 0 && w.others >= enough }},
	{"lifted_again", func(w wireSeen) bool { return w.empty >= enough }},
}

// wireSeen counts answers since a step began.
type wireSeen struct{ empty, reads, others int }

// kitWire is a trace while it is written: what passed so far.
type kitWire struct {
	mu      sync.Mutex // guards all below
	text    bytes.Buffer
	line    []byte
	command sam.Code
	frames  sam.Sniffer
	seen    wireSeen
	last    int64 // microseconds since the trace began
	changed chan struct{}
}

// Write takes the trace's lines; it implements io.Writer and never fails.
func (w *kitWire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	w.line = append(w.line, p...)
	for {
		line, rest, whole := bytes.Cut(w.line, []byte("\n"))
		if !whole {
			break
		}
		w.note(line)
		w.line = rest
	}
	close(w.changed)
	w.changed = make(chan struct{})
	return len(p), nil
}

// note counts what a line of the trace shows.
func (w *kitWire) note(line []byte) {
	var l struct {
		At  int64  `json:"t_us"`
		Dir string `json:"dir"`
		Hex string `json:"hex"`
	}
	json.Unmarshal(line, &l) // the first line has none of these
	p, err := hex.DecodeString(l.Hex)
	if err != nil || len(p) == 0 {
		return
	}
	w.last = l.At
	if l.Dir == "tx" {
		s := sam.Sniffer{Commands: true}
		s.Write(p)
		if b, ok := s.Next(); ok {
			w.command = b.Code()
		}
		return
	}
	w.frames.Write(p)
	for {
		b, ok := w.frames.Next()
		if !ok {
			return
		}
		switch s := b.Status(); {
		case w.command == sam.CmdFind && s.SW3 == sam.NoCard:
			w.seen.empty++
		case w.command == sam.CmdReadText && s.SW3 == sam.OK:
			w.seen.reads++
		default:
			w.seen.others++
		}
	}
}

// await waits until a step is seen.
func (w *kitWire) await(ctx context.Context, s kitStep, limit time.Duration) trace.Part {
	w.mu.Lock()
	w.seen = wireSeen{}
	part := trace.Part{Name: s.name, From: w.last}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		w.mu.Lock()
		part.Seen = s.seen(w.seen)
		changed := w.changed
		w.mu.Unlock()
		if part.Seen || ctx.Err() != nil {
			return part
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// kitTo walks a person through the steps and writes the kit's file. A file that
// the second check takes for unsafe is not written.
func (a *app) kitTo(ctx context.Context, file string, device []string, record func(ctx context.Context, personal bool, w io.Writer) error) error {
	fail := func(err error) error { return &exitError{diagUnknown, fmt.Errorf("--kit: %w", err)} }
	out, err := securefile.Create(file)
	if err != nil {
		return fail(err)
	}
	written := false
	defer func() {
		out.Close()
		if !written {
			os.Remove(file)
		}
	}()
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	w := &kitWire{changed: make(chan struct{})}
	recorded := make(chan error, 1)
	go func() { recorded <- record(recording, false, w) }()
	var parts []trace.Part
	for _, s := range kitSteps {
		fmt.Fprintln(a.err, a.say("kit."+s.name))
		part := w.await(ctx, s, kitWait)
		if ctx.Err() != nil {
			stop()
			<-recorded
			return fail(ctx.Err())
		}
		if !part.Seen {
			fmt.Fprintln(a.err, a.say("kit_not_seen"))
		}
		parts = append(parts, part)
	}
	stop()
	if err := <-recorded; err != nil {
		return fail(err)
	}
	t, err := trace.Read(&w.text)
	if err != nil {
		return fail(err)
	}
	t.Header.Kit = &trace.Kit{Program: "idtap " + version, System: system(), Module: moduleOf(t), Device: device, Parts: parts, Timings: timings(t)}
	t.Header.Obtained = strings.Replace(t.Header.Obtained, "--capture", "--kit", 1)
	var whole bytes.Buffer
	if err := t.Write(&whole); err != nil {
		return fail(err)
	}
	if found := guard.Check(whole.Bytes()); len(found) > 0 {
		return fail(texts.Errorf("kit_unsafe", found[0].Line, found[0].What))
	}
	if _, err := out.Write(whole.Bytes()); err != nil {
		return fail(err)
	}
	written = true
	if err := out.Close(); err != nil {
		return fail(err)
	}
	fmt.Fprintln(a.err, a.say("kit_done"))
	fmt.Fprintln(a.out, file)
	return nil
}

// system names kernel and processor.
func system() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	return fmt.Sprintf("%s %s %s", runtime.GOOS, strings.TrimSpace(string(release)), runtime.GOARCH)
}

// exchanges calls do with each request of a trace and the frame that answers it.
func exchanges(t trace.Trace, do func(code sam.Code, answer sam.Body, took time.Duration)) {
	var code sam.Code
	var sent time.Duration
	var frames sam.Sniffer
	for _, s := range t.Steps {
		if s.Sent {
			request := sam.Sniffer{Commands: true}
			request.Write(s.Bytes)
			if b, ok := request.Next(); ok {
				code, sent = b.Code(), s.At
			}
			continue
		}
		frames.Write(s.Bytes)
		if b, ok := frames.Next(); ok && code != 0 {
			do(code, b, s.At-sent)
			code = 0
		}
	}
}

// moduleOf is the module's number as it gave it.
func moduleOf(t trace.Trace) string {
	number := ""
	exchanges(t, func(code sam.Code, b sam.Body, _ time.Duration) {
		if code == sam.CmdSAMID && b.Status().SW3 == sam.OK && len(b.Data()) == len(sam.ID{}) {
			number = sam.ID(b.Data()).String()
		}
	})
	return number
}

func timings(t trace.Trace) map[string]trace.Timing {
	took := map[string][]int64{}
	exchanges(t, func(code sam.Code, _ sam.Body, d time.Duration) {
		key := fmt.Sprintf("%04X", uint16(code))
		took[key] = append(took[key], d.Microseconds())
	})
	list := map[string]trace.Timing{}
	for key, all := range took {
		slices.Sort(all)
		list[key] = trace.Timing{Count: len(all), Min: all[0], Median: all[len(all)/2], Max: all[len(all)-1]}
	}
	return list
}
