package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/internal/text"
	"idtap/publisher/outbox"
	"idtap/publisher/outbox/journal"
)

// outboxDrained answers the question that stands before a desk's data may be
// destroyed; packages ask it before they are purged.
func (a *app) outboxDrained(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "drained", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(*file)
			if err != nil {
				return err
			}
			v, err := outbox.OpenView(cmd.Context(), daemon.QueueOptions(cfg, zerolog.Nop()))
			if errors.Is(err, fs.ErrNotExist) && len(journal.Asides(cfg.Outbox.Dir)) == 0 {
				fmt.Fprintln(a.out, a.say("there_no_queue"))
				return nil
			}
			if err != nil {
				return err
			}
			s, err := v.Stats(cmd.Context())
			if err := errors.Join(err, v.Close()); err != nil {
				return err
			}
			left := a.undelivered(s)
			if len(left) == 0 {
				fmt.Fprintln(a.out, a.say("everything_delivered"))
				return nil
			}
			return texts.Errorf("about", s.Dir, text.Join(left...))
		},
	}
}

// undelivered are the reasons why a queue may not be destroyed yet.
func (a *app) undelivered(s outbox.Stats) []text.Text {
	var left []text.Text
	add := func(n int, key string) {
		if n > 0 {
			left = append(left, texts.Say(key, n))
		}
	}
	add(s.Waiting, "wait_for_delivery_connect")
	add(s.Local, "stored_by_this_desk")
	add(s.Dead, "cannot_be_published_see")
	add(s.Quarantined, "in_quarantine_decide_on")
	if s.Fault != "" {
		left = append(left, texts.Say("damaged_queue_was_set", s.Fault))
	}
	return left
}
