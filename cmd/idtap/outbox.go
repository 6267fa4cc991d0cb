package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/internal/securefile"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// outboxCommand looks into the queue and repairs it. What only looks works
// beside a running daemon; what changes the queue needs it stopped, as the queue
// has one writer: it is refused, naming the daemon's process.
func (a *app) outboxCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "outbox", Short: "Look into and repair the local queue",
		Long: "stats, list, verify, quarantine, audit and drained only look and work beside a running daemon.\n" +
			"requeue, discard, adopt and rotate-key change the queue and need the daemon stopped.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(errors.New("a verb is needed"))
		},
	}
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "", "configuration file; none: the installed package's, else the defaults")
	cmd.AddCommand(
		a.outboxStats(&file), a.outboxList(&file), a.outboxVerify(&file), a.outboxQuarantine(&file), a.outboxAudit(&file), a.outboxDrained(&file),
		a.outboxRequeue(&file), a.outboxDiscard(&file), a.outboxAdopt(&file), a.outboxRotateKey(&file),
	)
	return cmd
}

// viewOutbox opens the configured queue for looking.
func (a *app) viewOutbox(ctx context.Context, file string, do func(*outbox.View, outbox.Options) error) error {
	cfg, err := a.loadConfig(file)
	if err != nil {
		return err
	}
	o := daemon.QueueOptions(cfg, zerolog.Nop())
	v, err := outbox.OpenView(ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf(a.say("%s 中还没有队列：idtap run 会建立它", "there is no queue in %s yet: idtap run makes one"), o.Dir)
	}
	if err != nil {
		return err
	}
	defer v.Close()
	return do(v, o)
}

// changeOutbox opens the configured queue for changing, which the lock allows
// only while no daemon runs. A damaged queue is repaired on the way.
func (a *app) changeOutbox(ctx context.Context, file string, do func(*outbox.Queue, *time.Location) error) error {
	cfg, err := a.loadConfig(file)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(cfg.Desk.Timezone)
	if err != nil {
		return usage(err)
	}
	log, err := a.logger(cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	o := daemon.QueueOptions(cfg, log)
	if err := securefile.CheckDir(o.Dir); err != nil {
		return err
	}
	v, err := outbox.OpenView(ctx, o) // a mistyped directory is not made into a queue
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf(a.say("%s 中还没有队列", "there is no queue in %s yet"), o.Dir)
	}
	if err == nil {
		v.Close()
	}
	q, err := outbox.Open(ctx, o)
	if err != nil {
		return a.lockedOutbox(err)
	}
	return errors.Join(do(q, zone), q.Close())
}

// lockedOutbox says in the user's language who has the queue.
func (a *app) lockedOutbox(err error) error {
	var locked *outbox.LockedError
	if a.lang != "zh" || !errors.As(err, &locked) || locked.PID == 0 {
		return err
	}
	return fmt.Errorf("%s 的队列正由另一个 idtap（进程 %d）使用：请先停止它，或另设 outbox.dir", locked.Dir, locked.PID)
}

// othersFiles says in the user's language whose files a command would have
// changed, and how it is run as that account.
func (a *app) othersFiles(err error, args []string) error {
	var other *securefile.OwnerError
	if !errors.As(err, &other) {
		return err
	}
	words := []string{"sudo", "-u", securefile.Quote(other.Account()), "idtap"}
	for _, w := range args {
		words = append(words, securefile.Quote(w))
	}
	return fmt.Errorf(a.say("%s 属于用户 %s，未作任何改动。请以该用户执行：\n  %s",
		"%s belongs to %s; nothing was changed. Run this as that account:\n  %s"), other.Path, other.Account(), strings.Join(words, " "))
}

// account is who changes the queue, for the audit line.
func account() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

