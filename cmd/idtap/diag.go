package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/config"
	"idtap/driver/diagnosis"
	"idtap/internal/securefile"
)

// diagUnknown is diag's exit code for what could not be found out, wrong usage
// included. The others are diagnosis.Level's: 0 ok, 1 warning, 2 critical.
const diagUnknown = 3

// watchEvery is how often --watch looks again.
const watchEvery = 2 * time.Second

// diagFlags are the technician's.
type diagFlags struct {
	file     string
	asJSON   bool
	reader   string
	watch    bool
	capture  string
	kit      string
	personal bool
	probe    string
	tap      bool
}

func (a *app) diagCommand() *cobra.Command {
	var f diagFlags
	wrong := func(err error) error {
		if err == nil {
			return nil
		}
		return &exitError{diagUnknown, err}
	}
	cmd := &cobra.Command{
		Use: "diag",

		Args: func(cmd *cobra.Command, args []string) error { return wrong(noArgs(cmd, args)) },
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := cmd.Root().PersistentPreRunE(cmd, args); err != nil {
				return wrong(errors.Unwrap(err))
			}
			return wrong(f.check())
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(f.file)
			if err != nil {
				return wrong(errors.Unwrap(err))
			}
			return a.diag(cmd.Context(), cfg, f)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrong(err) })
	configFlag(cmd, &f.file)
	fl := cmd.Flags()
	fl.BoolVar(&f.asJSON, "json", false, "")
	fl.StringVar(&f.reader, "reader", "", "")
	fl.BoolVar(&f.watch, "watch", false, "")
	fl.BoolVar(&f.tap, "tap", false, "")
	fl.StringVar(&f.probe, "probe", "", "")
	fl.StringVar(&f.capture, "capture", "", "")
	fl.StringVar(&f.kit, "kit", "", "")
	fl.BoolVar(&f.personal, "with-personal-data", false, "")
	return cmd
}

func (f diagFlags) check() error {
	modes := 0
	for _, on := range []bool{f.watch, f.tap, f.probe != "", f.capture != "", f.kit != ""} {
		if on {
			modes++
		}
	}
	switch {
	case modes > 1:
		return texts.Errorf("diag_one_of")
	case f.personal && f.capture == "":
		return texts.Errorf("with_capture")
	}
	return nil
}

func (a *app) diag(ctx context.Context, cfg config.Config, f diagFlags) error {
	client, running := a.findDaemon(ctx, cfg, f.file)
	if r, ok := readerAt(cfg, f.probe); ok && running { // it has the port: it is asked instead
		f.probe, f.reader = "", r
	}
	g := daemon.NewExaminer(cfg, a.daemonOptions(cfg, false))
	if f.probe != "" {
		report, err := g.Probe(ctx, f.probe)
		if err != nil {
			return &exitError{diagUnknown, fmt.Errorf("--probe %s: %w", f.probe, err)}
		}
		return a.show(report, f.asJSON)
	}
	g.Only(f.reader)
	if f.capture != "" || f.kit != "" {
		record := g.Capture
		if running {
			record = func(ctx context.Context, personal bool, w io.Writer) error {
				return client.Capture(ctx, f.reader, account(), personal, w)
			}
		} else if f.personal { // what is not written down is not done
			if err := daemon.AuditCapture(ctx, cfg, account(), f.reader, zerolog.Nop()); err != nil {
				return &exitError{diagUnknown, err}
			}
		}
		if f.kit != "" {
			return a.kitTo(ctx, f.kit, g.Describe(ctx), record)
		}
		return a.captureTo(ctx, f.capture, f.personal, record)
	}
	if !running && f.reader != "" && !g.Has(f.reader) {
		return &exitError{diagUnknown, fmt.Errorf("--reader %s: %w", f.reader, daemon.ErrNoSuchReader)}
	}
	if f.tap {
		fmt.Fprintf(a.err, a.say("place_card_within_seconds"), int(daemon.TapWait.Seconds()))
	}
	look := func() (diagnosis.Report, error) {
		if running {
			return client.Report(ctx, f.reader, f.tap)
		}
		return g.Report(ctx, f.tap), nil
	}
	var last error = &exitError{Code: diagUnknown}
	for {
		report, err := look()
		switch {
		case ctx.Err() != nil: // half a report says nothing
			return last
		case err != nil:
			return &exitError{diagUnknown, err}
		}
		if f.watch && !f.asJSON && isTerminal(a.out) {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J")
		}
		if last = a.show(report, f.asJSON); !f.watch {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(watchEvery):
		}
		client, running = a.findDaemon(ctx, cfg, f.file) // it may have come or gone
	}
}

// findDaemon looks for the daemon of a configuration that answers, and without a
// file also for the demo.
func (a *app) findDaemon(ctx context.Context, cfg config.Config, file string) (*daemon.Client, bool) {
	for _, demo := range []bool{false, true} {
		if demo && file != "" {
			break
		}
		if c, ok := daemon.Dial(ctx, a.runtimeFile(cfg, demo)); ok && c.Alive(ctx) {
			return c, true
		}
	}
	return nil, false
}

// captureTo records into a new file until the context ends.
func (a *app) captureTo(ctx context.Context, file string, personal bool, record func(ctx context.Context, personal bool, w io.Writer) error) error {
	f, err := securefile.Create(file)
	if err != nil {
		return &exitError{diagUnknown, fmt.Errorf("--capture: %w", err)}
	}
	if personal {
		fmt.Fprintln(a.err, a.say("warning_recording_holds_everything"))
	}
	fmt.Fprintln(a.err, a.say("recording_leave_reader_empty"))
	err = record(ctx, personal, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return &exitError{diagUnknown, err}
	}
	fmt.Fprintln(a.out, file)
	return nil
}

// readerAt finds the configured reader that has a port, by whatever name.
func readerAt(cfg config.Config, port string) (name string, ok bool) {
	node := func(path string) string {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		return path
	}
	for _, r := range cfg.Readers {
		if port != "" && node(r.Port) == node(port) {
			return r.Name, true
		}
	}
	return "", false
}

// show prints a report; its level is the exit code.
func (a *app) show(r diagnosis.Report, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		if isTerminal(a.out) {
			e.SetIndent("", "  ")
		}
		if err := e.Encode(r); err != nil {
			return err
		}
	} else {
		(&sheetPrinter{w: a.out, lang: a.lang, terminal: isTerminal(a.out)}).print(r)
	}
	if code := r.Level.ExitCode(); code != 0 {
		return &exitError{Code: code}
	}
	return nil
}
