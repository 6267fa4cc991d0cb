package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"idtap/config"
)

// loadConfig loads the configuration as every command that takes -c does.
func (a *app) loadConfig(file string) (config.Config, error) {
	s := config.Machine()
	s.Getenv, s.Environ = a.getenv, a.environ
	c, err := config.Load(file, s)
	if err != nil {
		return c, usage(err)
	}
	if err := busServer(c.NATS).Check(); err != nil {
		return c, usage(config.Problem{File: c.File, Key: "nats.url", Message: err.Error()})
	}
	return c, nil
}

// configFlag adds -c to a command.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "configuration file; none: the defaults")
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
		a.configCheckCommand(),
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
				fmt.Fprintln(a.err, a.say("注意：", "warning: ")+w)
			}
			if file == "" {
				file = a.say("默认配置", "the defaults")
			}
			fmt.Fprintln(a.out, file+a.say("：正确", ": ok"))
			return nil
		},
	}
	configFlag(cmd, &file)
	return cmd
}
