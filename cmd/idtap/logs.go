package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"

	"idtap/config"
)

// daemonLogger logs to stderr or to a size-limited rotating file; what repeats
// is limited.
func (a *app) daemonLogger(c config.Log) (zerolog.Logger, func(), error) {
	limit := newLogLimit(clockwork.NewRealClock())
	if c.File == "" {
		l, err := a.logger(c.Level, c.Format)
		return l.Hook(limit), func() {}, err
	}
	if err := os.MkdirAll(filepath.Dir(c.File), 0o700); err != nil {
		return zerolog.Nop(), nil, usage(fmt.Errorf("log.file: %w", err))
	}
	// Opened once here so that a file that cannot be written is said at start.
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return zerolog.Nop(), nil, usage(fmt.Errorf("log.file: %w", err))
	}
	f.Close()
	megabytes := max(int(c.MaxSize)>>20, 1)
	file := &lumberjack.Logger{Filename: c.File, MaxSize: megabytes, MaxBackups: c.Keep}
	to := &app{err: io.Writer(file), logLevel: a.logLevel, logFormat: a.logFormat}
	l, err := to.logger(c.Level, c.Format)
	return l.Hook(limit), func() { file.Close() }, err
}

// builtAt is a moment that certainly lies in the past: the commit's time.
func builtAt() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					return t
				}
			}
		}
	}
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
}
