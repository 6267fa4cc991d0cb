package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/cmd/internal/provision"
	"idtap/config"
	"idtap/internal/text"
	"idtap/publisher/bus"
	"idtap/publisher/outbox"
	"idtap/reader/identity/division"
)

func (a *app) provisionCommand() *cobra.Command {
	var desks, fleet, out string
	cmd := &cobra.Command{
		Use: "provision", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if desks == "" || out == "" {
				return usage(texts.Errorf("desks_and_out"))
			}
			return a.provision(desks, fleet, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&desks, "desks", "", "")
	f.StringVar(&fleet, "fleet", "", "")
	f.StringVar(&out, "out", "", "")
	cmd.AddCommand(a.provisionApplyCommand())
	return cmd
}

// isCounty reports whether a desk can stand in a division.
func isCounty(code string) bool {
	fit, _ := division.FitsDesk(code)
	return fit != division.NoUnit && fit != division.TooWide
}

func (a *app) readDesks(path string) ([]provision.Desk, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage(err)
	}
	defer f.Close()
	desks, err := provision.ReadDesks(f, isCounty)
	if err != nil {
		return nil, usage(fmt.Errorf("%s:\n%s", path, text.Of(err, a.lang)))
	}
	return desks, nil
}

func (a *app) provision(table, fleetFile, out string) error {
	desks, err := a.readDesks(table)
	if err != nil {
		return err
	}
	fleet := provision.Fleet{Dir: filepath.Dir(fleetFile)}
	if fleetFile != "" {
		if fleet.Settings, err = os.ReadFile(fleetFile); err != nil {
			return usage(err)
		}
	}
	type deskPermissions struct {
		ID          string          `json:"id"`
		Division    string          `json:"division"`
		Permissions bus.Permissions `json:"permissions"`
	}
	files, permissions := map[string][]byte{}, []deskPermissions{}
	var users bytes.Buffer
	fmt.Fprintf(&users, "#!/bin/sh\n# Makes each desk's user: ACCOUNT=registry sh users.sh\nset -e\n: \"${ACCOUNT:?name the account}\"\n")
	var problems []error
	for _, d := range desks {
		b, c, err := provision.Make(d, fleet, filepath.Dir(table))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		var zip bytes.Buffer
		if err := b.Pack(&zip); err != nil {
			return err
		}
		files[d.ID+".zip"] = zip.Bytes()
		permissions = append(permissions, deskPermissions{d.ID, d.Division, bus.DeskPermissions(c.NATS.Stream, cmp.Or(c.NATS.APIPrefix, bus.DefaultAPIPrefix), d.Division, d.ID)})
		fmt.Fprintf(&users, "nsc add user %s --account \"$ACCOUNT\" --private-key desk --tag province:%s --tag prefecture:%s --tag county:%s\n"+
			"nsc generate creds --account \"$ACCOUNT\" --name %s >%s.creds\n", d.ID, d.Division[:2], d.Division[:4], d.Division, d.ID, d.ID)
	}
	if err := errors.Join(problems...); err != nil {
		return usage(errors.New(text.Of(err, a.lang)))
	}
	list, err := json.MarshalIndent(map[string]any{"desks": permissions}, "", "  ")
	if err != nil {
		return err
	}
	files["permissions.json"], files["users.sh"] = append(list, '\n'), users.Bytes()
	if err := os.Mkdir(out, 0o700); err != nil {
		return usage(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(out, name), files[name], 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, a.say("desks"), len(desks), out)
	return nil
}

func (a *app) provisionApplyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "apply FILE", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.provisionApply(cmd.Context(), args[0]) },
	}
}

func (a *app) provisionApply(ctx context.Context, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return usage(err)
	}
	b, err := provision.Open(raw)
	if err != nil {
		return usage(fmt.Errorf("%s: %s", file, text.Of(err, a.lang)))
	}
	s := config.Machine()
	s.Getenv, s.Environ = func(string) string { return "" }, func() []string { return nil } // the service has none of this shell's
	dir := filepath.Dir(a.packaged)
	before, _ := config.Load(a.packaged, s) // a mistake in what is replaced is no reason to stop
	after, err := b.Check(dir, s)
	if err == nil {
		err = checkDivision(&after)
	}
	if err != nil {
		return usage(errors.New(strings.Join(a.problems(err), "\n")))
	}
	if err := a.sameQueue(ctx, before, after); err != nil {
		return err
	}
	if err := b.Write(dir, ownFile); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		fmt.Fprintln(a.out, filepath.Join(dir, filepath.FromSlash(name)))
	}
	restarted := a.restart(ctx)
	if restarted != nil {
		fmt.Fprintln(a.err, a.say("service_was_not_restarted")+text.Of(restarted, a.lang))
	}
	code := a.execute(ctx, []string{"diag", "--lang", a.lang, "-c", a.packaged})
	fmt.Fprintln(a.out, a.telephone(b.Desk, code, restarted == nil, raw))
	if restarted != nil || code > 1 {
		return &exitError{Code: exitFailed}
	}
	return nil
}

// sameQueue refuses to give another desk's id to a queue that has records: a disk
// that was cloned after its first start, or a desk that is given a new id before
// the old one's records are delivered.
func (a *app) sameQueue(ctx context.Context, before, after config.Config) error {
	if before.Desk.ID == after.Desk.ID {
		return nil
	}
	v, err := outbox.OpenView(ctx, daemon.QueueOptions(after, zerolog.Nop()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := v.Stats(ctx)
	if err := errors.Join(err, v.Close()); err != nil {
		return err
	}
	if s.LastSeq > 0 {
		return errors.New(text.Of(provision.OtherDesk(before.Desk.ID, s.LastSeq, after.Outbox.Dir), a.lang))
	}
	return nil
}

// telephone is the line that is read out: who, how, and what was applied.
func (a *app) telephone(desk string, diag int, restarted bool, bundle []byte) string {
	verdict := map[int]string{0: a.say("ok2"), 1: a.say("warnings"), 2: a.say("faults"), diagUnknown: a.say("not_known")}[diag]
	if !restarted {
		verdict = a.say("not_started")
	}
	sum := sha256.Sum256(bundle)
	return fmt.Sprintf(">>> %s | %s | %s | %x-%x", desk, verdict, version, sum[:2], sum[2:4])
}
