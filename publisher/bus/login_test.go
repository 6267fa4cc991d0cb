package bus

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"idtap/publisher/bus/faulttest"
)

// authority issues certificates for loopback.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(365 * 24 * time.Hour), IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	a := &authority{t: t, cert: must[*x509.Certificate](t)(x509.ParseCertificate(der)), key: key, dir: t.TempDir()}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue writes name.pem and name.key, valid for the given time.
func (a *authority) issue(name string, valid time.Duration) {
	a.t.Helper()
	key := must[*ecdsa.PrivateKey](a.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	a.write(name+".pem", "CERTIFICATE", must[[]byte](a.t)(x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)))
	a.write(name+".key", "PRIVATE KEY", must[[]byte](a.t)(x509.MarshalPKCS8PrivateKey(key)))
}

// serve makes a server demand TLS, and a client certificate if mutual.
func (a *authority) serve(mutual bool) func(*server.Options) {
	pair := must[tls.Certificate](a.t)(tls.LoadX509KeyPair(a.path("server.pem"), a.path("server.key")))
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, MinVersion: tls.VersionTLS12}
		if mutual {
			o.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
		}
		o.TLSTimeout = 5
	}
}

// startServer starts one server whose stream is made through a door of the
// test's own, past whatever login change demands.
func startServer(t *testing.T, change func(*server.Options), login ...nats.Option) *faulttest.Cluster {
	t.Helper()
	c, err := faulttest.NewCluster(t.TempDir(), 1, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	nc := must[*nats.Conn](t)(nats.Connect("", append(login, nats.InProcessServer(c.Servers[0]))...))
	defer nc.Close()
	js := must[jetstream.JetStream](t)(jetstream.New(nc))
	must[jetstream.Stream](t)(js.CreateStream(t.Context(), RecommendedStream(stream, 1, 0, 0)))
	return c
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", 30*24*time.Hour)
	c := startServer(t, a.serve(false), nats.RootCAs(a.path("ca.pem")))
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(2, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: "tls://" + c.Addr(0), CA: a.path("ca.pem")}})
	d.drained()
	h := d.until("date of the server's certificate", func(h Health) bool { return !h.ServerCertExpiry.IsZero() })
	if len(h.Problems) != 0 {
		t.Fatalf("%+v", h)
	}

	stranger := newAuthority(t)
	wrong := faulttest.NewQueue("e1", division, "d2")
	startDesk(t, wrong, Options{Server: Server{URL: "tls://" + c.Addr(0), CA: stranger.path("ca.pem")}}).untilCode(TLSFailed)

	plain := startServer(t, nil)
	startDesk(t, faulttest.NewQueue("e1", division, "d3"), Options{Server: Server{URL: "tls://" + plain.Addr(0), CA: a.path("ca.pem")}}).untilCode(TLSFailed)
}

func TestMutualTLSRotatesWithoutARestart(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", 30*24*time.Hour)
	a.issue("desk", 3*24*time.Hour)
	c := startServer(t, a.serve(true), nats.RootCAs(a.path("ca.pem")), nats.ClientCert(a.path("desk.pem"), a.path("desk.key")))
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	n := faulttest.NewNetwork(faulttest.TCP(c.Addr(0)))
	n.Opaque()
	t.Cleanup(n.Close)
	addr := must[string](t)(n.Listen())
	d := startDesk(t, q, Options{Server: Server{URL: "tls://" + addr, CA: a.path("ca.pem"), Cert: a.path("desk.pem"), Key: a.path("desk.key")}})
	d.drained()
	h := d.until("warning of the end", func(h Health) bool { return len(h.Problems) == 1 })
	if h.Problems[0].Code != CertExpires {
		t.Fatalf("%+v", h.Problems)
	}
	a.issue("desk", 300*24*time.Hour)
	n.Cut()
	d.until("the new certificate", func(h Health) bool { return len(h.Problems) == 0 && h.Delivering() })
	q.Accept(1, hukou)
	d.drained()

	a.issue("desk", -time.Minute)
	n.Cut()
	d.until("the ended certificate refused", func(h Health) bool { return h.Code == TLSFailed || h.Code == Unreachable })
	d.until("told as ended", func(h Health) bool { return len(h.Problems) == 1 && h.Problems[0].Code == CertExpired })
}

func TestUserAndPasswordRotateAndAreTriedForEver(t *testing.T) {
	c := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "desk", Password: "new"}}
	}, nats.UserInfo("desk", "new"))
	password := file(t, "password", "old\n")
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(2, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL(), User: "desk", PasswordFile: password}})
	d.untilCode(AuthFailed)
	// More often than the two refusals after which the client library would end
	// the connection for good.
	refused := c.Servers[0].Varz
	for v := must[*server.Varz](t)(refused(nil)); v.TotalConnections < 5; v = must[*server.Varz](t)(refused(nil)) {
		d.pause()
	}
	write(t, password, "new\n")
	d.drained()
}

