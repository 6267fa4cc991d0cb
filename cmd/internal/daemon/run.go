package daemon

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/cmd/internal/preflight"
	"idtap/cmd/internal/systemd"
	"idtap/config"
	"idtap/driver"
	"idtap/internal/securefile"
	"idtap/internal/text"
	"idtap/publisher"
)

// Options is what a daemon and an Examiner need beside the configuration.
type Options struct {
	Demo        bool            // a demonstration: test events, ports that are free
	Version     string          // of this program
	Lang        string          // of remedies in the log: zh or en
	Floor       time.Time       // a moment that certainly lies in the past
	Drivers     driver.Registry // kinds of reader that can be opened
	RuntimeFile string          // where a running daemon says how to reach it
	Clock       clockwork.Clock // nil: the real one
	Log         zerolog.Logger
	Observers   []publisher.Observer // see each tap and state beside page and bus
	Started     func(Address)        // is called once all parts run; nil: nobody
	Manager     systemd.Manager      // is told of readiness and progress; may be nobody
}

func (o Options) clock() clockwork.Clock {
	if o.Clock == nil {
		return clockwork.NewRealClock()
	}
	return o.Clock
}

func (o Options) notify(state string) {
	if err := o.Manager.Notify(state); err != nil {
		o.Log.Warn().Err(err).Str("state", state).Msg("the service manager cannot be told")
	}
}

// Address is where a running daemon can be reached.
type Address struct {
	Page   string // URL of the page; "": it is off
	Server string // of the bus; "": embedded, and no port is open
	Data   string // directory of the queue
}

// ConfigError is a mistake in the configuration that only starting shows.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// stopWithin is how long a daemon may take to stop, whatever a reader or the bus
// is doing. What is still running then is left: the queue is synced at every
// accepted tap, so nothing can be lost by it.
const stopWithin = 1500 * time.Millisecond

// Run runs a daemon until the context ends, which is no error, or a part fails
// for good. A *ConfigError is the configuration's fault.
func Run(ctx context.Context, cfg config.Config, o Options) error {
	for _, w := range cfg.Warnings {
		o.Log.Warn().Msg(w.En)
	}
	if err := ready(cfg, o); err != nil {
		return err
	}
	if err := forbidCores(); err != nil {
		o.Log.Warn().Err(err).Msg("core dumps could not be turned off: after a crash they hold what was on the cards")
	}
	d := &daemon{cfg: cfg, o: o}
	defer d.removeRuntime()
	if err := d.start(ctx); err != nil {
		d.stop()
		if ctx.Err() != nil { // asked to stop while starting
			return nil
		}
		return lastWord(cfg, o, err)
	}
	o.notify(systemd.Ready)
	if o.Started != nil {
		o.Started(d.addresses())
	}
	err := d.wait(ctx)
	o.notify(systemd.Stopping)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		d.stop()
	}()
	select {
	case <-stopped:
	case <-o.clock().After(stopWithin):
		o.Log.Warn().Msg("something did not stop in time and is left running; nothing accepted is lost by it")
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return lastWord(cfg, o, err)
}

// ready returns what the preflight says against starting, and logs what it says
// beside that.
func ready(cfg config.Config, o Options) error {
	if err := securefile.CheckDir(cfg.Outbox.Dir); err != nil {
		return err
	}
	var against []string
	lang := text.Lang(o.Lang)
	for _, f := range preflight.Files(cfg) {
		if f.Blocks {
			against = append(against, f.In(lang))
			continue
		}
		o.Log.Warn().Str("code", f.Code).Str("key", f.Key).Str("path", f.Subject).Str("detail", f.DetailIn(lang)).Str("remedy", f.Do.In(lang)).Msg("preflight")
	}
	if len(against) == 0 {
		return nil
	}
	return lastWord(cfg, o, &ConfigError{errors.New(strings.Join(against, "\n"))})
}

// lastWord leaves why a daemon ends in its log file, where diag looks for it; on
// stderr the caller says it.
func lastWord(cfg config.Config, o Options, err error) error {
	if cfg.Log.File != "" && err != nil {
		o.Log.WithLevel(zerolog.FatalLevel).Err(err).Msg("idtap ends")
	}
	return err
}
