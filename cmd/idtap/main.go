// Command idtap reads second-generation resident ID cards at a service desk and
// publishes one registration event per tap. One file per subcommand: it parses,
// calls and prints; the daemon itself is cmd/internal/daemon.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // Asia/Shanghai on machines without zone files

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/config"
	"idtap/internal/text"
)

// Exit codes shared by every command but diag.
const (
	exitOK     = 0
	exitFailed = 1 // the work failed
	exitUsage  = 2 // usage or configuration error
)

// exitError carries an exit code. A nil Err means that everything was said.
type exitError struct {
	Code int
	Err  error
}

func (e *exitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit %d", e.Code)
	}
	return e.Err.Error()
}

func (e *exitError) Unwrap() error { return e.Err }

// usage marks an error as the caller's: exit code 2.
func usage(err error) error { return &exitError{exitUsage, err} }

// asUsage marks a mistake in the configuration as the caller's.
func asUsage(err error) error {
	if errors.As(err, new(*daemon.ConfigError)) {
		return usage(err)
	}
	return err
}

// app is what every command shares: streams, environment and common flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	environ  func() []string

	packaged string                      // configuration of the installed package; may not exist
	restart  func(context.Context) error // the installed package's service

	lang      string // zh or en
	logLevel  string
	logFormat string
}

// logger logs to stderr as the common flags say; a level or format given by
// flag goes before the configuration's.
func (a *app) logger(level, format string) (zerolog.Logger, error) {
	if a.logLevel != "" {
		level = a.logLevel
	}
	if a.logFormat != "" {
		format = a.logFormat
	}
	l, err := daemon.NewLogger(a.err, level, format, isTerminal(a.err))
	return l, asUsage(err)
}

// say picks the text of the user's language.
func (a *app) say(key string, args ...any) string { return texts.Say(key, args...).In(a.lang) }

// remedy adds to an error what to do about it.
func remedy(err error, key string) error { return texts.Errorf("with_remedy", err, texts.Say(key)) }

// root is the tree of commands, described in the user's language.
func (a *app) root() *cobra.Command {
	if a.lang == "" {
		a.lang = systemLanguage(a.getenv)
	}
	root := &cobra.Command{
		Use:           "idtap",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(texts.Errorf("command_needed"))
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.lang != "zh" && a.lang != "en" {
				return usage(texts.Errorf("want_lang", a.lang))
			}
			return nil
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	f := root.PersistentFlags()
	f.StringVar(&a.lang, "lang", a.lang, "")
	f.StringVar(&a.logLevel, "log-level", "", "")
	f.StringVar(&a.logFormat, "log-format", "", "")
	root.AddCommand(
		a.runCommand(), a.diagCommand(), a.simulateCommand(), a.decodeCommand(), a.checkCommand(),
		a.tailCommand(), a.outboxCommand(), a.configCommand(), a.busCommand(), a.keysCommand(), a.provisionCommand(), a.fleetCommand(), a.serviceCommand(), a.versionCommand(),
	)
	root.InitDefaultHelpCmd()
	root.SetUsageTemplate(a.usageTemplate(root.UsageTemplate()))
	a.describe(root, "idtap")
	return root
}

// execute runs one command line and returns its exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	a.lang = a.language(args)
	root := a.root()
	root.SetArgs(args)
	err := a.othersFiles(root.ExecuteContext(ctx), args)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitFailed, err}
	}
	if exit.Err != nil {
		fmt.Fprintln(a.err, "idtap:", text.Of(exit.Err, a.lang))
	}
	return exit.Code
}

func main() {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // the library has one for all
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, environ: os.Environ, packaged: config.Packaged(config.Machine()), restart: restartService}
	os.Exit(a.execute(ctx, os.Args[1:]))
}
