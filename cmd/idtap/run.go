package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"idtap/config"
)

func (a *app) runCommand() *cobra.Command {
	var file string
	var demo bool
	cmd := &cobra.Command{
		Use: "run", Short: "The daemon: read cards, keep every event safe, publish it, show the clerk", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			signal.Ignore(syscall.SIGPIPE) // whoever reads the lines may go; the desk goes on
			if demo {
				dir, err := os.MkdirTemp("", "idtap-demo-")
				if err != nil {
					return fmt.Errorf("demo: %w", err)
				}
				defer os.RemoveAll(dir)
				demonstrate(&cfg, dir)
			}
			return a.serve(cmd.Context(), cfg, demo)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&demo, "demo", false, "a simulated reader taps synthetic cards; temporary data; never a configured server")
	return cmd
}

// demonstrate turns a configuration into the demo's: a simulated reader,
// temporary data, the embedded server on a port of this machine, and nothing
// that leaves it.
func demonstrate(cfg *config.Config, dir string) {
	d := config.Default()
	cfg.Readers = []config.Reader{{Name: "demo", Driver: "mock"}}
	cfg.NATS = d.NATS
	cfg.NATS.Embedded.Listen = "127.0.0.1:4222"
	cfg.Outbox = d.Outbox
	cfg.Outbox.Dir = dir
	cfg.Desk.RefKeyFile = ""
	cfg.DeskPage.Listen, cfg.DeskPage.TLS, cfg.DeskPage.Origins = d.DeskPage.Listen, d.DeskPage.TLS, nil
	cfg.DeskPage.TokenFile, cfg.DeskPage.PINFile, cfg.Photo = "", "", d.Photo
	if cfg.Log.Level == d.Log.Level {
		cfg.Log.Level = "warn" // one line per event is what there is to see
	}
	if cfg.Desk.Division == "" {
		cfg.Desk.Division = "410105"
		cfg.Warnings = nil
	}
	if cfg.Desk.Name == "" {
		cfg.Desk.Name = "演示服务台"
	}
}

// stopWithin is how long a daemon may take to stop, whatever a reader or the bus
// is doing. What is still running then is left behind: the queue is synced at
// every accepted tap, so nothing can be lost by it.
const stopWithin = 1500 * time.Millisecond

// serve runs the daemon until the context ends.
func (a *app) serve(ctx context.Context, cfg config.Config, demo bool) error {
	log, closeLog, err := a.daemonLogger(cfg.Log)
	if err != nil {
		return err
	}
	defer closeLog()
	for _, w := range cfg.Warnings {
		log.Warn().Msg(w.En)
	}
	d := &daemon{app: a, cfg: cfg, demo: demo, log: log}
	defer d.removeRuntime()
	if err := d.start(ctx); err != nil {
		d.stop()
		if ctx.Err() != nil { // asked to stop while starting
			return nil
		}
		return err
	}
	d.announce()
	err = d.wait(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		d.stop()
	}()
	select {
	case <-stopped:
	case <-time.After(stopWithin):
		log.Warn().Msg("something did not stop in time and is left behind; nothing accepted is lost by it")
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runtimeFile is where a daemon says how to reach it: beside its queue, and for
// the demo, whose data directory has no fixed place, in the user's state
// directory.
func (a *app) runtimeFile(cfg config.Config, demo bool) string {
	if demo {
		s := config.Machine()
		s.Getenv = a.getenv
		return filepath.Join(config.StateDir(s), "demo.json")
	}
	return filepath.Join(cfg.Outbox.Dir, "runtime.json")
}
