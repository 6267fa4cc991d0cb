package bus

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
)

func newSeed(t *testing.T) (seed, public string) {
	t.Helper()
	pair := must[nkeys.KeyPair](t)(nkeys.CreateUser())
	return string(must[[]byte](t)(pair.Seed())), must[string](t)(pair.PublicKey())
}

// trusted is a list that names public for d1, from an hour ago on.
func trusted(t *testing.T, public string) event.Trust {
	t.Helper()
	return must[event.Trust](t)(event.NewTrust([]event.TrustedKey{{Desk: "d1", Key: public, From: time.Now().Add(-time.Hour)}}))
}

// verify checks a message as a consumer does.
func verify(t *testing.T, header nats.Header, subject string, body []byte, list event.Trust) error {
	t.Helper()
	env := must[event.Envelope](t)(event.ParseEnvelope(header, subject))
	return event.Verify(env, body, list)
}

// Events and statuses are signed with the desk's own key, sealed ones over the sealed
// body; the key is read again with each connection.
func TestSignedEvents(t *testing.T) {
	c := startCentral(t, 1, nil)
	seed1, public1 := newSeed(t)
	seed2, public2 := newSeed(t)
	path := file(t, "desk.nk", seed1)
	key := must[event.PrivateKey](t)(event.GenerateKey())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(2, hukou)
	n := c.network(0)
	d := startDesk(t, q, Options{Provider: n, SigningKey: path, Recipients: []event.Recipient{{Key: key.Public()}}})
	d.drained()
	heard := must[*nats.Subscription](t)(c.nc.SubscribeSync(event.StatusSubject(division, "d1")))
	must[any](t)(nil, c.nc.Flush())
	env := must[event.Envelope](t)(event.StatusEnvelope(event.Place{DeskDivision: division, DeskID: "d1"}, "front", time.Now()))
	if err := d.ReaderStatus(env, event.ReaderStatus{Desk: "d1", Reader: "front", State: "ready"}); err != nil {
		t.Fatal(err)
	}
	m := must[*nats.Msg](t)(heard.NextMsg(10 * time.Second))
	if err := verify(t, m.Header, m.Subject, m.Data, trusted(t, public1)); err != nil {
		t.Errorf("Verify(status): %v, want none", err)
	}

	write(t, path, seed2)
	n.Cut()
	d.until("connected again", func(Health) bool { return d.signing.signer.Load().Public() == public2 })
	q.Accept(1, hukou)
	d.drained()
	got := c.stored()
	if len(got) != 3 {
		t.Fatalf("%d stored, want 3", len(got))
	}
	for i, list := range []event.Trust{trusted(t, public1), trusted(t, public1), trusted(t, public2)} {
		env := must[event.Envelope](t)(event.ParseEnvelope(got[i].Header, got[i].Subject))
		if _, err := event.Open(got[i].Data, env, key, list); err != nil {
			t.Errorf("Open(event %d) with trust: %v, want none", i+1, err)
		}
	}
	c.audit(q)
}

// Without a key of its own a desk signs with the one it logs in with.
func TestEventsSignedWithTheLogin(t *testing.T) {
	seed, public := newSeed(t)
	pair := must[nkeys.KeyPair](t)(nkeys.FromSeed([]byte(seed)))
	c := startServer(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }, nats.Nkey(public, pair.Sign))
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	startDesk(t, q, Options{Server: Server{URL: c.URL(), NKey: file(t, "desk.nk", seed)}}).drained()
	nc := must[*nats.Conn](t)(nats.Connect(c.URL(), nats.Nkey(public, pair.Sign)))
	defer nc.Close()
	s := must[jetstream.Stream](t)(must[jetstream.JetStream](t)(jetstream.New(nc)).Stream(t.Context(), stream))
	m := must[*jetstream.RawStreamMsg](t)(s.GetMsg(t.Context(), 1))
	if err := verify(t, m.Header, m.Subject, m.Data, trusted(t, public)); err != nil {
		t.Errorf("Verify: %v, want none", err)
	}
}

func TestSigningFile(t *testing.T) {
	for _, c := range []struct {
		own    string
		server Server
		want   string
	}{
		{"own", Server{Creds: "creds", NKey: "nkey"}, "own"},
		{"", Server{Creds: "creds", NKey: "nkey"}, "creds"},
		{"", Server{NKey: "nkey"}, "nkey"},
		{"", Server{User: "u", PasswordFile: "p"}, ""},
	} {
		if got := signingFile(c.own, c.server); got != c.want {
			t.Errorf("signingFile(%q, %+v) = %q, want %q", c.own, c.server, got, c.want)
		}
	}
}

// A key that is asked for and cannot be read stops the start: nothing goes out
// unsigned by mistake. A login by password leaves events unsigned.
func TestSigningKeyUnreadable(t *testing.T) {
	account := must[nkeys.KeyPair](t)(nkeys.CreateAccount())
	for name, path := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "missing"), "rubbish": file(t, "rubbish", "rubbish"),
		"an account's": file(t, "account", string(must[[]byte](t)(account.Seed()))),
	} {
		q := faulttest.NewQueue("e1", division, "d1")
		b, err := Start(t.Context(), Options{DeskID: "d1", DeskDivision: division, Server: Server{URL: "nats://127.0.0.1:1"}, SigningKey: path}, q)
		var unreadable *FileError
		if !errors.As(err, &unreadable) || unreadable.What != "signing key" || unreadable.Path != path {
			t.Errorf("Start with a signing key that is %s: %v, want a FileError", name, err)
		}
		if b != nil {
			b.Stop()
		}
	}
	s := signing{file: file(t, "desk.nk", "rubbish")}
	if err := s.ready(); err == nil {
		t.Error("ready with rubbish: no error, want one")
	}
	seed, public := newSeed(t)
	write(t, s.file, seed)
	if err := s.ready(); err != nil {
		t.Fatal(err)
	}
	write(t, s.file, "rubbish")
	if err := s.ready(); err != nil || s.signer.Load().Public() != public {
		t.Errorf("ready with rubbish after a key: %v, want the key as before", err)
	}
	env := event.Envelope{ID: "x"}
	if got := (&signing{}).sign(env, nil); got != env {
		t.Errorf("sign without a key = %+v, want %+v", got, env)
	}
}
