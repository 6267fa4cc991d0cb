package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/config"
)

// FuzzFiles puts arbitrary content into each file that a configuration may name:
// nothing breaks, and nothing of a secret is said.
func FuzzFiles(f *testing.F) {
	for _, s := range []string{"", "张敏:482913\n", "0123456789abcdef0123456789abcdef\n", "jetstream {", "include x\n", "a = $b", "{}", "-----BEGIN CERTIFICATE-----\n", "\x00\xff", "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c := config.Default()
		c.Outbox.Dir = dir
		c.Desk.RefKeyFile, c.Desk.SigningKey, c.Outbox.KeyFile = path, path, path
		c.DeskPage.TokenFile, c.DeskPage.PINFile, c.DeskPage.TLS.Cert, c.DeskPage.TLS.Key = path, path, path, path
		c.NATS.EncryptTo = []config.Recipient{{Key: path}}
		c.NATS.Embedded.Config = path
		for _, fault := range Files(c) {
			if fault.Key == "" || fault.What.Zh == "" || fault.Do.En == "" {
				t.Errorf("%+v lacks something", fault)
			}
			secret := strings.TrimSpace(string(content))
			if fault.Key != "nats.embedded.config" && len(secret) > 12 && strings.Contains(fault.In("en"), secret) {
				t.Errorf("%s: what is in the file is said", fault.Key)
			}
		}
	})
}
