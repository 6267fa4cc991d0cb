package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) diagCommand() *cobra.Command {
	return &cobra.Command{Use: "diag", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
