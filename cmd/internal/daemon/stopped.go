package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"idtap/cmd/internal/preflight"
	"idtap/driver/diagnosis"
	"idtap/internal/text"
	"idtap/publisher/outbox"
)

var (
	daemonStopped = diagnosis.NewEntry(texts, "daemon_stopped", diagnosis.Critical)
	daemonHung    = diagnosis.NewEntry(texts, "daemon_hung", diagnosis.Critical)
)

// presence is how this desk's daemon is, seen from another program.
type presence int

const (
	absent    presence = iota
	hung               // it has the queue's lock and does not answer
	strangers          // the queue's directory is closed to this account: there may be one
)

// presence looks at the queue's lock, whose file says who has it.
func (g *Examiner) presence() (p presence, pid int) {
	dir := g.cfg.Outbox.Dir
	if _, err := os.ReadDir(dir); errors.Is(err, fs.ErrPermission) {
		return strangers, 0
	}
	if pid = outbox.Owner(dir); pid != 0 && diagnosis.Running(pid) && outbox.Held(dir) {
		return hung, pid
	}
	return absent, 0
}

// daemonCheck looks for the daemon of this desk. One that does not run comes
// before everything else: nothing is registered then, whatever is well.
func (g *Examiner) daemonCheck() diagnosis.Check {
	return diagnosis.Check{Name: "daemon", Group: diagnosis.System, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		running := texts.Say("daemon")
		if g.live != nil {
			s.Fact(running, "pid %d, %s", os.Getpid(), g.clock.Since(g.live.started).Round(time.Second))
			return
		}
		switch p, pid := g.presence(); p {
		case hung:
			e := daemonHung
			if g.service(ctx).unit {
				e.Do = text.Plain("sudo systemctl restart idtap")
			} else {
				e.Do = texts.Say("kill_and_start", pid)
			}
			s.Find(e, fmt.Sprintf("pid %d", pid))
		case strangers:
			s.Fact(running, "?") // the queue's check says whose directory it is
		case absent:
			s.Fact(running, "-")
			g.stopped(ctx, s)
		}
	}}
}

// stopped says that no daemon runs, why the last one ended, and how to start it.
func (g *Examiner) stopped(ctx context.Context, s *diagnosis.Sheet) {
	var details []any
	var faults []diagnosis.Finding
	e := daemonStopped
	service := g.service(ctx)
	if service.unit {
		e.Do = text.Plain("sudo systemctl start idtap")
	}
	owner := ""
	for _, f := range append(preflight.Files(g.cfg), preflight.Ports(g.cfg)...) {
		if strings.HasPrefix(f.Key, "nats.") && g.cfg.NATS.URL != "" && !f.Blocks && f.Code != "file_exposed" {
			continue // the check of the bus says it
		}
		if f.Key == "outbox.dir" && f.Code == "data_foreign" || service.unit && f.Code == "data_denied" {
			owner = f.Owner // it starts as that account, whoever asks here
			continue
		}
		faults = append(faults, f.Finding)
		if f.Blocks {
			details = append(details, texts.Say("cannot_start", f.Code, f.Subject))
			e.Do = text.Join(f.Do, e.Do)
		}
	}
	if owner != "" && !service.unit {
		e.Do = text.Join(e.Do, text.Plain("sudo -u "+owner+" idtap run"))
	}
	if service.said != "" {
		details = append(details, "systemd: "+service.said)
	}
	if last := lastFatal(g.cfg.Log.File); last != "" && len(details) == 0 {
		details = append(details, texts.Say("last_word", last))
	}
	s.Find(e, "", details...)
	s.Add(faults...)
}

// service is what the service manager knows of idtap.
type service struct {
	unit bool   // there is a unit
	said string // its state and last error
}

// managerWait bounds the question to the service manager.
const managerWait = 2 * time.Second

// service asks systemd, where there is one.
func (g *Examiner) service(ctx context.Context) service {
	if runtime.GOOS != "linux" || g.brief {
		return service{}
	}
	ctx, cancel := context.WithTimeout(ctx, managerWait)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "idtap.service", "-p", "LoadState,ActiveState,SubState,Result,ExecMainStatus").Output()
	if err != nil {
		return service{}
	}
	return parseUnit(string(out))
}

// parseUnit reads what systemctl show prints.
func parseUnit(out string) service {
	v := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		v[name] = value
	}
	if v["LoadState"] != "loaded" {
		return service{}
	}
	said := v["ActiveState"] + " (" + v["SubState"] + ")"
	if r := v["Result"]; r != "" && r != "success" {
		said += ", " + r + " " + v["ExecMainStatus"]
	}
	return service{unit: true, said: said}
}

// lastPart is how much of a log's end is searched.
const lastPart = 64 << 10

// lastFatal returns the last fatal line of a log file, "" if there is none or a
// daemon has started and run since.
func lastFatal(path string) string {
	if path == "" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	} else if info.Size() > lastPart {
		if _, err := f.Seek(-lastPart, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, lastPart))
	if err != nil {
		return ""
	}
	last := ""
	for line := range bytes.Lines(b) {
		var l struct{ Level, Error string }
		if json.Unmarshal(line, &l) != nil {
			_, rest, found := strings.Cut(string(line), "idtap ends") // the console's form
			if found {
				l.Level, l.Error = "fatal", strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), "error="))
			}
		}
		if l.Level == "fatal" {
			last = l.Error
		}
	}
	return last
}
