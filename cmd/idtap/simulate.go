package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) simulateCommand() *cobra.Command {
	return &cobra.Command{Use: "simulate", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
