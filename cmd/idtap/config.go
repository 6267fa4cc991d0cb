package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/cmd/internal/preflight"
	"idtap/config"
	"idtap/internal/text"
	"idtap/publisher/bus"
)

// loadConfig loads the configuration as every command that takes -c does: without
// a file, that of the installed package, so that a technician's command looks at
// the service.
func (a *app) loadConfig(file string) (config.Config, error) {
	s := config.Machine()
	s.Getenv, s.Environ = a.getenv, a.environ
	if file == "" && a.packaged != "" {
		if _, err := os.Stat(a.packaged); !errors.Is(err, fs.ErrNotExist) {
			file = a.packaged
		}
	}
	c, err := config.Load(file, s)
	if err != nil {
		lines := a.problems(err)
		if errors.Is(err, fs.ErrPermission) {
			lines = append(lines, a.say("run_as_root_sudo"))
		}
		return c, usage(errors.New(strings.Join(lines, "\n")))
	}
	if err := checkDivision(&c); err != nil {
		return c, usage(errors.New(strings.Join(a.problems(err), "\n")))
	}
	if err := daemon.BusServer(c.NATS).Check(); err != nil {
		said := text.Text{En: err.Error(), Zh: text.Of(err, text.Zh)}
		if plain := new(bus.PlaintextError); errors.As(err, &plain) {
			said.Zh = texts.Say("plaintext", plain.Host).Zh
		}
		return c, usage(config.Problem{File: c.File, Key: "nats.url", Text: said})
	}
	return c, nil
}

// problems are the lines of a configuration's error in the user's language.
func (a *app) problems(err error) []string {
	var lines []string
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range all.Unwrap() {
			lines = append(lines, a.problems(one)...)
		}
		return lines
	}
	if p := (config.Problem{}); errors.As(err, &p) {
		return []string{p.In(a.lang)}
	}
	return []string{err.Error()}
}

// configFlag adds -c to a command.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "")
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "example", Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := a.out.Write(config.Example)
				return err
			},
		},
		a.configCheckCommand(), a.configShowCommand(),
		&cobra.Command{
			Use: "schema", Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				return e.Encode(config.Schema())
			},
		},
	)
	return cmd
}

func (a *app) configCheckCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "check [FILE]", Args: maxArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				file = args[0]
			}
			c, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			for _, w := range c.Warnings {
				fmt.Fprintln(a.err, a.say("warning")+w.In(a.lang))
			}
			if file = c.File; file == "" {
				file = a.say("defaults")
			}
			faults := preflight.Files(c)
			for _, f := range faults {
				mark := a.say("warning")
				if f.Blocks {
					mark = a.say("error_mark")
				}
				fmt.Fprintln(a.err, mark+f.In(text.Lang(a.lang)))
			}
			if preflight.Blocking(faults) {
				return usage(errors.New(file + a.say("would_not_start")))
			}
			fmt.Fprintln(a.out, file+a.say("ok"))
			return nil
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "show", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			settings, err := c.Settings()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, s := range settings {
				origin := s.Origin.String()
				if origin == "" {
					origin = a.say("default")
				}
				fmt.Fprintf(w, "%s: %s\t# %s\n", s.Key, s.Value, origin)
			}
			return w.Flush()
		},
	}
	configFlag(cmd, &file)
	return cmd
}
