package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"idtap/config"
	"idtap/driver"
	"idtap/internal/securefile"
	"idtap/publisher/bus"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader/identity"
)

// QueueOptions are the queue's part of a configuration.
func QueueOptions(cfg config.Config, log zerolog.Logger) outbox.Options {
	o := cfg.Outbox
	return outbox.Options{Dir: o.Dir, KeyFile: o.KeyFile, MaxBytes: int64(o.MaxBytes), Retain: time.Duration(o.Retain),
		KeepCounts: time.Duration(o.KeepCounts), RepeatWindow: time.Duration(cfg.Policy.RepeatWindow),
		Log: log.With().Str("part", "queue").Logger()}
}

// BusServer is the server that a configuration names.
func BusServer(n config.NATS) bus.Server {
	return bus.Server{URL: n.URL, Creds: n.Creds, NKey: n.NKey, User: n.User, PasswordFile: n.PasswordFile,
		CA: n.TLS.CA, Cert: n.TLS.Cert, Key: n.TLS.Key, AllowPlaintext: n.AllowPlaintext, APIPrefix: n.APIPrefix}
}

// recipients reads the keys that the configuration seals events to.
func recipients(list []config.Recipient) ([]event.Recipient, error) {
	var to []event.Recipient
	for i, r := range list {
		text, err := os.ReadFile(r.Key)
		if err != nil {
			return nil, texts.Errorf("key_file", i, err)
		}
		key, err := event.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("nats.encrypt_to[%d].key %s: %w", i, r.Key, err)
		}
		to = append(to, event.Recipient{Key: key, Hukou: r.Hukou})
	}
	if err := event.CheckRecipients(to); err != nil {
		return nil, fmt.Errorf("nats.encrypt_to: %w", err)
	}
	return to, nil
}

// refKey is the key of person.ref: the deployment's in file, or this desk's own.
func refKey(file string, own []byte) ([]byte, error) {
	if file == "" {
		return own, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("desk.ref_key_file: %w", err)}
	}
	key := strings.TrimSpace(string(b))
	if len(key) < 32 {
		return nil, &ConfigError{texts.Errorf("want_key_length", file)}
	}
	return []byte(key), nil
}

// makeToken makes the page's token file if it is not there.
func makeToken(path string) error {
	secret := make([]byte, 32)
	rand.Read(secret)
	err := securefile.WriteNew(path, []byte(hex.EncodeToString(secret)+"\n"))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("page token: %w", err)
	}
	return nil
}

func specs(list []config.Reader) []driver.Spec {
	specs := make([]driver.Spec, 0, len(list))
	for _, r := range list {
		header, _ := hex.DecodeString(strings.ReplaceAll(r.APDUHeader, " ", "")) // validated
		specs = append(specs, driver.Spec{Name: r.Name, Driver: r.Driver, Port: r.Port, Baud: int(r.Baud), Profile: r.Profile,
			APDUHeader: header, EscapeCode: r.EscapeCode, MaxRFBytes: r.MaxRFBytes})
	}
	return specs
}

func groups(list []config.Group) []identity.Group {
	groups := make([]identity.Group, 0, len(list))
	for _, g := range list {
		group := identity.Group{Name: g.Name, Sex: g.Sex}
		if g.MinAge != nil {
			group.MinAge = *g.MinAge
		}
		if g.MaxAge != nil {
			group.MaxAge, group.HasMax = *g.MaxAge, true
		}
		groups = append(groups, group)
	}
	return groups
}
