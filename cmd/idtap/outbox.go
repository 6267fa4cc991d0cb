package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) outboxCommand() *cobra.Command {
	return &cobra.Command{Use: "outbox", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
