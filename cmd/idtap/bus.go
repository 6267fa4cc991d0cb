package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) busCommand() *cobra.Command {
	return &cobra.Command{Use: "bus", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
