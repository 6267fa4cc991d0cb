package daemon

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// Bounds of a message that repeats: so many at once, then one in a while.
const (
	logBurst = 100
	logEvery = time.Minute

	logMessages = 256 // told apart; the rest share one bound per level
)

// logLimit keeps a fault that repeats from filling the disk: a message comes
// through a hundred times and then once a minute, with how many were left out.
// Levels below info are asked for by a person and pass.
type logLimit struct {
	clock clockwork.Clock

	mu       sync.Mutex
	messages map[string]*repeated
}

type repeated struct {
	limit      *rate.Limiter
	suppressed uint64
}

var _ zerolog.Hook = (*logLimit)(nil)

func newLogLimit(clock clockwork.Clock) *logLimit {
	return &logLimit{clock: clock, messages: map[string]*repeated{}}
}

// Run implements zerolog.Hook. Messages are constants of the program, so there
// are few; what varies stands in their fields.
func (l *logLimit) Run(e *zerolog.Event, level zerolog.Level, message string) {
	if level < zerolog.InfoLevel || level > zerolog.ErrorLevel {
		return
	}
	key := level.String() + " " + message
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.messages[key]
	if !ok && len(l.messages) >= logMessages {
		key = level.String()
		m, ok = l.messages[key]
	}
	if !ok {
		m = &repeated{limit: rate.NewLimiter(rate.Every(logEvery), logBurst)}
		l.messages[key] = m
	}
	if !m.limit.AllowN(l.clock.Now(), 1) {
		m.suppressed++
		e.Discard()
		return
	}
	if m.suppressed > 0 {
		e.Uint64("suppressed", m.suppressed)
		m.suppressed = 0
	}
}
