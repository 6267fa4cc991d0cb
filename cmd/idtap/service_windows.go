package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/cmd/internal/winservice"
)

// serviceCommand manages the service of Windows; elsewhere the package does.
func (a *app) serviceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "service",
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(texts.Errorf("verb_needed"))
		}}
	verb := func(use, key string, run func(context.Context) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: a.say(key), Args: noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) }}
	}
	purge := false
	uninstall := verb("uninstall", "stop_and_remove_service",
		func(ctx context.Context) error { return a.serviceUninstall(ctx, purge) })
	uninstall.Flags().BoolVar(&purge, "purge", false, "")
	run := verb("run", "what_service_manager_calls", a.serviceRun)
	run.Hidden = true
	cmd.AddCommand(
		verb("install", "install_service_and_make", a.serviceInstall), uninstall,
		verb("start", "start", func(ctx context.Context) error { return a.service(ctx, winservice.Start) }),
		verb("stop", "stop", func(ctx context.Context) error { return a.service(ctx, winservice.Stop) }),
		verb("status", "what_does_exit_code", func(context.Context) error { return a.serviceStatus() }),
		run,
	)
	return cmd
}

// dataDir is the folder of the installed service.
func (a *app) dataDir() string { return filepath.Dir(a.packaged) }

func (a *app) serviceInstall(context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	notes, err := winservice.Install(program, a.dataDir())
	if err != nil {
		return a.asAdministrator(err)
	}
	for _, n := range notes {
		fmt.Fprintln(a.err, a.say("not_set")+n)
	}
	f, err := os.OpenFile(a.packaged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, packagedSettings, filepath.Join(a.dataDir(), winservice.State), filepath.Join(a.dataDir(), winservice.Log, "idtap.log"))
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // an earlier installation's stays
		return err
	}
	fmt.Fprintf(a.out, a.say("installed_put_desk_settings"),
		filepath.Join(a.dataDir(), "conf.d", "50-desk.yaml"))
	return nil
}

// packagedSettings is all that the installed configuration says.
const packagedSettings = "# idtap: this file stays as it is; what differs at this desk goes into\r\n" +
	"# conf.d\\*.yaml beside it, read after it in name order. Paths stand in single\r\n" +
	"# quotes or in none. `idtap config show` prints what holds, and from where.\r\n" +
	"outbox: {dir: '%s'}\r\nlog: {file: '%s', format: json}\r\n"

func (a *app) serviceUninstall(ctx context.Context, purge bool) error {
	if purge {
		if err := a.service(ctx, winservice.Stop); err != nil {
			return err
		}
		if code := a.execute(ctx, []string{"outbox", "drained", "--lang", a.lang, "-c", a.packaged}); code != exitOK {
			return texts.Errorf("not_uninstalled_what_named")
		}
	}
	if err := a.service(ctx, winservice.Uninstall); err != nil {
		return err
	}
	if purge {
		return os.RemoveAll(a.dataDir())
	}
	fmt.Fprintf(a.out, a.say("service_removed_queue_and"), a.dataDir())
	return nil
}

func (a *app) service(ctx context.Context, do func(context.Context) error) error {
	return a.asAdministrator(do(ctx))
}

// asAdministrator adds the remedy to a refusal.
func (a *app) asAdministrator(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return remedy(err, "run_in_console_was")
	}
	return err
}

func (a *app) serviceStatus() error {
	s, err := winservice.Query()
	switch {
	case err != nil:
		return err
	case !s.Installed:
		fmt.Fprintln(a.out, a.say("not_installed"))
	default:
		fmt.Fprintf(a.out, "%s, pid %d, exit %d\n", s.State, s.PID, s.Exit)
	}
	if !s.Running {
		return &exitError{Code: exitFailed}
	}
	return nil
}

// serviceRun is the daemon under the service manager. Nobody reads its output, so
// the log goes into a file wherever the configuration says none.
func (a *app) serviceRun(context.Context) error {
	return winservice.Run(func(ctx context.Context, ready func()) error {
		cfg, err := a.loadConfig(a.packaged)
		if err != nil {
			return err
		}
		if cfg.Log.File == "" {
			cfg.Log.File = filepath.Join(a.dataDir(), winservice.Log, "idtap.log")
		}
		log, closeLog, err := daemon.OpenLog(cfg.Log, a.err, false)
		if err != nil {
			return err
		}
		defer closeLog()
		o := a.daemonOptions(cfg, false)
		o.Log, o.Started = log, func(daemon.Address) { ready() }
		err = daemon.Run(ctx, cfg, o)
		if err != nil {
			log.Error().Err(err).Msg("the service ends")
		}
		return err
	})
}

// restartService restarts the installed service and returns once it runs.
func restartService(ctx context.Context) error {
	s, err := winservice.Query()
	if err != nil {
		return err
	}
	if !s.Installed {
		return errors.New("it is not installed: idtap service install")
	}
	return errors.Join(winservice.Stop(ctx), winservice.Start(ctx))
}

// ownFile leaves a file with the access list of its folder, which the
// installation set.
func ownFile(string, bool) error { return nil }
