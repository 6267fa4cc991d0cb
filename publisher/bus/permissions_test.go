package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
)

// user is a server's user with exactly the documented permissions.
func (p Permissions) user(name string) *server.User {
	u := &server.User{Username: name, Password: name + "-password", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}}
	if p.AllowResponses {
		u.Permissions.Response = &server.ResponsePermission{MaxMsgs: server.DEFAULT_ALLOW_RESPONSE_MAX_MSGS, Expires: server.DEFAULT_ALLOW_RESPONSE_EXPIRATION}
	}
	return u
}

func withUsers(users ...*server.User) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = append([]*server.User{{Username: "admin", Password: "admin-password"}}, users...)
	}
}

func TestDeskPermissionsSufficeForTheWholeDesk(t *testing.T) {
	c := startCentral(t, 1, withUsers(DeskPermissions(stream, DefaultAPIPrefix, division, "d1").user("d1")))
	n := c.network(0)
	n.Swallow(everyTenth())
	addr := must[string](t)(n.Listen())
	statuses := must[*nats.Subscription](t)(c.nc.SubscribeSync("idtap.status.v1.>"))
	must[any](t)(nil, c.nc.Flush())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(20, hukou)
	d := startDesk(t, q, Options{Server: Server{URL: "nats://" + addr, User: "d1", PasswordFile: file(t, "p", "d1-password")},
		Sources: Sources{Diag: func() any { return map[string]int{"checks": 3} }}})
	d.drained()
	c.audit(q)
	h := d.until("delivering", Health.Delivering)
	if h.Mode != ModeChain || len(h.Problems) != 0 {
		t.Fatalf("%+v", h)
	}
	env := must[event.Envelope](t)(event.StatusEnvelope(event.Place{DeskDivision: division, DeskID: "d1"}, "front", time.Now()))
	if err := d.ReaderStatus(env, event.ReaderStatus{Desk: "d1", Reader: "front", State: "ready"}); err != nil {
		t.Fatal(err)
	}
	must[*nats.Msg](t)(statuses.NextMsg(5 * time.Second))
	must[*nats.Msg](t)(c.nc.Request("$SRV.PING.idtap", nil, 5*time.Second))
	must[*nats.Msg](t)(c.nc.Request(ServiceSubject(division, "d1", "diag"), nil, 5*time.Second))
}

func TestADeskReadsAndWritesNothingOfAnother(t *testing.T) {
	c := startCentral(t, 1, withUsers(DeskPermissions(stream, DefaultAPIPrefix, division, "d1").user("d1"), DeskPermissions(stream, DefaultAPIPrefix, division, "d2").user("d2")))
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(2, hukou)
	startDesk(t, q, Options{Server: Server{URL: c.URL(), User: "d1", PasswordFile: file(t, "p", "d1-password")}}).drained()

	refused := make(chan string, 100)
	nc := must[*nats.Conn](t)(nats.Connect(c.URL(), nats.UserInfo("d2", "d2-password"), nats.CustomInboxPrefix(Inbox("d2")),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				refused <- err.Error()
			}
		})))
	defer nc.Close()
	expectRefusal := func(what string) {
		t.Helper()
		select {
		case <-refused:
		case <-time.After(5 * time.Second):
			t.Errorf("%s is not refused", what)
		}
	}
	api := "$JS.API.DIRECT.GET." + stream
	for _, subject := range []string{
		api,                                      // unscoped: any sequence, any desk
		api + ".>",                               //
		api + ".idtap.v1.>",                      //
		api + ".idtap.v1.*.*.*.*.*.>",            //
		api + "." + event.Filter(division, "d1"), //
		api + ".idtap.v1.recorded.41.4101.410105.d1.62.6204.620422",
		"$JS.API.STREAM.MSG.GET." + stream,
		"$JS.API.STREAM.PURGE." + stream,
		"$JS.API.STREAM.DELETE." + stream,
		"$JS.API.STREAM.UPDATE." + stream,
		"$JS.API.CONSUMER.CREATE." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".spy.idtap.v1.>",
		"idtap.v1.recorded.41.4101.410105.d1.62.6204.620422", // in another desk's name
		"idtap.status.v1.41.4101.410105.d1",
	} {
		if err := nc.Publish(subject, []byte(`{"seq":1}`)); err != nil {
			t.Fatal(err)
		}
		expectRefusal("publish " + subject)
	}
	for _, subject := range []string{">", "idtap.v1.>", "_INBOX.>", Inbox("d1") + ".>", "$JS.>", "$SRV.>"} {
		must[*nats.Subscription](t)(nc.SubscribeSync(subject))
		must[any](t)(nil, nc.Flush())
		expectRefusal("subscribe " + subject)
	}
	if n := len(c.stored()); n != 2 {
		t.Fatalf("%d stored", n)
	}
}

func TestPermissionErrorsAreToldFromTimeouts(t *testing.T) {
	full := DeskPermissions(stream, DefaultAPIPrefix, division, "d1")
	without := func(keep ...int) *server.User {
		p := full
		p.Publish = nil
		for _, i := range keep {
			p.Publish = append(p.Publish, full.Publish[i])
		}
		return p.user("d1")
	}
	for name, c := range map[string]struct {
		user    *server.User
		code    Code
		mode    string
		problem Code
	}{
		"no publish":     {without(1, 2, 3), PublishDenied, ModeChain, ""},
		"no stream info": {without(0, 1, 3), "", ModeMsgID, StreamUnseen},
		"no direct get":  {without(0, 1, 2), "", ModeMsgID, DirectDenied},
	} {
		t.Run(name, func(t *testing.T) {
			central := startCentral(t, 1, withUsers(c.user))
			q := faulttest.NewQueue("e1", division, "d1")
			q.Accept(3, hukou)
			d := startDesk(t, q, Options{Server: Server{URL: central.URL(), User: "d1", PasswordFile: file(t, "p", "d1-password")}, AckWait: 10 * time.Second})
			if c.code != "" {
				d.untilCode(c.code) // long before the acknowledgement's time is up
				return
			}
			d.drained()
			central.audit(q)
			h := d.until("delivering", Health.Delivering)
			if h.Mode != c.mode || len(h.Problems) != 1 || h.Problems[0].Code != c.problem {
				t.Fatalf("%+v", h)
			}
		})
	}
}

func TestWithoutDirectGetTheChainFallsBack(t *testing.T) {
	c := startCentral(t, 1, nil)
	c.update(func(s *jetstream.StreamConfig) { s.AllowDirect = false })
	n := c.network(0)
	n.Swallow(everyTenth())
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(30, hukou)
	d := startDesk(t, q, Options{Provider: n})
	d.drained()
	c.audit(q) // within the window, message ids are enough
	if h := d.until("delivering", Health.Delivering); h.Mode != ModeMsgID || len(h.Problems) != 1 || h.Problems[0].Code != StreamNoDirect {
		t.Fatalf("%+v", h)
	}
	c.update(func(s *jetstream.StreamConfig) { s.AllowDirect = true })
	n.Cut() // or an hour later
	d.until("chain", func(h Health) bool { return h.Mode == ModeChain && h.Delivering() })
	q.Accept(30, hukou)
	d.drained()
	c.audit(q)
}
