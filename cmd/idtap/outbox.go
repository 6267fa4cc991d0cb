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
	"idtap/internal/text"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

// outboxCommand looks into the queue and repairs it. What only looks works
// beside a running daemon; what changes the queue needs it stopped, as the queue
// has one writer: it is refused, naming the daemon's process.
func (a *app) outboxCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:  "outbox",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(texts.Errorf("verb_needed"))
		},
	}
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "", "")
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
		return texts.Errorf("there_no_queue_in", o.Dir)
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
		return texts.Errorf("there_no_queue_in_yet", o.Dir)
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

// lockedOutbox says in Chinese, too, who has the queue.
func (a *app) lockedOutbox(err error) error {
	var locked *outbox.LockedError
	if !errors.As(err, &locked) || locked.PID == 0 {
		return err
	}
	return text.Error(text.Text{Zh: texts.Say("queue_locked", locked.Dir, locked.PID).Zh, En: err.Error()}, err)
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
	return texts.Errorf("belongs_nothing_was_changed", other.Path, other.Account(), strings.Join(words, " "))
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
		Use:  "requeue --from N --to N",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == 0 || to < from {
				return usage(texts.Errorf("from_to", from, to))
			}
			return a.changeOutbox(cmd.Context(), *file, func(q *outbox.Queue, _ *time.Location) error {
				n, err := q.Requeue(cmd.Context(), from, to)
				if err != nil {
					return err
				}
				if err := q.Audit(cmd.Context(), account(), "requeue", fmt.Sprintf("%d-%d", from, to)); err != nil {
					return err
				}
				fmt.Fprintf(a.out, a.say("records_will_be_published"), n)
				if n == 0 {
					return texts.Errorf("no_delivered_record_or")
				}
				return nil
			})
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "")
	cmd.Flags().Uint64Var(&to, "to", 0, "")
	return cmd
}

func (a *app) outboxDiscard(file *string) *cobra.Command {
	return &cobra.Command{
		Use:  "discard ID",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.changeOutbox(ctx, *file, func(q *outbox.Queue, zone *time.Location) error {
				r, err := q.Get(ctx, args[0])
				if err != nil && !(errors.Is(err, outbox.ErrDamaged) && r.ID != "") {
					return err
				}
				done, err := q.Discard(ctx, r.ID, outbox.DiscardDraft(r, event.Operator{Name: account()}, zone))
				if errors.Is(err, outbox.ErrDelivered) {
					return remedy(err, "cancel_on_desk_page")
				}
				if err != nil {
					return err
				}
				if err := q.Audit(ctx, account(), "discard", r.ID); err != nil {
					return err
				}
				fmt.Fprintf(a.out, a.say("took_out_number_published"), r.ID, done.Seq, done.ID)
				return nil
			})
		},
	}
}

func (a *app) outboxAdopt(file *string) *cobra.Command {
	return &cobra.Command{
		Use:  "adopt",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.changeOutbox(ctx, *file, func(q *outbox.Queue, _ *time.Location) error {
				s, err := q.Stats(ctx)
				if err != nil {
					return err
				}
				if s.Foreign == nil {
					return texts.Errorf("there_nothing_adopt_delivery")
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
				fmt.Fprintf(a.out, a.say("goes_on_after_number"),
					s.Foreign.Epoch, s.Foreign.LastSeq, now.Epoch)
				return nil
			})
		},
	}
}

func (a *app) outboxRotateKey(file *string) *cobra.Command {
	return &cobra.Command{
		Use:  "rotate-key",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(*file)
			if err != nil {
				return err
			}
			id, err := outbox.RotateKey(daemon.QueueOptions(cfg, zerolog.Nop()))
			if errors.Is(err, fs.ErrNotExist) {
				return texts.Errorf("there_no_queue_in_yet", cfg.Outbox.Dir)
			}
			if err != nil {
				return a.lockedOutbox(err)
			}
			fmt.Fprintf(a.out, a.say("new_key_keep_fresh"), id)
			return nil
		},
	}
}
