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
		Use: "trust", Args: cobra.NoArgs,
		Short: "The desks' signing keys, as a list that an administrator signs / 各服务台的签名公钥，由管理员签名的清单",
		Long: "Keeps the public keys that desks sign events with, each with its desk, from and to. Registries check events\n" +
			"against the list (event.ParseTrust, idtap tail --trust); docs/events.md, \"Who sent it\". Old keys stay on the\n" +
			"list with their end: events of their time are still verified. The administrator's key is any nkey seed\n" +
			"(idtap keys generate --signing NAME); its public half goes to the registries another way than the list.\n\n" +
			"保存各服务台签名用的公钥（服务台、起、止）。登记系统据此核对事件。旧密钥保留在清单中，只写明截止时间。\n" +
			"管理员的密钥为任意 nkey 种子；其公钥须经另外的途径交给登记系统。",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Help()
			return usage(errors.New(a.say("需要 add、end、list 或 verify", "add, end, list or verify is needed")))
		},
	}
	cmd.AddCommand(a.trustAddCommand(), a.trustEndCommand(), a.trustListCommand(), a.trustVerifyCommand())
	return cmd
}

func (a *app) trustAddCommand() *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use: "add LIST KEY...", Args: cobra.MinimumNArgs(2),
		Short: "Add desks' keys; a list that is not there is made / 加入服务台的公钥",
		Long: "KEY is a public nkey (U...), or a file: a .creds file, a JWT, or a public nkey. The desk is the JWT's name, or\n" +
			"--desk. A key counts from the JWT's issue, else from now: give --from where the desk's queue may still hold\n" +
			"older events, which the new key will sign.\n\n" +
			"KEY 为公钥（U...）或文件（.creds、JWT、公钥）。服务台取 JWT 的名称或 --desk。密钥自 JWT 签发时起、否则自现在起有效；\n" +
			"若服务台队列中可能还有更早的事件，请用 --from。",
		RunE: func(_ *cobra.Command, args []string) error { return a.trustAdd(f, args[0], args[1:]) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.desk, "desk", "", "desk id, where the key does not say it / 服务台编号")
	fl.StringVar(&f.from, "from", "", "first moment, e.g. 2026-11-25 or 2026-11-25T09:00:00Z / 起")
	fl.StringVar(&f.to, "to", "", "first moment after; none: until further notice / 止")
	return cmd
}

func (f *trustFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.key, "key", "", "the administrator's nkey seed file, which signs the list / 管理员的 nkey 种子文件")
}

func (a *app) trustEndCommand() *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use: "end LIST KEY...", Args: cobra.MinimumNArgs(2),
		Short: "End keys: lost, or replaced by another / 终止公钥：遗失或已更换",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.trustEnd(f, args[0], args[1:])
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.to, "at", "", "first moment at which they do not count; none: now / 何时起无效")
	return cmd
}

func (a *app) trustListCommand() *cobra.Command {
	var by string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list LIST", Args: cobra.ExactArgs(1), Short: "Print the list / 打印清单",
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
				fmt.Fprintf(a.err, a.say("idtap: 由 %s 签名；未核对（用 --by）\n", "idtap: signed by %s, which was not compared (--by)\n"), t.Signer)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "the administrator's public nkey / 管理员的公钥")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as JSON / 输出 JSON")
	return cmd
}

func (a *app) trustVerifyCommand() *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use: "verify LIST", Args: cobra.ExactArgs(1), Short: "Check who signed the list and that it is whole / 核对清单的签名",
		RunE: func(_ *cobra.Command, args []string) error {
			if by == "" {
				return usage(errors.New(a.say("需要 --by：管理员的公钥", "--by is needed: the administrator's public nkey")))
			}
			t, err := a.readTrust(args[0], by)
			if err != nil {
				return err
			}
			desks := map[string]bool{}
			for _, k := range t.Keys() {
				desks[k.Desk] = true
			}
			fmt.Fprintf(a.out, a.say("正确：%d 个服务台的 %d 把公钥，签名时间 %s\n", "ok: %d desks, %d keys, signed %s\n"),
				len(desks), len(t.Keys()), t.Made.Format(time.RFC3339))
			return nil
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "the administrator's public nkey / 管理员的公钥")
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
		return t, fmt.Errorf("%s: %w: %s", path, err, a.say("请向管理员另取一份", "get another copy from the administrators"))
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
				return nil, fmt.Errorf("%s: %s", key, a.say("不在清单中", "not on the list"))
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
		return usage(errors.New(a.say("需要 --key：管理员的 nkey 种子文件", "--key is needed: the administrator's nkey seed file")))
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
	fmt.Fprintf(a.out, a.say("%s：%d 把公钥，由 %s 签名\n", "%s: %d keys, signed by %s\n"), path, len(keys), public)
	return nil
}

// trustedKey reads a desk's public key from what an administrator has of it.
func (a *app) trustedKey(source, desk string) (event.TrustedKey, error) {
	k := event.TrustedKey{Desk: desk, Key: source, From: time.Now()}
	if !nkeys.IsValidPublicUserKey(source) {
		text, err := os.ReadFile(source)
		if err != nil {
			return k, errors.New(a.say("既不是公钥（U...），也不是可读的文件", "neither a public nkey (U...) nor a file that can be read"))
		}
		defer clear(text)
		k.Key = strings.TrimSpace(string(text))
		if token, err := nkeys.ParseDecoratedJWT(text); err == nil && !nkeys.IsValidPublicUserKey(k.Key) {
			claims, err := jwt.DecodeUserClaims(token)
			if err != nil {
				return k, errors.New(a.say("不是用户的 JWT 或公钥", "neither the JWT of a user nor a public nkey"))
			}
			k.Key, k.From = claims.Subject, time.Unix(claims.IssuedAt, 0)
			if desk == "" {
				k.Desk = claims.Name
			}
		}
	}
	if !nkeys.IsValidPublicUserKey(k.Key) {
		return k, errors.New(a.say("不是用户的 JWT 或公钥", "neither the JWT of a user nor a public nkey"))
	}
	if !event.ValidDeskID(k.Desk) {
		return k, fmt.Errorf(a.say("%q 不是服务台编号：用 --desk", "%q is not a desk id: give --desk"), k.Desk)
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
	return none, fmt.Errorf("%s %q: want 2026-11-25 or 2026-11-25T09:00:00Z", flag, text)
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
	fmt.Fprintf(a.out, "%s.nk  %s\n%s\n", name, a.say("私钥：desk.signing_key，或 idtap bus trust 的 --key", "private: desk.signing_key, or --key of idtap bus trust"), public)
	return nil
}
