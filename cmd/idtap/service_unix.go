//go:build !windows

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// serviceCommand says how a service is managed here: by systemd, with the package's
// unit.
func (a *app) serviceCommand() *cobra.Command {
	return &cobra.Command{Use: "service", Hidden: true, Args: cobra.ArbitraryArgs,
		Short: a.say("仅用于 Windows；此处用 systemctl", "Windows only; here: systemctl"),
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New(a.say("仅用于 Windows；此处用 systemctl status|start|stop idtap", "is for Windows; here it is systemctl status|start|stop idtap")))
		}}
}