// pause waits a little between two looks at something that tells nobody.
func (d *desk) pause() {
	select {
	case <-d.t.Context().Done():
		d.t.Fatal("the test ended")
	case <-time.After(10 * time.Millisecond):
	}
}

func TestNKeyRotatesWithoutARestart(t *testing.T) {
	newUser := func() (seed, public string) {
		pair := must[nkeys.KeyPair](t)(nkeys.CreateUser())
		return string(must[[]byte](t)(pair.Seed())), must[string](t)(pair.PublicKey())
	}
	seed1, public1 := newUser()
	seed2, public2 := newUser()
	kp := must[nkeys.KeyPair](t)(nkeys.FromSeed([]byte(seed1)))
	c := startServer(t, func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: public1}, {Nkey: public2}}
	}, nats.Nkey(public1, kp.Sign))
	path := file(t, "desk.nk", seed1)
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	n := faulttest.NewNetwork(faulttest.TCP(c.Addr(0)))
	t.Cleanup(n.Close)
	addr := must[string](t)(n.Listen())
	d := startDesk(t, q, Options{Server: Server{URL: "nats://" + addr, NKey: path}})
	d.drained()
	users := func() (list []string) {
		conns := must[*server.Connz](t)(c.Servers[0].Connz(&server.ConnzOptions{Username: true}))
		for _, conn := range conns.Conns {
			list = append(list, conn.AuthorizedUser)
		}
		return list
	}
	if u := users(); len(u) != 1 || u[0] != public1 {
		t.Fatalf("%v", u)
	}
	write(t, path, seed2)
	n.Down(true)
	d.untilCode(Unreachable)
	n.Down(false)
	d.until("delivering", Health.Delivering)
	for {
		if u := users(); len(u) == 1 && u[0] == public2 {
			break
		}
		d.pause()
	}
	q.Accept(1, hukou)
	d.drained()
}

// operator issues .creds files; its only account has JetStream.
type operator struct {
	t       *testing.T
	account nkeys.KeyPair
	options func(*server.Options)
}

func newOperator(t *testing.T, scopes ...jwt.Scope) *operator {
	op := must[nkeys.KeyPair](t)(nkeys.CreateOperator())
	acc := must[nkeys.KeyPair](t)(nkeys.CreateAccount())
	accountKey := must[string](t)(acc.PublicKey())
	operatorKey := must[string](t)(op.PublicKey())
	claims := jwt.NewAccountClaims(accountKey)
	for _, scope := range scopes {
		claims.SigningKeys.AddScopedSigner(scope)
	}
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	text := must[string](t)(claims.Encode(op))
	sys := must[string](t)(must[nkeys.KeyPair](t)(nkeys.CreateAccount()).PublicKey())
	sysText := must[string](t)(jwt.NewAccountClaims(sys).Encode(op))
	oc := jwt.NewOperatorClaims(operatorKey)
	operatorJWT := must[string](t)(oc.Encode(op))
	return &operator{t, acc, func(o *server.Options) {
		o.TrustedOperators = []*jwt.OperatorClaims{must[*jwt.OperatorClaims](t)(jwt.DecodeOperatorClaims(operatorJWT))}
		resolver := &server.MemAccResolver{}
		for key, text := range map[string]string{accountKey: text, sys: sysText} {
			if err := resolver.Store(key, text); err != nil {
				t.Fatal(err)
			}
		}
		o.AccountResolver, o.SystemAccount = resolver, sys
	}}
}

// creds writes a user's file; it ends after valid.
func (o *operator) creds(path string, valid time.Duration) {
	o.t.Helper()
	user := must[nkeys.KeyPair](o.t)(nkeys.CreateUser())
	claims := jwt.NewUserClaims(must[string](o.t)(user.PublicKey()))
	claims.Expires = time.Now().Add(valid).Unix()
	text := must[string](o.t)(claims.Encode(o.account))
	write(o.t, path, string(must[[]byte](o.t)(jwt.FormatUserConfig(text, must[[]byte](o.t)(user.Seed())))))
}

