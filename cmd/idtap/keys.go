package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) keysCommand() *cobra.Command {
	return &cobra.Command{Use: "keys", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
