package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/config"
	"idtap/publisher/event"
)

func TestRecipients(t *testing.T) {
	key, err := event.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	for path, text := range map[string][]byte{name + ".key": private, name + ".pub": public} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to, err := recipients([]config.Recipient{{Key: name + ".pub", Hukou: "62"}})
	if err != nil || len(to) != 1 || to[0].Key.KeyID() != key.KeyID() || to[0].Hukou != "62" {
		t.Fatalf("recipients = %v, %v, want key %s for 62", to, err, key.KeyID())
	}
	for what, c := range map[string]struct {
		list []config.Recipient
		says string
	}{
		"no file":       {[]config.Recipient{{Key: filepath.Join(dir, "none")}}, "encrypt_to[0].key"},
		"a private key": {[]config.Recipient{{Key: name + ".pub"}, {Key: name + ".key"}}, "encrypt_to[1].key"},
		"twice":         {[]config.Recipient{{Key: name + ".pub"}, {Key: name + ".pub", Hukou: "62"}}, "twice"},
	} {
		if _, err := recipients(c.list); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", what, err, c.says)
		}
	}
}
