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
	"idtap/config"
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
			lines = append(lines, a.say("请以 root 运行（sudo），或加入 idtap 组", "run it as root (sudo), or as a member of the group idtap"))
		}
		return c, usage(errors.New(strings.Join(lines, "\n")))
	}
	if err := checkDivision(&c); err != nil {
		return c, usage(errors.New(strings.Join(a.problems(err), "\n")))
	}
	if err := daemon.BusServer(c.NATS).Check(); err != nil {
		text := config.Text{En: err.Error(), Zh: err.Error()}
		if plain := new(bus.PlaintextError); errors.As(err, &plain) {
			text.Zh = fmt.Sprintf("服务器 %s 不在本机，连接又没有 TLS：请改用 tls://，或设置 nats.allow_plaintext", plain.Host)
		}
		return c, usage(errors.New(config.Problem{File: c.File, Key: "nats.url", Text: text}.In(a.lang)))
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
	cmd.Flags().StringVarP(file, "config", "c", "", "configuration file; none: the installed package's, else the defaults")
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Annotated example, validation, and JSON Schema of the configuration"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "example", Short: "Print every key with its default and what it means", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := a.out.Write(config.Example)
				return err
			},
		},
		a.configCheckCommand(), a.configShowCommand(),
		&cobra.Command{
			Use: "schema", Short: "Print the JSON Schema of the file", Args: cobra.NoArgs,
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
		Use: "check [FILE]", Short: "Validate a file; problems name line, key and nearest key", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				file = args[0]
			}
			c, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			for _, w := range c.Warnings {
				fmt.Fprintln(a.err, a.say("注意：", "warning: ")+w.In(a.lang))
			}
			if file = c.File; file == "" {
				file = a.say("默认配置", "the defaults")
			}
			fmt.Fprintln(a.out, file+a.say("：正确", ": ok"))
			return nil
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "show", Short: "Print every key as it holds, and where each value was set", Args: cobra.NoArgs,
		Long: "Reads the file, conf.d/*.yaml beside it in name order, and the environment, each over what came before.\n" +
			"Secrets are files: their paths are printed, never what is in them.",
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
					origin = a.say("默认", "default")
				}
				fmt.Fprintf(w, "%s: %s\t# %s\n", s.Key, s.Value, origin)
			}
			return w.Flush()
		},
	}
	configFlag(cmd, &file)
	return cmd
}
