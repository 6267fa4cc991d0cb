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
		Use: "keys", Short: "Key pairs for events sealed end to end",
		Long: "A registry generates a key pair, keeps NAME.key and gives NAME.pub to the desks, which name it\n" +
			"in nats.encrypt_to. Events are then sealed to it before they leave the desk.",
	}
	signing := false
	generate := &cobra.Command{
		Use: "generate [NAME]", Short: "Make NAME.key (private, mode 0600) and NAME.pub (for the desks); never overwrites",
		Args: cobra.MaximumNArgs(1),
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
	generate.Flags().BoolVar(&signing, "signing", false, "make NAME.nk, a key that signs events or a trust list / 生成签名用的密钥 NAME.nk")
	cmd.AddCommand(
		generate,
		&cobra.Command{
			Use: "show FILE...", Short: "Print what a key file is: private or public, key id, thumbprint", Args: cobra.MinimumNArgs(1),
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
	fmt.Fprintf(a.out, "%s.key  %s\n%s.pub  %s\n  kid  %s\n", name, a.say("私钥：留在登记机关，勿外传", "private: stays with the registry"),
		name, a.say(fmt.Sprintf("公钥：交给各服务台，nats.encrypt_to: [{key: %s.pub}]", name),
			fmt.Sprintf("public: for the desks, nats.encrypt_to: [{key: %s.pub}]", name)), key.KeyID())
	return nil
}

func (a *app) exists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", err, a.say("不会覆盖已有密钥，请换一个名称", "a key is never overwritten; choose another name"))
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
		fmt.Fprintf(a.out, "%s: %s\n  ce-signer   %s\n", path, a.say("签名私钥（Ed25519）", "signing key (private), Ed25519"), signer.Public())
		return nil
	}
	kind, mode := a.say("公钥", "public key"), fs.FileMode(0)
	public, err := event.ParsePublicKey(text)
	if errors.Is(err, event.ErrKeyPrivate) {
		var private event.PrivateKey
		if private, err = event.ParsePrivateKey(text); err == nil {
			kind, public = a.say("私钥", "private key"), private.Public()
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
		fmt.Fprintf(a.err, "idtap: %s: %s: chmod 600 %s\n", path, a.say("其他用户可以读取这把私钥", "others can read this private key"), path)
	}
	return nil
}
