package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/config"
	"idtap/publisher/bus"
	"idtap/publisher/event"
)

// busFlags are an administrator's: where the server is and how to log in, where
// that is not what the desk's configuration says.
type busFlags struct {
	file     string
	server   bus.Server
	desk     bus.Server // the desk's own login, where server has another; else zero
	inbox    string     // of the desk's own login
	stream   string
	replicas int
	prefix   string
}

func (f *busFlags) add(cmd *cobra.Command) {
	configFlag(cmd, &f.file)
	fl := cmd.Flags()
	fl.StringVar(&f.server.URL, "server", "", "")
	fl.StringVar(&f.server.Creds, "creds", "", "")
	fl.StringVar(&f.server.NKey, "nkey", "", "")
	fl.StringVar(&f.server.User, "user", "", "")
	fl.StringVar(&f.server.PasswordFile, "password-file", "", "")
	fl.StringVar(&f.stream, "stream", "", "")
	fl.StringVar(&f.prefix, "api-prefix", "", "")
	fl.IntVar(&f.replicas, "replicas", 0, "")
}

// resolve fills in from the configuration what no flag says. A login given by
// flag replaces the desk's whole login.
func (f *busFlags) resolve(a *app) (config.Config, error) {
	cfg, err := a.loadConfig(f.file)
	if err != nil {
		return cfg, err
	}
	s := daemon.BusServer(cfg.NATS)
	f.inbox = bus.Inbox(cfg.Desk.ID)
	if f.server.URL != "" {
		s.URL = f.server.URL
	}
	if f.server.Creds != "" || f.server.NKey != "" || f.server.User != "" {
		f.desk = s
		s.Creds, s.NKey, s.User, s.PasswordFile = f.server.Creds, f.server.NKey, f.server.User, f.server.PasswordFile
		s.APIPrefix = ""
	}
	if f.prefix != "" {
		s.APIPrefix = f.prefix
	}
	f.server = s
	if f.stream == "" {
		f.stream = cfg.NATS.Stream
	}
	if f.replicas == 0 {
		f.replicas = cfg.NATS.Replicas
	}
	return cfg, nil
}

func (f *busFlags) connect(a *app) (*nats.Conn, error) {
	if f.server.URL == "" {
		return nil, usage(texts.Errorf("no_server_give_server"))
	}
	var own []nats.Option
	if f.desk.URL == "" {
		own = append(own, nats.CustomInboxPrefix(f.inbox))
	}
	nc, err := bus.Dial(f.server, "idtap bus", own...)
	var plain *bus.PlaintextError
	var file *bus.FileError
	if errors.As(err, &plain) || errors.As(err, &file) {
		return nil, usage(err)
	}
	return nc, err
}

func (a *app) busCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bus", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(texts.Errorf("init_or_check"))
		}}
	cmd.AddCommand(a.busInitCommand(), a.busCheckCommand(), a.busTrustCommand())
	return cmd
}

func (a *app) busInitCommand() *cobra.Command {
	var f busFlags
	var create, permissions, template, accounts, nsc bool
	var registries []string
	var maxAge, maxBytes string
	cmd := &cobra.Command{
		Use: "init", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.resolve(a)
			if err != nil {
				return err
			}
			switch {
			case several(create, permissions, template, accounts):
				return usage(texts.Errorf("create_permissions_template_and"))
			case permissions:
				return a.printJSON(bus.DeskPermissions(f.stream, f.api(cfg), cfg.Desk.Division, cfg.Desk.ID))
			case template:
				return a.printJSON(bus.DeskTemplate(f.stream, f.api(cfg)))
			case accounts && nsc:
				fmt.Fprintln(a.out, strings.Join(bus.NewAccounts(f.stream).NSC(), "\n"))
				return nil
			case accounts:
				return a.printAccounts(f.stream, cfg.Desk, registries)
			}
			switch maxAge {
			case "":
				return usage(errors.New(a.say("max_age_wanted")))
			case "forever":
				maxAge = ""
			}
			age, size, err := limits(maxAge, maxBytes)
			if err != nil {
				return usage(err)
			}
			stream := bus.RecommendedStream(f.stream, f.replicas, age, size)
			if !create {
				return a.printJSON(stream)
			}
			nc, err := f.connect(a)
			if err != nil {
				return err
			}
			defer nc.Close()
			if err := bus.MakeStream(cmd.Context(), nc, stream); err != nil {
				return err
			}
			fmt.Fprintf(a.out, a.say("made_stream_replicas"), f.stream, f.replicas)
			return nil
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&create, "create", false, "")
	fl.BoolVar(&permissions, "permissions", false, "")
	fl.BoolVar(&template, "template", false, "")
	fl.BoolVar(&accounts, "accounts", false, "")
	fl.BoolVar(&nsc, "nsc", false, "")
	fl.StringArrayVar(&registries, "registry", nil, "")
	fl.StringVar(&maxAge, "max-age", "", "")
	fl.StringVar(&maxBytes, "max-bytes", "", "")
	return cmd
}

// several reports whether more than one is set.
func several(set ...bool) bool {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n > 1
}

// api is the prefix of the JetStream API as desks see it.
func (f *busFlags) api(cfg config.Config) string {
	return cmp.Or(f.prefix, cfg.NATS.APIPrefix, bus.DefaultAPIPrefix)
}

