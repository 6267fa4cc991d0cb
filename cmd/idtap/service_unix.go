//go:build !windows

package main

import (
	"github.com/spf13/cobra"
)

// serviceCommand says how a service is managed here: by systemd, with the package's
// unit.
func (a *app) serviceCommand() *cobra.Command {
	return &cobra.Command{Use: "service", Hidden: true, Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(texts.Errorf("for_windows_here_systemctl"))
		}}
}
