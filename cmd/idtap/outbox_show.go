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
		Use: "stats", Short: "How much waits, since when, and how much room there is", Args: cobra.NoArgs,
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printStats(s outbox.Stats) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(zh, en, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", a.say(zh, en), fmt.Sprintf(format, args...))
	}
	local := func(t time.Time) string { return t.Local().Format(listTime) }
	row("目录", "directory", "%s", s.Dir)
	row("纪元", "epoch", "%s", s.Epoch)
	row("最后序号", "last number", "%d", s.LastSeq)
	if s.Waiting > 0 {
		row("待投递", "waiting", a.say("%d，最早 %s", "%d, oldest %s"), s.Waiting, local(s.Oldest))
	} else {
		row("待投递", "waiting", "0")
	}
	row("已投递", "delivered", "%d", s.Delivered+s.Erased)
	row("  内容仍保留", "  data still kept", "%d", s.Delivered)
	if s.Local > 0 {
		row("  仅存本机，未送出", "  kept on this desk, not sent", "%d", s.Local)
	}
	if !s.LastDelivered.IsZero() {
		row("最近投递", "last delivered", "%s", local(s.LastDelivered))
	}
	row("死信", "dead letters", "%d", s.Dead)
	row("已取出", "discarded", "%d", s.Discarded)
	row("隔离", "quarantined", "%d", s.Quarantined)
	row("占用", "on disk", a.say("%s，上限 %s", "%s of %s"), mebibytes(s.Bytes), mebibytes(s.MaxBytes))
	row("磁盘剩余", "free on the disk", "%s", mebibytes(s.FreeBytes))
	if s.Gaps > 0 {
		row("缺失", "gaps", a.say("%d 处，见 idtap outbox verify", "%d, see idtap outbox verify"), s.Gaps)
	}
	if s.Fault != "" {
		row("损坏的队列", "damaged queue", "%s", s.Fault)
	}
	if !s.Moved.IsZero() {
		row("文件被移走", "files removed", a.say("%s，见 idtap diag", "%s, see idtap diag"), local(s.Moved))
	}
	if s.Foreign != nil {
		row("投递停止", "delivery stopped", a.say("desk_id_in_use：流中有纪元 %s 的事件，见 idtap outbox adopt --help",
			"desk_id_in_use: the stream has events of epoch %s, see idtap outbox adopt --help"), s.Foreign.Epoch)
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
		Use: "list", Short: "Records without their data, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch s := outbox.State(state); s {
			case "", outbox.Waiting, outbox.Delivered, outbox.Erased, outbox.Dead, outbox.Discarded:
			default:
				return usage(fmt.Errorf("--state %q: want waiting, delivered, erased, dead or discarded", state))
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
				fmt.Fprintln(w, a.say("行\t时间\t序号\t事件\t证件\t质量\t状态\t编号", "row\ttime\tnumber\tevent\tdocument\tquality\tstate\tid"))
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
	f.StringVar(&state, "state", "", "only waiting, delivered, erased, dead or discarded")
	f.Int64Var(&after, "after", 0, "only rows behind this one")
	f.IntVar(&limit, "limit", 100, "at most so many")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// shortType is the event's name without what all types share.
func shortType(t string) string {
	return strings.TrimSuffix(strings.TrimPrefix(t, "idtap.registration."), ".v1")
}

func (a *app) outboxVerify(file *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the file, every link of the chain and every seal", Args: cobra.NoArgs,
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printVerify(r outbox.VerifyReport) error {
	fmt.Fprintf(a.out, a.say("%d 条记录：%d 条密封完好，%d 条已擦除（由哈希链证明）\n", "%d records: %d whole seals, %d erased (held by the chain)\n"),
		r.Records, r.Opened, r.Erased)
	if r.Unopened > 0 {
		fmt.Fprintf(a.out, a.say("%d 条未检查密封：密钥文件不可读\n", "%d seals not checked: the key file cannot be read\n"), r.Unopened)
	}
	for _, g := range r.Gaps {
		if g.Epoch == "" {
			fmt.Fprintf(a.out, a.say("%s 缺失 %d 条，序号不明（%s）\n", "%s: %d records lost, numbers unknown (%s)\n"), g.FoundAt.Local().Format(listTime), g.Records, g.File)
			continue
		}
		fmt.Fprintf(a.out, a.say("%s 缺失序号 %d 至 %d，纪元 %s（%s）\n", "%s: numbers %d to %d of epoch %s lost (%s)\n"),
			g.FoundAt.Local().Format(listTime), g.First, g.Last, g.Epoch, g.File)
	}
	for _, p := range r.Problems {
		where := a.say("文件", "file")
		if p.Row > 0 {
			where = fmt.Sprintf(a.say("第 %d 行 %s", "row %d %s"), p.Row, p.ID)
		}
		fmt.Fprintf(a.out, "%s: %s\n", where, p.What)
	}
	if r.OK {
		fmt.Fprintln(a.out, a.say("完好", "ok"))
		return nil
	}
	fmt.Fprintln(a.out, a.say("已损坏：下次启动 idtap run 时会将其搁置并接续可读部分", "damaged: the next start of idtap run sets it aside and carries over what is readable"))
	return nil
}

func (a *app) outboxQuarantine(file *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "quarantine", Short: "Taps with errors that were not published, without their data", Args: cobra.NoArgs,
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
				fmt.Fprintln(w, a.say("时间\t读卡器\t证件\t两次读取一致\t问题\t编号", "time\treader\tdocument\tread twice alike\tfindings\tid"))
				for _, z := range list {
					twice := a.say("否", "no")
					if z.Verified {
						twice = a.say("是", "yes")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", z.At.Local().Format(listTime), z.Reader, z.Kind, twice, strings.Join(z.Codes, " "), z.ID)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func (a *app) outboxAudit(file *string) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "Who revealed, confirmed, corrected, cancelled or repaired what", Args: cobra.NoArgs,
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
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many, the newest")
	return cmd
}
