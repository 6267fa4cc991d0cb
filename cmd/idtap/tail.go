package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) tailCommand() *cobra.Command {
	return &cobra.Command{Use: "tail", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
