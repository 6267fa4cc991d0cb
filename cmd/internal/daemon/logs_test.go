package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/config"
)

// TestRepeatingFaultsDoNotFillTheDisk: a reader that comes and goes every second
// for three days.
func TestRepeatingFaultsDoNotFillTheDisk(t *testing.T) {
	clock := clockwork.NewFakeClock()
	var out bytes.Buffer
	log := zerolog.New(&out).Level(zerolog.InfoLevel).Hook(newLogLimit(clock))
	child := log.With().Str("part", "readers").Logger()
	const days = 3
	for range days * 24 * 3600 {
		child.Warn().Str("reader", "front").Msg("reader")
		clock.Advance(time.Second)
	}
	log.Warn().Msg("something else")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if most := logBurst + days*24*60 + 2; len(lines) > most || len(lines) < days*24*60 {
		t.Fatalf("%d lines, at most %d wanted", len(lines), most)
	}
	counted := 0
	for _, line := range lines {
		var l struct {
			Message    string
			Suppressed int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Message == "reader" {
			counted += 1 + l.Suppressed
		}
	}
	if missing := days*24*3600 - counted; missing < 0 || missing > 60 {
		t.Errorf("%d of %d are accounted for", counted, days*24*3600)
	}
}

// TestDebugIsNotLimited: who asks for all gets all.
func TestDebugIsNotLimited(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out).Level(zerolog.TraceLevel).Hook(newLogLimit(clockwork.NewFakeClock()))
	for range 3 * logBurst {
		log.Debug().Msg("phase")
	}
	if n := strings.Count(out.String(), "\n"); n != 3*logBurst {
		t.Errorf("%d lines", n)
	}
}

// TestLogFileRotates: the file keeps its bound, and so do its predecessors.
func TestLogFileRotates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log", "idtap.log")
	log, closeLog, err := OpenLog(config.Log{Level: "debug", Format: "json", File: file, MaxSize: 1 << 20, Keep: 2}, io.Discard, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		log.Debug().Str("filler", strings.Repeat("x", 1000)).Msg("phase")
	}
	closeLog()
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) < 2 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Size() > 1<<20 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, %v, %v", e.Name(), info.Size(), info.Mode(), err)
		}
	}
}

// TestMessagesToldApartAreBounded: a message that holds what others choose can fill
// neither memory nor log.
func TestMessagesToldApartAreBounded(t *testing.T) {
	var out bytes.Buffer
	limit := newLogLimit(clockwork.NewFakeClock())
	log := zerolog.New(&out).Hook(limit)
	for i := range 10_000 {
		log.Error().Msg(fmt.Sprint("message ", i))
	}
	if got := len(limit.messages); got > logMessages+1 {
		t.Errorf("%d messages are kept, want at most %d", got, logMessages+1)
	}
	if got := bytes.Count(out.Bytes(), []byte("\n")); got > logMessages+logBurst {
		t.Errorf("%d lines, want at most %d", got, logMessages+logBurst)
	}
}
