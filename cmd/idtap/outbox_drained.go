package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/publisher/outbox"
	"idtap/publisher/outbox/journal"
)

// outboxDrained answers the question that stands before a desk's data may be
// destroyed; packages ask it before they are purged.
func (a *app) outboxDrained(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "drained", Short: "Whether everything that was accepted is stored elsewhere; else what is left and what to do", Args: cobra.NoArgs,
		Long: "Exit code 0: nothing would be lost with this queue, or there is none. 1: something would, or it cannot be told.\n" +
			"Events that only the embedded server has stored count as left: they are on this desk alone.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(*file)
			if err != nil {
				return err
			}
			v, err := outbox.OpenView(cmd.Context(), daemon.QueueOptions(cfg, zerolog.Nop()))
			if errors.Is(err, fs.ErrNotExist) && len(journal.Asides(cfg.Outbox.Dir)) == 0 {
				fmt.Fprintln(a.out, a.say("没有队列", "there is no queue"))
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
				fmt.Fprintln(a.out, a.say("已全部送达", "everything is delivered"))
				return nil
			}
			return fmt.Errorf("%s: %s", s.Dir, strings.Join(left, "; "))
		},
	}
}

// undelivered are the reasons why a queue may not be destroyed yet.
func (a *app) undelivered(s outbox.Stats) []string {
	var left []string
	add := func(n int, zh, en string) {
		if n > 0 {
			left = append(left, fmt.Sprintf(a.say(zh, en), n))
		}
	}
	add(s.Waiting, "%d 条待投递：连上服务器并等待送达", "%d wait for delivery: connect the server and wait until they are delivered")
	add(s.Local, "%d 条只存在本机的内置服务器：设置 nats.url 后送出", "%d are stored by this desk's embedded server only: set nats.url, they are sent then")
	add(s.Dead, "%d 条死信：见 idtap outbox requeue 和 discard", "%d cannot be published: see idtap outbox requeue and discard")
	add(s.Quarantined, "%d 条在隔离中：在服务台页面处理", "%d are in quarantine: decide on them on the desk page")
	if s.Fault != "" {
		left = append(left, fmt.Sprintf(a.say("损坏的队列 %s 尚未处理", "the damaged queue %s was set aside and is still there"), s.Fault))
	}
	return left
}
