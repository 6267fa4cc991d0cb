package daemon

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"

	"idtap/config"
	"idtap/internal/securefile"
)

// NewLogger logs to w at a level (trace, debug, info, warn, error, disabled) and
// in a format (console, json); colour is for a person's terminal.
func NewLogger(w io.Writer, level, format string, colour bool) (zerolog.Logger, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), &ConfigError{texts.Errorf("want_level", level)}
	}
	switch format {
	case "console":
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !colour}
	case "json":
	default:
		return zerolog.Nop(), &ConfigError{texts.Errorf("want_format", format)}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

// OpenLog opens a daemon's log: on stderr, or in a rotating file of limited
// size. Messages that repeat are limited. The returned function closes the file.
func OpenLog(c config.Log, stderr io.Writer, colour bool) (zerolog.Logger, func(), error) {
	limit := newLogLimit(clockwork.NewRealClock())
	if c.File == "" {
		l, err := NewLogger(stderr, c.Level, c.Format, colour)
		return l.Hook(limit), func() {}, err
	}
	if err := os.MkdirAll(filepath.Dir(c.File), 0o700); err != nil {
		return zerolog.Nop(), nil, &ConfigError{fmt.Errorf("log.file: %w", err)}
	}
	// Opened once here so that a file that cannot be written is reported at start.
	f, err := securefile.Append(c.File)
	if err != nil {
		return zerolog.Nop(), nil, &ConfigError{fmt.Errorf("log.file: %w", err)}
	}
	f.Close()
	file := &lumberjack.Logger{Filename: c.File, MaxSize: max(int(c.MaxSize)>>20, 1), MaxBackups: c.Keep}
	l, err := NewLogger(file, c.Level, c.Format, false)
	return l.Hook(limit), func() { file.Close() }, err
}