func (a *app) outboxRequeue(file *string) *cobra.Command {
	var from, to uint64
	cmd := &cobra.Command{
		Use: "requeue --from N --to N", Short: "Publish delivered records and dead letters again, under their old ids",
		Long: "Publishes again what the desk still has of sequence numbers N to N of the current epoch. The ids stay\n" +
			"the same, the header idtap-requeued is added: this is the one way to store an event twice.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == 0 || to < from {
				return usage(fmt.Errorf("--from %d --to %d: want 1 or more, and not backwards", from, to))
			}
			return a.changeOutbox(cmd.Context(), *file, func(q *outbox.Queue, _ *time.Location) error {
				n, err := q.Requeue(cmd.Context(), from, to)
				if err != nil {
					return err
				}
				if err := q.Audit(cmd.Context(), account(), "requeue", fmt.Sprintf("%d-%d", from, to)); err != nil {
					return err
				}
				fmt.Fprintf(a.out, a.say("%d 条记录将重新发布\n", "%d records will be published again\n"), n)
				if n == 0 {
					return errors.New(a.say("这一范围内没有仍保留内容的已送达记录或死信", "no delivered record or dead letter in that range still has its data"))
				}
				return nil
			})
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "first sequence number")
	cmd.Flags().Uint64Var(&to, "to", 0, "last sequence number")
	return cmd
}

func (a *app) outboxDiscard(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "discard ID", Short: "Take an undelivered record out; a cancelled event is published under its number",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.changeOutbox(ctx, *file, func(q *outbox.Queue, zone *time.Location) error {
				r, err := q.Get(ctx, args[0])
				if err != nil && !(errors.Is(err, outbox.ErrDamaged) && r.ID != "") {
					return err
				}
				done, err := q.Discard(ctx, r.ID, outbox.DiscardDraft(r, event.Operator{Name: account()}, zone))
				if errors.Is(err, outbox.ErrDelivered) {
					return fmt.Errorf("%w: %s", err, a.say("请在服务台页面上撤销它", "cancel it on the desk page instead"))
				}
				if err != nil {
					return err
				}
				if err := q.Audit(ctx, account(), "discard", r.ID); err != nil {
					return err
				}
				fmt.Fprintf(a.out, a.say("已取出 %s（序号 %d）；将以 %s 发布撤销事件\n", "took out %s (number %d); it is published as cancelled in %s\n"), r.ID, done.Seq, done.ID)
				return nil
			})
		},
	}
}

func (a *app) outboxAdopt(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "adopt", Short: "Deliver again after the disk was restored or re-imaged, in a new epoch",
		Long: "When the stream holds events of this desk id that this queue never made, delivery stops (desk_id_in_use).\n" +
			"If the disk was restored (a restore card, a snapshot, a backup) or re-imaged, they are this desk's own:\n" +
			"adopt begins a new epoch after them, and what waits is numbered again under its ids, so that no number is\n" +
			"given to two people. If another desk uses the same id, give one of them another desk.id instead.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.changeOutbox(ctx, *file, func(q *outbox.Queue, _ *time.Location) error {
				s, err := q.Stats(ctx)
				if err != nil {
					return err
				}
				if s.Foreign == nil {
					return errors.New(a.say("没有需要接续的事件：投递没有因此停止", "there is nothing to adopt: delivery has not met foreign events"))
				}
				if err := q.Adopt(ctx, s.Foreign.LastSeq, s.Foreign.Epoch); err != nil {
					return err
				}
				if err := q.Audit(ctx, account(), "adopt", s.Foreign.Epoch); err != nil {
					return err
				}
				now, err := q.Stats(ctx)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, a.say("已接续纪元 %s 的第 %d 号事件；新纪元为 %s\n", "goes on after number %[2]d of epoch %[1]s, in the new epoch %[3]s\n"),
					s.Foreign.Epoch, s.Foreign.LastSeq, now.Epoch)
				return nil
			})
		},
	}
}

func (a *app) outboxRotateKey(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "rotate-key", Short: "Seal new records with a new key; the old ones stay in the key file and open old records",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(*file)
			if err != nil {
				return err
			}
			id, err := outbox.RotateKey(daemon.QueueOptions(cfg, zerolog.Nop()))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf(a.say("%s 中还没有队列", "there is no queue in %s yet"), cfg.Outbox.Dir)
			}
			if err != nil {
				return a.lockedOutbox(err)
			}
			fmt.Fprintf(a.out, a.say("新密钥 %s；请再备份一次密钥文件\n", "new key %s; keep a fresh copy of the key file\n"), id)
			return nil
		},
	}
}
