package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"idtap/internal/securefile"
	"idtap/publisher/event"
)

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys",
	}
	signing := false
	generate := &cobra.Command{
		Use:  "generate [NAME]",
		Args: maxArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := "registry"
			if len(args) == 1 {
				name = args[0]
			}
			if signing {
				return a.generateSigningKey(name)
			}
			return a.generateKeys(name)
		},
	}
	generate.Flags().BoolVar(&signing, "signing", false, "")
	cmd.AddCommand(
		generate,
		&cobra.Command{
			Use: "show FILE...", Args: minArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				for _, path := range args {
					if err := a.showKey(path); err != nil {
						return err
					}
				}
				return nil
			},
		},
	)
	return cmd
}

func (a *app) generateKeys(name string) error {
	key, err := event.GenerateKey()
	if err != nil {
		return err
	}
	private, err := key.JWK()
	if err != nil {
		return err
	}
	public, err := key.Public().JWK()
	if err != nil {
		return err
	}
	if err := securefile.WriteNew(name+".key", private); err != nil {
		return a.exists(err)
	}
	if err := writePublic(name+".pub", public); err != nil {
		os.Remove(name + ".key") // half a pair is of no use to anybody
		return a.exists(err)
	}
	fmt.Fprintf(a.out, "%s.key  %s\n%s.pub  %s\n  kid  %s\n", name, a.say("private_stays_with_registry"),
		name, a.say("public_for_desks_nats", name), key.KeyID())
	return nil
}

func (a *app) exists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return remedy(err, "key_never_overwritten_choose")
	}
	return err
}

// writePublic writes a file for everybody that must not be there yet, and leaves
// none if it cannot be written whole.
func writePublic(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

func (a *app) showKey(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if signer, err := event.ParseSigner(text); err == nil {
		fmt.Fprintf(a.out, "%s: %s\n  ce-signer   %s\n", path, a.say("signing_key_private_ed25519"), signer.Public())
		return nil
	}
	kind, mode := a.say("public_key"), fs.FileMode(0)
	public, err := event.ParsePublicKey(text)
	if errors.Is(err, event.ErrKeyPrivate) {
		var private event.PrivateKey
		if private, err = event.ParsePrivateKey(text); err == nil {
			kind, public = a.say("private_key"), private.Public()
			if info, err := os.Stat(path); err == nil {
				mode = info.Mode().Perm()
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(a.out, "%s: %s, P-256\n  kid         %s\n  thumbprint  %s\n", path, kind, public.KeyID(), public.Thumbprint())
	if mode&0o077 != 0 {
		fmt.Fprintf(a.err, "idtap: %s: %s: chmod 600 %s\n", path, a.say("others_can_read_this"), path)
	}
	return nil
}
