package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) decodeCommand() *cobra.Command {
	return &cobra.Command{Use: "decode", RunE: func(*cobra.Command, []string) error { return errors.New("not built yet") }}
}
