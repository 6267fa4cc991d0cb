package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// outboxDesk is a configuration whose queue holds n recorded events.
func outboxDesk(t *testing.T, n int) (dir, file string, ids []string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "idtap.yaml")
	queue := filepath.Join(dir, "queue")
	if err := os.WriteFile(file, []byte("desk: {id: test-desk}\noutbox: {dir: "+queue+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: queue})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for i := range n {
		a, err := q.Accept(t.Context(), outbox.Draft{Type: event.RecordedType, Source: "/idtap/test-desk/front",
			Subject: "idtap.v1.recorded._._._.test-desk.62.6204.620422", Filter: "idtap.v1.*._._._.test-desk.>", Kind: "resident", Status: "clean",
			Body: func(s outbox.Stamp) ([]byte, error) {
				return fmt.Appendf(nil, `{"test":true,"desk":{"id":"test-desk","reader":"front","epoch":%q,"seq":%d},"person":{"name":"测试%d"}}`, s.Epoch, s.Seq, i), nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	return dir, file, ids
}

// changeQueue does to a desk's queue what a daemon would have done.
func changeQueue(t *testing.T, dir string, do func(*outbox.Queue)) {
	t.Helper()
	q, err := outbox.Open(t.Context(), outbox.Options{Dir: filepath.Join(dir, "queue")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	do(q)
}

func TestOutboxLooksBesideTheDaemon(t *testing.T) {
	dir, file, ids := outboxDesk(t, 3)
	changeQueue(t, dir, func(q *outbox.Queue) {
		if _, err := q.Quarantine(t.Context(), outbox.Quarantined{Reader: "front", Kind: "resident", Codes: []string{"number_checksum"}, Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		for _, lang := range []string{"en", "zh"} {
			for verb, want := range map[string]string{
				"stats": "3", "list": ids[2], "verify": map[string]string{"en": "ok", "zh": "完好"}[lang], "quarantine": "number_checksum",
			} {
				code, out, errs := executeIn(t, dir, "outbox", verb, "-c", file, "--lang", lang)
				if code != exitOK || errs != "" || !strings.Contains(out, want) || strings.Contains(out, "测试") {
					t.Errorf("%s %s: %d %q\n%s", verb, lang, code, errs, out)
				}
			}
		}
		// What changes the queue is refused, naming the process that has it.
		for _, args := range [][]string{{"discard", ids[0]}, {"requeue", "--from", "1", "--to", "2"}, {"adopt"}, {"rotate-key"}} {
			code, out, errs := executeIn(t, dir, append([]string{"outbox", "-c", file}, args...)...)
			if code != exitFailed || out != "" || !strings.Contains(errs, fmt.Sprintf("pid %d", os.Getpid())) {
				t.Errorf("%v: %d %q %q", args, code, out, errs)
			}
		}
	})
}

func TestOutboxJSON(t *testing.T) {
	dir, file, ids := outboxDesk(t, 2)
	_, out, _ := executeIn(t, dir, "outbox", "stats", "--json", "-c", file)
	var s struct {
		Epoch   string
		LastSeq uint64 `json:"last_seq"`
		Waiting int
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.LastSeq != 2 || s.Waiting != 2 || s.Epoch == "" {
		t.Fatalf("%v %s", err, out)
	}
	_, out, _ = executeIn(t, dir, "outbox", "list", "--json", "--state", "waiting", "--after", "1", "-c", file)
	lines := bufio.NewScanner(strings.NewReader(out))
	n := 0
	for ; lines.Scan(); n++ {
		var l struct {
			ID, State, Subject string
			Seq                uint64
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.ID != ids[1] || l.State != "waiting" || l.Seq != 2 || l.Subject == "" {
			t.Fatalf("%v %s", err, lines.Text())
		}
	}
	if n != 1 {
		t.Fatalf("%d lines", n)
	}
	_, out, _ = executeIn(t, dir, "outbox", "verify", "--json", "-c", file)
	var v struct {
		OK      bool
		Records int
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || !v.OK || v.Records != 2 {
		t.Fatalf("%v %s", err, out)
	}
}

func TestOutboxDiscardPublishesCancelled(t *testing.T) {
	dir, file, ids := outboxDesk(t, 2)
	code, out, errs := executeIn(t, dir, "outbox", "discard", ids[0], "-c", file)
	if code != exitOK || !strings.Contains(out, ids[0]) {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	changeQueue(t, dir, func(q *outbox.Queue) {
		if _, err := q.Next(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		list, err := q.List(t.Context(), outbox.ListFilter{State: outbox.Waiting})
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		r, err := q.Get(t.Context(), list[1].ID)
		if err != nil {
			t.Fatal(err)
		}
		var c event.Cancelled
		if err := json.Unmarshal(r.Body, &c); err != nil {
			t.Fatal(err)
		}
		if r.Type != event.CancelledType || r.Seq != 1 || r.Subject != "idtap.v1.cancelled._._._.test-desk.62.6204.620422" ||
			c.Refers != ids[0] || c.Reason != "discarded" || !c.Test || c.Desk.ID != "test-desk" || c.Desk.Reader != "front" || c.Desk.Seq != 1 ||
			c.Operator.Name == "" || time.Since(c.At.Time).Abs() > time.Hour {
			t.Fatalf("%s seq %d: %s", r.Subject, r.Seq, r.Body)
		}
		if err := q.Delivered(t.Context(), outbox.ChainState{}, outbox.Ack{Row: 2, Stream: "S", Sequence: 1}); err != nil {
			t.Fatal(err)
		}
	})
	code, _, errs = executeIn(t, dir, "outbox", "discard", ids[1], "-c", file)
	if code != exitFailed || !strings.Contains(errs, "desk page") {
		t.Fatalf("a delivered record: %d %s", code, errs)
	}
	if code, _, errs = executeIn(t, dir, "outbox", "discard", "no-such-id", "-c", file); code != exitFailed || !strings.Contains(errs, "no such record") {
		t.Fatalf("%d %s", code, errs)
	}
	if _, out, _ = executeIn(t, dir, "outbox", "audit", "-c", file); !strings.Contains(out, "discard") || !strings.Contains(out, ids[0]) {
		t.Fatalf("audit: %s", out)
	}
}

func TestOutboxRequeueAndAdopt(t *testing.T) {
	dir, file, _ := outboxDesk(t, 3)
	code, _, errs := executeIn(t, dir, "outbox", "requeue", "--from", "1", "--to", "3", "-c", file)
	if code != exitFailed || !strings.Contains(errs, "no delivered record") {
		t.Fatalf("nothing to put back: %d %s", code, errs)
	}
	changeQueue(t, dir, func(q *outbox.Queue) {
		for row := range int64(3) {
			if err := q.Delivered(t.Context(), outbox.ChainState{}, outbox.Ack{Row: row + 1, Stream: "S", Sequence: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.SetForeign(t.Context(), outbox.Foreign{Epoch: "another", LastSeq: 9}); err != nil {
			t.Fatal(err)
		}
	})
	if code, out, errs := executeIn(t, dir, "outbox", "requeue", "--from", "2", "--to", "9", "-c", file); code != exitOK || !strings.HasPrefix(out, "2 ") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if _, out, _ := executeIn(t, dir, "outbox", "stats", "-c", file); !strings.Contains(out, "desk_id_in_use") {
		t.Fatalf("stats do not name the foreign epoch: %s", out)
	}
	if code, out, errs := executeIn(t, dir, "outbox", "adopt", "-c", file); code != exitOK || !strings.Contains(out, "number 9 of epoch another") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if code, _, errs := executeIn(t, dir, "outbox", "adopt", "-c", file); code != exitFailed || !strings.Contains(errs, "nothing to adopt") {
		t.Fatalf("%d %s", code, errs)
	}
	if code, out, errs := executeIn(t, dir, "outbox", "rotate-key", "-c", file); code != exitOK || !strings.Contains(out, "new key") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if code, out, _ := executeIn(t, dir, "outbox", "verify", "-c", file); code != exitOK {
		t.Fatalf("after the rotation: %s", out)
	}
}

func TestOutboxWrongUse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "idtap.yaml")
	if err := os.WriteFile(file, []byte("outbox: {dir: "+filepath.Join(dir, "none")+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "a verb is needed", nil},
		{exitFailed, "no queue", []string{"stats"}},
		{exitFailed, "no queue", []string{"adopt"}},
		{exitFailed, "no queue", []string{"discard", "x"}},
		{exitFailed, "no queue", []string{"rotate-key"}},
		{exitUsage, "--state", []string{"list", "--state", "lost"}},
		{exitUsage, "--from 0", []string{"requeue"}},
		{exitUsage, "backwards", []string{"requeue", "--from", "3", "--to", "2"}},
		{exitUsage, "arg(s)", []string{"discard"}},
		{exitUsage, "unknown flag", []string{"stats", "--nope"}},
	} {
		code, _, errs := executeIn(t, dir, append([]string{"outbox", "-c", file}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%v: %d %q, want %d and %q", c.args, code, errs, c.code, c.says)
		}
		if _, err := os.Stat(filepath.Join(dir, "none", "outbox.db")); err == nil {
			t.Fatalf("%v made a queue", c.args)
		}
	}
}

// Drained is what a package asks before it destroys a queue: 0 only where nothing
// would be lost.
func TestOutboxDrained(t *testing.T) {
	dir, file, ids := outboxDesk(t, 1)
	drained := func(args ...string) (int, string) {
		code, out, errs := executeIn(t, dir, append([]string{"outbox", "drained", "-c", file}, args...)...)
		return code, out + errs
	}
	if code, said := drained(); code != exitFailed || !strings.Contains(said, "1 wait for delivery") {
		t.Errorf("one waiting: %d %q, want 1 and what to do", code, said)
	}
	if code, said := drained("--lang", "zh"); code != exitFailed || !strings.Contains(said, "1 条待投递") {
		t.Errorf("one waiting, in Chinese: %d %q", code, said)
	}
	changeQueue(t, dir, func(q *outbox.Queue) {
		r, err := q.Get(t.Context(), ids[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Delivered(t.Context(), outbox.ChainState{}, outbox.Ack{Row: r.Row, Stream: "REGISTRATIONS", Sequence: 1, Local: true}); err != nil {
			t.Fatal(err)
		}
	})
	if code, said := drained(); code != exitFailed || !strings.Contains(said, "embedded server only") {
		t.Errorf("stored by the embedded server only: %d %q, want 1", code, said)
	}
	if err := os.WriteFile(file, []byte("outbox: {dir: "+filepath.Join(dir, "none")+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := drained(); code != exitOK || !strings.Contains(said, "no queue") {
		t.Errorf("no queue: %d %q, want 0", code, said)
	}
}
