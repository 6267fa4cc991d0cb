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
	cmd := &cobra.Command{Use: "service", Short: a.say("Windows 服务：安装、卸载、启动、停止、状态", "The Windows service: install, uninstall, start, stop, status"),
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(errors.New("a verb is needed"))
		}}
	verb := func(use, zh, en string, run func(context.Context) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: a.say(zh, en), Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) }}
	}
	purge := false
	uninstall := verb("uninstall", "停止并移除服务；数据保留", "Stop and remove the service; the data stays",
		func(ctx context.Context) error { return a.serviceUninstall(ctx, purge) })
	uninstall.Flags().BoolVar(&purge, "purge", false, "destroy queue and settings, too; refused while anything waits for delivery")
	run := verb("run", "由服务管理器调用", "What the service manager calls", a.serviceRun)
	run.Hidden = true
	cmd.AddCommand(
		verb("install", "安装服务，建立数据文件夹", "Install the service and make its folder", a.serviceInstall), uninstall,
		verb("start", "启动", "Start it", func(ctx context.Context) error { return a.service(ctx, winservice.Start) }),
		verb("stop", "停止", "Stop it", func(ctx context.Context) error { return a.service(ctx, winservice.Stop) }),
		verb("status", "状态；未运行时退出码为 1", "What it does; exit code 1 if it does not run", func(context.Context) error { return a.serviceStatus() }),
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
		fmt.Fprintln(a.err, a.say("未设置：", "not set: ")+n)
	}
	f, err := os.OpenFile(a.packaged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, packagedSettings, filepath.Join(a.dataDir(), winservice.State), filepath.Join(a.dataDir(), winservice.Log, "idtap.log"))
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // an earlier installation's stays
		return err
	}
	fmt.Fprintf(a.out, a.say("已安装；设置写在 %s，然后 idtap service start\n", "installed; put the desk's settings into %s, then: idtap service start\n"),
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
			return errors.New(a.say("未卸载：以上登记尚未送达；启动服务并等待，或先手工删除队列文件夹", "not uninstalled: what is named above is not delivered; start the service and wait, or delete the queue's folder by hand first"))
		}
	}
	if err := a.service(ctx, winservice.Uninstall); err != nil {
		return err
	}
	if purge {
		return os.RemoveAll(a.dataDir())
	}
	fmt.Fprintf(a.out, a.say("服务已移除；队列和设置保留在 %s\n", "the service is removed; queue and settings stay in %s\n"), a.dataDir())
	return nil
}

func (a *app) service(ctx context.Context, do func(context.Context) error) error {
	return a.asAdministrator(do(ctx))
}

// asAdministrator adds the remedy to a refusal.
func (a *app) asAdministrator(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %s", err, a.say("请在以管理员身份运行的控制台中执行", "run it in a console that was started as administrator"))
	}
	return err
}

func (a *app) serviceStatus() error {
	s, err := winservice.Query()
	switch {
	case err != nil:
		return err
	case !s.Installed:
		fmt.Fprintln(a.out, a.say("未安装", "not installed"))
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
