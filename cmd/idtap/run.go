package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/cmd/internal/systemd"
	"idtap/config"
	"idtap/publisher"
)

func (a *app) runCommand() *cobra.Command {
	var file string
	var demo bool
	cmd := &cobra.Command{
		Use: "run", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if demo && file == "" {
				a.packaged = "" // it shows itself anywhere, whoever starts it
			}
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
				daemon.Demonstrate(&cfg, dir)
			}
			return a.serve(cmd.Context(), cfg, demo)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&demo, "demo", false, "")
	return cmd
}

// serve runs the daemon until the context ends.
func (a *app) serve(ctx context.Context, cfg config.Config, demo bool) error {
	if a.logLevel != "" {
		cfg.Log.Level = a.logLevel
	}
	if a.logFormat != "" {
		cfg.Log.Format = a.logFormat
	}
	log, closeLog, err := daemon.OpenLog(cfg.Log, a.err, isTerminal(a.err))
	if err != nil {
		return asUsage(err)
	}
	defer closeLog()
	o := a.daemonOptions(cfg, demo)
	o.Log, o.Observers, o.Started = log, []publisher.Observer{&printer{app: a, desk: cfg.Desk}}, a.announce
	o.Manager = systemd.Find(a.getenv, os.Getpid())
	return asUsage(daemon.Run(ctx, cfg, o))
}

// daemonOptions is what this program brings to a daemon or to looking at one.
func (a *app) daemonOptions(cfg config.Config, demo bool) daemon.Options {
	return daemon.Options{Demo: demo, Version: version, Lang: a.lang, Floor: builtAt(), Drivers: a.drivers(), RuntimeFile: a.runtimeFile(cfg, demo)}
}

// announce prints where everything is.
func (a *app) announce(at daemon.Address) {
	if at.Server == "" {
		at.Server = a.say("embedded_no_port")
	}
	if at.Page == "" {
		at.Page = a.say("off")
	}
	fmt.Fprintf(a.out, "%s %s\n%s %s\n%s %s\n", a.say("page2"), at.Page, a.say("server"), at.Server, a.say("data"), at.Data)
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