func TestCredsRotateWithoutARestart(t *testing.T) {
	o := newOperator(t)
	path := filepath.Join(t.TempDir(), "desk.creds")
	o.creds(path, 24*time.Hour)
	c := startServer(t, o.options, nats.UserCredentials(path))
	n := faulttest.NewNetwork(faulttest.TCP(c.Addr(0)))
	t.Cleanup(n.Close)
	addr := must[string](t)(n.Listen())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: "nats://" + addr, Creds: path}})
	d.drained()
	h := d.until("warning of the end", func(h Health) bool { return len(h.Problems) == 1 })
	if h.Problems[0].Code != CredsExpire || h.CredsExpiry.IsZero() {
		t.Fatalf("%+v", h)
	}
	o.creds(path, -time.Hour)
	n.Cut()
	d.untilCode(AuthFailed)
	d.until("told as ended", func(h Health) bool { return len(h.Problems) == 1 && h.Problems[0].Code == CredsExpired })
	o.creds(path, 300*24*time.Hour)
	q.Accept(1, hukou)
	d.drained()
	d.until("no warning", func(h Health) bool { return len(h.Problems) == 0 })
}

func TestFilesThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	rubbish := file(t, "rubbish", "rubbish")
	for name, c := range map[string]struct {
		server Server
		want   Code
	}{
		"creds":         {Server{URL: "nats://127.0.0.1:1", Creds: missing}, CredsUnreadable},
		"creds rubbish": {Server{URL: "nats://127.0.0.1:1", Creds: rubbish}, CredsUnreadable},
		"nkey":          {Server{URL: "nats://127.0.0.1:1", NKey: rubbish}, CredsUnreadable},
		"password":      {Server{URL: "nats://127.0.0.1:1", User: "u", PasswordFile: missing}, CredsUnreadable},
		"ca":            {Server{URL: "tls://127.0.0.1:1", CA: rubbish}, TLSFailed},
		"cert":          {Server{URL: "tls://127.0.0.1:1", Cert: missing, Key: missing}, TLSFailed},
	} {
		t.Run(name, func(t *testing.T) {
			startDesk(t, faulttest.NewQueue("e1", division, "d1"), Options{Server: c.server}).untilCode(c.want)
		})
	}
}

func TestPlaintextOffThisMachineIsRefused(t *testing.T) {
	for url, refused := range map[string]bool{
		"nats://registry.example:4222":                     true,
		"registry.example":                                 true,
		"nats://127.0.0.1:4222,nats://10.1.2.3:4222":       true,
		"nats://127.0.0.1:4222,tls://10.1.2.3:4222":        false, // then both have TLS
		"tls://registry.example:4222":                      false,
		"nats://localhost:4222":                            false,
		"nats://[::1]:4222":                                false,
		"nats://user:secret@registry.example:4222/ignored": true,
	} {
		var plain *PlaintextError
		err := Server{URL: url}.Check()
		if errors.As(err, &plain) != refused || !refused && err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if err := (Server{URL: url, AllowPlaintext: true}).Check(); err != nil {
			t.Errorf("%s, allowed: %v", url, err)
		}
	}
	if err := (Server{URL: "http://127.0.0.1:4222"}).Check(); err == nil {
		t.Error("http:// is no NATS address")
	}
}

// TestScopedSigningKeyTemplate is the set-up of docs/cluster.md: one template
// for all desks, whose users carry a name and tags and no permissions.
func TestScopedSigningKeyTemplate(t *testing.T) {
	template := DeskTemplate(stream, DefaultAPIPrefix)
	signing := must[nkeys.KeyPair](t)(nkeys.CreateAccount())
	scope := jwt.NewUserScope()
	scope.Key, scope.Role = must[string](t)(signing.PublicKey()), "desk"
	scope.Template.Permissions.Pub.Allow = template.Publish
	scope.Template.Permissions.Sub.Allow = template.Subscribe
	scope.Template.Permissions.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	o := newOperator(t, scope)
	admin := filepath.Join(t.TempDir(), "admin.creds")
	o.creds(admin, 24*time.Hour)
	c := startServer(t, o.options, nats.UserCredentials(admin))

	user := must[nkeys.KeyPair](t)(nkeys.CreateUser())
	claims := jwt.NewUserClaims(must[string](t)(user.PublicKey()))
	claims.Name, claims.IssuerAccount = "d1", must[string](t)(o.account.PublicKey())
	claims.Tags.Add("province:41", "prefecture:4101", "county:410105")
	claims.SetScoped(true)
	text := must[string](t)(claims.Encode(signing))
	path := file(t, "desk.creds", string(must[[]byte](t)(jwt.FormatUserConfig(text, must[[]byte](t)(user.Seed())))))

	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(5, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: c.URL(), Creds: path}})
	d.drained()
	if h := d.until("delivering", Health.Delivering); h.Mode != ModeChain || len(h.Problems) != 0 {
		t.Fatalf("%+v", h)
	}
	other := faulttest.NewQueue("e1", division, "d2") // with the first desk's credentials
	other.Accept(1, hukou)
	startDesk(t, other, Options{Server: Server{URL: c.URL(), Creds: path}}).untilCode(PublishDenied)
}