// printAccounts prints a server file with an administrator, the configured desk,
// the registries and a monitor. The file holds hashes; the passwords, made now,
// go to the terminal once.
func (a *app) printAccounts(stream string, desk config.Desk, registries []string) error {
	for _, r := range registries {
		if !event.ValidDeskID(r) {
			return usage(texts.Errorf("want_registry", r))
		}
	}
	file, logins, err := bus.NewAccounts(stream).Example(desk.Division, desk.ID, registries)
	if err != nil {
		return err
	}
	fmt.Fprint(a.out, file)
	fmt.Fprintln(a.err, a.say("passwords_shown_this_once"))
	for _, l := range logins {
		fmt.Fprintf(a.err, "%-18s %-24s %s\n", l.Account, l.Name, l.Password)
	}
	return nil
}

// limits reads durations and sizes as the configuration does.
func limits(maxAge, maxBytes string) (age time.Duration, size int64, err error) {
	if maxAge != "" {
		var d config.Duration
		if err := d.UnmarshalText([]byte(maxAge)); err != nil {
			return 0, 0, fmt.Errorf("--max-age %q: %w", maxAge, err)
		}
		age = time.Duration(d)
	}
	if maxBytes != "" {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(maxBytes)); err != nil {
			return 0, 0, fmt.Errorf("--max-bytes %q: %w", maxBytes, err)
		}
		size = int64(b)
	}
	return age, size, nil
}

func (a *app) busCheckCommand() *cobra.Command {
	var f busFlags
	var asJSON bool
	var accounts string
	cmd := &cobra.Command{
		Use: "check", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.resolve(a)
			if err != nil {
				return err
			}
			if accounts != "" {
				return a.checkAccounts(accounts, f.stream)
			}
			nc, err := f.connect(a)
			if err != nil {
				return err
			}
			defer nc.Close()
			found, err := bus.Inspect(cmd.Context(), f.server, nc, f.stream, bus.Want{Subject: event.Filter(cfg.Desk.Division, cfg.Desk.ID), Replicas: f.replicas})
			switch {
			case errors.Is(err, bus.ErrNoStream):
				return errors.New(a.explain(bus.Problem{Code: bus.NoStream, Detail: f.stream}))
			case errors.Is(err, context.DeadlineExceeded):
				return remedy(err, "no_answer_no_permission")
			case err != nil:
				return err
			}
			account, err := f.account(cmd.Context(), nc)
			if err != nil {
				return err
			}
			found.Account = account.state
			if account.state == bus.AccountShared {
				found.Problems = append(found.Problems, account.problems...)
			}
			if asJSON {
				err = a.printJSON(found)
			} else {
				a.printInspection(found)
			}
			if err == nil && len(found.Problems) > 0 {
				return &exitError{Code: exitFailed}
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "")
	cmd.Flags().StringVar(&accounts, "accounts", "", "")
	return cmd
}

// asked is what the desk's own account says of itself.
type asked struct {
	state    string
	problems []bus.Problem
}

// account asks whether the stream shares the desk's account. That takes the
// desk's own login: an administrator's account is the stream's in either shape.
func (f *busFlags) account(ctx context.Context, nc *nats.Conn) (asked, error) {
	s := f.server
	if f.desk.URL != "" {
		if s = f.desk; s.Creds == "" && s.NKey == "" && s.User == "" {
			return asked{state: bus.AccountUnchecked}, nil
		}
		var err error
		if nc, err = bus.Dial(s, "idtap bus check", nats.CustomInboxPrefix(f.inbox)); err != nil {
			return asked{}, texts.Errorf("about", texts.Say("own_login"), err)
		}
		defer nc.Close()
	}
	state, problems := bus.CheckAccount(ctx, s, nc)
	return asked{state, problems}, nil
}

// checkAccounts checks a server file.
func (a *app) checkAccounts(path, stream string) error {
	found, err := bus.CheckAccounts(path, bus.NewAccounts(stream))
	if err != nil {
		return err
	}
	for _, p := range found {
		fmt.Fprintln(a.out, a.explain(p))
	}
	if len(found) > 0 {
		return &exitError{Code: exitFailed}
	}
	fmt.Fprintln(a.out, a.say("ok_stream_apart_from"))
	return nil
}

func (a *app) printInspection(i bus.Inspection) {
	fmt.Fprintf(a.out, a.say("stream_replicas_messages_bytes"),
		i.Config.Name, i.Config.Replicas, i.Messages, i.Bytes, i.Subjects)
	switch i.Account {
	case bus.AccountApart:
		fmt.Fprintln(a.out, a.say("account_stream_apart_from"))
	case bus.AccountBranch:
		fmt.Fprintln(a.out, a.say("account_branch_server_where"))
	case bus.AccountUnchecked:
		fmt.Fprintln(a.out, a.say("account_not_checked_takes"))
	}
	for _, p := range i.Problems {
		fmt.Fprintln(a.out, a.explain(p))
	}
	if len(i.Problems) == 0 {
		fmt.Fprintln(a.out, a.say("ok_what_acknowledges_keeps"))
	}
}

// explain puts a problem into words: code, what, detail, remedy.
func (a *app) explain(p bus.Problem) string {
	e, ok := bus.Explain(p.Code)
	if !ok {
		return fmt.Sprintf("%s: %s", p.Code, p.Detail)
	}
	return fmt.Sprintf("%s: %s (%s): %s", p.Code, e.What.In(a.lang), p.Detail, e.Remedy.In(a.lang))
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
