package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"idtap/internal/securefile"
	"idtap/publisher/event"
)

// trustFlags are what an edit of the list needs.
type trustFlags struct {
	key  string // the administrator's seed file
	desk string
	from string
	to   string
}

func (a *app) busTrustCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "trust", Args: noArgs,

		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(texts.Errorf("add_end_list_or"))
		},
	}
	cmd.AddCommand(a.trustAddCommand(), a.trustEndCommand(), a.trustListCommand(), a.trustVerifyCommand())
	return cmd
}

func (a *app) trustAddCommand() *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use: "add LIST KEY...", Args: minArgs(2),

		RunE: func(_ *cobra.Command, args []string) error { return a.trustAdd(f, args[0], args[1:]) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.desk, "desk", "", "")
	fl.StringVar(&f.from, "from", "", "")
	fl.StringVar(&f.to, "to", "", "")
	return cmd
}

func (f *trustFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.key, "key", "", "")
}

func (a *app) trustEndCommand() *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use: "end LIST KEY...", Args: minArgs(2),

		RunE: func(_ *cobra.Command, args []string) error {
			return a.trustEnd(f, args[0], args[1:])
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.to, "at", "", "")
	return cmd
}

func (a *app) trustListCommand() *cobra.Command {
	var by string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list LIST", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := a.readTrust(args[0], by)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(map[string]any{"made": t.Made, "signer": t.Signer, "checked": by != "", "keys": t.Keys()})
			}
			for _, k := range t.Keys() {
				to := "-"
				if !k.To.IsZero() {
					to = k.To.Format(time.RFC3339)
				}
				fmt.Fprintf(a.out, "%-40s  %s  %s  %s\n", k.Desk, k.Key, k.From.Format(time.RFC3339), to)
			}
			if by == "" {
				fmt.Fprintf(a.err, a.say("idtap_signed_by_which"), t.Signer)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "")
	cmd.Flags().BoolVar(&asJSON, "json", false, "")
	return cmd
}

func (a *app) trustVerifyCommand() *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use: "verify LIST", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if by == "" {
				return usage(texts.Errorf("by_needed_administrator_public"))
			}
			t, err := a.readTrust(args[0], by)
			if err != nil {
				return err
			}
			desks := map[string]bool{}
			for _, k := range t.Keys() {
				desks[k.Desk] = true
			}
			fmt.Fprintf(a.out, a.say("ok_desks_keys_signed"),
				len(desks), len(t.Keys()), t.Made.Format(time.RFC3339))
			return nil
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "")
	return cmd
}

// readTrust reads a list; without by, of whichever signer.
func (a *app) readTrust(path, by string) (event.Trust, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return event.Trust{}, err
	}
	parse := event.ReadTrust
	if by != "" {
		parse = func(text []byte) (event.Trust, error) { return event.ParseTrust(text, by) }
	}
	t, err := parse(text)
	if err != nil {
		return t, texts.Errorf("about", path, remedy(err, "get_another_copy_from"))
	}
	return t, nil
}

func (a *app) trustAdd(f trustFlags, path string, sources []string) error {
	from, err := moment("--from", f.from, time.Time{})
	if err != nil {
		return usage(err)
	}
	to, err := moment("--to", f.to, time.Time{})
	if err != nil {
		return usage(err)
	}
	return a.editTrust(f.key, path, true, func(keys []event.TrustedKey) ([]event.TrustedKey, error) {
		for _, source := range sources {
			k, err := a.trustedKey(source, f.desk)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", source, err)
			}
			if !from.IsZero() {
				k.From = from
			}
			k.To = to
			keys = append(keys, k)
		}
		return keys, nil
	})
}

func (a *app) trustEnd(f trustFlags, path string, ended []string) error {
	at, err := moment("--at", f.to, time.Now())
	if err != nil {
		return usage(err)
	}
	return a.editTrust(f.key, path, false, func(keys []event.TrustedKey) ([]event.TrustedKey, error) {
		for _, key := range ended {
			i := slices.IndexFunc(keys, func(k event.TrustedKey) bool { return k.Key == key })
			if i < 0 {
				return nil, texts.Errorf("about", key, texts.Say("not_on_list"))
			}
			for ; i < len(keys); i++ {
				if keys[i].Key == key {
					keys[i].To = at
				}
			}
		}
		return keys, nil
	})
}

// editTrust changes a list and signs it again. Whoever signed it before must be who
// signs it now: a list of another is not signed unread.
func (a *app) editTrust(keyFile, path string, create bool, edit func([]event.TrustedKey) ([]event.TrustedKey, error)) error {
	if keyFile == "" {
		return usage(texts.Errorf("key_needed_administrator_nkey"))
	}
	seed, err := os.ReadFile(keyFile)
	if err != nil {
		return usage(fmt.Errorf("--key: %w", err))
	}
	defer clear(seed)
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return usage(fmt.Errorf("--key %s: %w", keyFile, event.ErrSeed))
	}
	public, err := pair.PublicKey()
	if err != nil {
		return usage(fmt.Errorf("--key %s: %w", keyFile, event.ErrSeed))
	}
	var keys []event.TrustedKey
	switch t, err := a.readTrust(path, public); {
	case err == nil:
		keys = t.Keys()
	case !create || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if keys, err = edit(keys); err != nil {
		return err
	}
	t, err := event.NewTrust(keys)
	if err != nil {
		return err
	}
	text, err := t.Sign(seed, time.Now())
	if err != nil {
		return err
	}
	if err := replaceFile(path, text); err != nil {
		return err
	}
	fmt.Fprintf(a.out, a.say("keys_signed_by"), path, len(keys), public)
	return nil
}

// trustedKey reads a desk's public key from what an administrator has of it.
func (a *app) trustedKey(source, desk string) (event.TrustedKey, error) {
	k := event.TrustedKey{Desk: desk, Key: source, From: time.Now()}
	if !nkeys.IsValidPublicUserKey(source) {
		text, err := os.ReadFile(source)
		if err != nil {
			return k, texts.Errorf("neither_public_nkey_u")
		}
		defer clear(text)
		k.Key = strings.TrimSpace(string(text))
		if token, err := nkeys.ParseDecoratedJWT(text); err == nil && !nkeys.IsValidPublicUserKey(k.Key) {
			claims, err := jwt.DecodeUserClaims(token)
			if err != nil {
				return k, texts.Errorf("neither_jwt_user_nor")
			}
			k.Key, k.From = claims.Subject, time.Unix(claims.IssuedAt, 0)
			if desk == "" {
				k.Desk = claims.Name
			}
		}
	}
	if !nkeys.IsValidPublicUserKey(k.Key) {
		return k, texts.Errorf("neither_jwt_user_nor")
	}
	if !event.ValidDeskID(k.Desk) {
		return k, texts.Errorf("not_desk_id_give", k.Desk)
	}
	return k, nil
}

// moment reads a day or a moment; none where there is no text.
func moment(flag, text string, none time.Time) (time.Time, error) {
	if text == "" {
		return none, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return none, texts.Errorf("want_moment", flag, text)
}

// replaceFile replaces a file as a whole or not at all.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".trust-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone if it was renamed
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// generateSigningKey writes NAME.nk, the seed of a new nkey.
func (a *app) generateSigningKey(name string) error {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	seed, err := pair.Seed()
	if err != nil {
		return err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return err
	}
	if err := securefile.WriteNew(name+".nk", append(seed, '\n')); err != nil {
		return a.exists(err)
	}
	fmt.Fprintf(a.out, "%s.nk  %s\n%s\n", name, a.say("private_desk_signing_key"), public)
	return nil
}
