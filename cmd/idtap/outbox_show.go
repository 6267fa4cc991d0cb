package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"idtap/publisher/outbox"
)

const listTime = "2006-01-02 15:04:05"

// printJSON writes one indented JSON value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// second cuts the fraction off a time, as the JSON of these commands has none.
func second(t *time.Time) { *t = t.Truncate(time.Second) }

func (a *app) outboxStats(file *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "stats", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.viewOutbox(cmd.Context(), *file, func(v *outbox.View, o outbox.Options) error {
				s, err := v.Stats(cmd.Context())
				if err != nil {
					return err
				}
				s.MaxBytes = o.MaxBytes
				if asJSON {
					second(&s.Oldest)
					second(&s.LastDelivered)
					second(&s.Moved)
					return printJSON(a.out, s)
				}
				return a.printStats(s)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "")
	return cmd
}

func (a *app) printStats(s outbox.Stats) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", a.say(key), fmt.Sprintf(format, args...))
	}
	local := func(t time.Time) string { return t.Local().Format(listTime) }
	row("directory", "%s", s.Dir)
	row("epoch", "%s", s.Epoch)
	row("last_number", "%d", s.LastSeq)
	if s.Waiting > 0 {
		row("waiting", a.say("oldest"), s.Waiting, local(s.Oldest))
	} else {
		row("waiting", "0")
	}
	row("delivered", "%d", s.Delivered+s.Erased)
	row("data_still_kept", "%d", s.Delivered)
	if s.Local > 0 {
		row("kept_on_this_desk", "%d", s.Local)
	}
	if !s.LastDelivered.IsZero() {
		row("last_delivered", "%s", local(s.LastDelivered))
	}
	row("dead_letters", "%d", s.Dead)
	row("discarded", "%d", s.Discarded)
	row("quarantined", "%d", s.Quarantined)
	row("on_disk", a.say("of"), mebibytes(s.Bytes), mebibytes(s.MaxBytes))
	row("free_on_disk", "%s", mebibytes(s.FreeBytes))
	if s.Gaps > 0 {
		row("gaps", a.say("see_idtap_outbox_verify"), s.Gaps)
	}
	if s.Fault != "" {
		row("damaged_queue", "%s", s.Fault)
	}
	if !s.Moved.IsZero() {
		row("files_removed", a.say("see_idtap_diag"), local(s.Moved))
	}
	if s.Foreign != nil {
		row("delivery_stopped", a.say("desk_id_in_use"), s.Foreign.Epoch)
	}
	return w.Flush()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (a *app) outboxList(file *string) *cobra.Command {
	var (
		state  string
		after  int64
		limit  int
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch s := outbox.State(state); s {
			case "", outbox.Waiting, outbox.Delivered, outbox.Erased, outbox.Dead, outbox.Discarded:
			default:
				return usage(texts.Errorf("want_state", state))
			}
			return a.viewOutbox(cmd.Context(), *file, func(v *outbox.View, _ outbox.Options) error {
				list, err := v.List(cmd.Context(), outbox.ListFilter{State: outbox.State(state), After: after, Limit: limit})
				if err != nil {
					return err
				}
				if asJSON {
					e := json.NewEncoder(a.out)
					for _, l := range list {
						second(&l.AcceptedAt)
						if err := e.Encode(l); err != nil {
							return err
						}
					}
					return nil
				}
				w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, a.say("row_time_number_event"))
				for _, l := range list {
					state := string(l.State)
					if l.Reason != "" {
						state += " (" + l.Reason + ")"
					}
					fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Row, l.AcceptedAt.Local().Format(listTime), l.Seq, shortType(l.Type), l.Kind, l.Status, state, l.ID)
				}
				return w.Flush()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "")
	f.Int64Var(&after, "after", 0, "")
	f.IntVar(&limit, "limit", 100, "")
	f.BoolVar(&asJSON, "json", false, "")
	return cmd
}

// shortType is the event's name without what all types share.
func shortType(t string) string {
	return strings.TrimSuffix(strings.TrimPrefix(t, "idtap.registration."), ".v1")
}

func (a *app) outboxVerify(file *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.viewOutbox(cmd.Context(), *file, func(v *outbox.View, _ outbox.Options) error {
				r, err := v.Verify(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					for i := range r.Gaps {
						second(&r.Gaps[i].FoundAt)
					}
					err = printJSON(a.out, r)
				} else {
					err = a.printVerify(r)
				}
				if err == nil && !r.OK {
					return &exitError{Code: exitFailed}
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "")
	return cmd
}

func (a *app) printVerify(r outbox.VerifyReport) error {
	fmt.Fprintf(a.out, a.say("records_whole_seals_erased"),
		r.Records, r.Opened, r.Erased)
	if r.Unopened > 0 {
		fmt.Fprintf(a.out, a.say("seals_not_checked_key"), r.Unopened)
	}
	for _, g := range r.Gaps {
		if g.Epoch == "" {
			fmt.Fprintf(a.out, a.say("records_lost_numbers_unknown"), g.FoundAt.Local().Format(listTime), g.Records, g.File)
			continue
		}
		fmt.Fprintf(a.out, a.say("numbers_epoch_lost"),
			g.FoundAt.Local().Format(listTime), g.First, g.Last, g.Epoch, g.File)
	}
	for _, p := range r.Problems {
		where := a.say("file")
		if p.Row > 0 {
			where = a.say("row", p.Row, p.ID)
		}
		fmt.Fprintf(a.out, "%s: %s\n", where, p.What)
	}
	if r.OK {
		fmt.Fprintln(a.out, a.say("ok3"))
		return nil
	}
	fmt.Fprintln(a.out, a.say("damaged_next_start_idtap"))
	return nil
}

func (a *app) outboxQuarantine(file *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "quarantine", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.viewOutbox(cmd.Context(), *file, func(v *outbox.View, _ outbox.Options) error {
				list, err := v.Quarantined(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					e := json.NewEncoder(a.out)
					for _, z := range list {
						second(&z.At)
						if err := e.Encode(z); err != nil {
							return err
						}
					}
					return nil
				}
				w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, a.say("time_reader_document_read"))
				for _, z := range list {
					twice := a.say("no")
					if z.Verified {
						twice = a.say("yes")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", z.At.Local().Format(listTime), z.Reader, z.Kind, twice, strings.Join(z.Codes, " "), z.ID)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "")
	return cmd
}

func (a *app) outboxAudit(file *string) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.viewOutbox(cmd.Context(), *file, func(v *outbox.View, _ outbox.Options) error {
				lines, err := v.AuditLines(cmd.Context(), limit)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				for _, l := range lines {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.At.Local().Format(listTime), l.Who, l.What, l.ID)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "")
	return cmd
}
