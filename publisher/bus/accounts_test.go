package bus

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
)

const registry = "jinshui-wjw"

// accountUsers are an administrator, two desks, a registry and a monitor, each
// with exactly the documented permissions; passwords are name-password.
func accountUsers(a Accounts) []User {
	with := func(account, name string, p Permissions) User { return User{account, name, name + "-password", &p} }
	return []User{
		{StreamAccount, "admin", "admin-password", nil},
		with(DeskAccount, "d1", a.DeskPermissions(division, "d1")),
		with(DeskAccount, "d2", a.DeskPermissions(division, "d2")),
		with(RegistryAccount, registry, a.RegistryPermissions(registry, registry)),
		with(MonitorAccount, "watch", a.MonitorPermissions("watch")),
	}
}

// withServerFile takes accounts and users from the text of a server file.
func withServerFile(t *testing.T, text string) func(*server.Options) {
	return func(o *server.Options) {
		parsed := &server.Options{}
		if err := parsed.ProcessConfigString(text); err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		o.Accounts, o.Users = parsed.Accounts, parsed.Users
	}
}

// as connects as one of accountUsers.
func (c *central) as(name string) *nats.Conn {
	c.t.Helper()
	nc := must[*nats.Conn](c.t)(nats.Connect(c.URL(), nats.UserInfo(name, name+"-password"), nats.CustomInboxPrefix(Inbox(name)),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})))
	c.t.Cleanup(nc.Close)
	return nc
}

func (c *central) deskServer(name, prefix string) Server {
	return Server{URL: c.URL(), User: name, PasswordFile: file(c.t, "p", name+"-password"), APIPrefix: prefix}
}

func TestAccountsSufficeForEverybody(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			a := NewAccounts(stream)
			c := startCentral(t, nodes, withServerFile(t, a.ServerFile(accountUsers(a))))
			consumer := must[jetstream.Consumer](t)(c.js.CreateConsumer(t.Context(), stream, jetstream.ConsumerConfig{Durable: registry, AckPolicy: jetstream.AckExplicitPolicy}))
			watch := c.as("watch")
			statuses := must[*nats.Subscription](t)(watch.SubscribeSync("idtap.status.v1.>"))
			must[any](t)(nil, watch.Flush())

			n := c.network(0)
			n.Swallow(everyTenth())
			server := c.deskServer("d1", AccountsAPIPrefix)
			server.URL = "nats://" + must[string](t)(n.Listen())
			q := faulttest.NewQueue("e1", division, "d1")
			q.Accept(30, hukou)
			d := startDesk(t, q, Options{Server: server, Replicas: nodes})
			d.drained()
			c.audit(q)
			if h := d.until("account looked at", func(h Health) bool { return h.Delivering() && h.Account != "" }); h.Account != AccountApart || h.Mode != ModeChain || len(h.Warnings()) != 0 {
				t.Fatalf("health = %+v, want apart, chain, no warnings", h)
			}
			env := event.Envelope{ID: "s1", Type: event.StatusType, Source: event.Source("d1", "front"), Time: time.Now(),
				Subject: event.StatusSubject(division, "d1"), Content: event.ContentJSON}
			if err := d.ReaderStatus(env, event.ReaderStatus{Reader: "front", State: "ready"}); err != nil {
				t.Fatal(err)
			}
			if m := must[*nats.Msg](t)(statuses.NextMsg(5 * time.Second)); m.Subject != env.Subject {
				t.Errorf("monitor got %s, want %s", m.Subject, env.Subject)
			}
			second := faulttest.NewQueue("e2", division, "d2")
			startDesk(t, second, Options{Server: c.deskServer("d2", AccountsAPIPrefix)}).until("delivering", Health.Delivering)
			c.pingsBoth(watch)
			c.draws(consumer, 10)
		})
	}
}

// pingsBoth wants an answer of each desk to one question of a monitor.
func (c *central) pingsBoth(watch *nats.Conn) {
	c.t.Helper()
	answers := must[*nats.Subscription](c.t)(watch.SubscribeSync(Inbox("watch") + ".ping"))
	desks := map[string]bool{}
	for limit := time.Now().Add(20 * time.Second); len(desks) < 2; { // the second desk's service follows its connection
		if time.Now().After(limit) {
			c.t.Fatalf("answers of %v, want two desks", desks)
		}
		clear(desks)
		if err := watch.PublishRequest("$SRV.PING", answers.Subject, nil); err != nil {
			c.t.Fatal(err)
		}
		for m, err := answers.NextMsg(time.Second); err == nil; m, err = answers.NextMsg(300 * time.Millisecond) {
			var pong struct{ Metadata map[string]string }
			if err := json.Unmarshal(m.Data, &pong); err != nil {
				c.t.Fatal(err)
			}
			desks[pong.Metadata["desk"]] = true
		}
	}
}

// draws wants a registry to draw n events with one request, and to see each
// acknowledgement acknowledged.
func (c *central) draws(consumer jetstream.Consumer, n int) {
	c.t.Helper()
	nc := c.as(registry)
	batch := must[*nats.Subscription](c.t)(nc.SubscribeSync(Inbox(registry) + ".draw"))
	if err := nc.PublishRequest(AccountsAPIPrefix+".CONSUMER.MSG.NEXT."+stream+"."+registry, batch.Subject, fmt.Appendf(nil, `{"batch":%d,"expires":5000000000}`, n)); err != nil {
		c.t.Fatal(err)
	}
	for range n {
		m := must[*nats.Msg](c.t)(batch.NextMsg(5 * time.Second))
		if _, err := nc.Request(m.Reply, []byte("+ACK"), 5*time.Second); err != nil {
			c.t.Fatalf("double acknowledgement: %v", err)
		}
	}
	if info := must[*jetstream.ConsumerInfo](c.t)(consumer.Info(c.t.Context())); info.NumAckPending != 0 || info.AckFloor.Consumer != uint64(n) {
		c.t.Errorf("after %d acknowledged: pending %d, floor %d", n, info.NumAckPending, info.AckFloor.Consumer)
	}
}

// rogue is a desk that has the server publish for it: it names reply subjects
// that it may not publish to.
type rogue struct {
	c      *central
	nc     *nats.Conn
	api    string // JetStream API prefix as its account sees it
	own    string // an event subject of its own
	filter string
}

// askings are everything a desk may ask that somebody else answers, by name; the
// answer goes to reply. body and header are what a direct get brings back.
func (r rogue) askings() map[string]func(reply string, body string) error {
	publish := func(header nats.Header, reply, body string) error {
		return r.nc.PublishMsg(&nats.Msg{Subject: r.own, Reply: reply, Header: header, Data: []byte(body)})
	}
	return map[string]func(reply, body string) error{
		"direct get": func(reply, body string) error {
			if _, err := r.nc.RequestMsg(&nats.Msg{Subject: r.own, Data: []byte(body), Header: forged()}, 5*time.Second); err != nil {
				return err
			}
			return r.nc.PublishRequest(r.api+".DIRECT.GET."+stream+"."+r.filter, reply, nil)
		},
		"stream info":     func(reply, _ string) error { return r.nc.PublishRequest(r.api+".STREAM.INFO."+stream, reply, nil) },
		"account info":    func(reply, _ string) error { return r.nc.PublishRequest("$JS.API.INFO", reply, nil) },
		"acknowledgement": func(reply, body string) error { return publish(forged(), reply, body) },
		"refusal": func(reply, body string) error {
			return publish(nats.Header{jetstream.ExpectedStreamHeader: {"OTHER"}}, reply, body)
		},
		"batch": func(reply, body string) error {
			h := forged()
			h["Nats-Batch-Id"], h["Nats-Batch-Sequence"] = []string{"b" + nats.NewInbox()[7:]}, []string{"1"}
			if err := publish(h, reply, body); err != nil {
				return err
			}
			h["Nats-Batch-Sequence"], h["Nats-Batch-Commit"] = []string{"2"}, []string{"1"}
			return publish(h, reply, body)
		},
		"trace": func(reply, body string) error {
			h := forged()
			h["Nats-Trace-Dest"] = []string{reply}
			return publish(h, reply, body)
		},
	}
}

// forged are headers in the other desk's name.
func forged() nats.Header {
	return nats.Header{event.HeaderID: {"forged"}, "ce-source": {event.Source("d2", "front")}, event.HeaderEpoch: {"e9"}, event.HeaderSequence: {"9999"}}
}

// targets are where answers are sent, with the body that would do harm there.
func (r rogue) targets() map[string]string {
	changed := RecommendedStream(stream, 1, 0, 0)
	changed.DenyPurge, changed.AllowAtomicPublish = false, true
	changed.RePublish = &jetstream.RePublish{Source: ">", Destination: Inbox("d1") + ".spy.>"}
	update, err := json.Marshal(changed)
	if err != nil {
		r.c.t.Fatal(err)
	}
	push := fmt.Sprintf(`{"stream_name":%q,"config":{"deliver_subject":%q,"ack_policy":"none","deliver_policy":"all"}}`, stream, Inbox("d1")+".spy")
	targets := map[string]string{
		"idtap.v1.recorded.41.4101.410105.d2.62.6204.620422": `{"forged":true}`,
		"idtap.status.v1.41.4101.410105.d2":                  `{"reader":"front","state":"forged"}`,
		"idtap.receipt.v1.41.4101.410105.d2.x":               `{"forged":true}`,
		"$JS.ACK." + stream + "." + registry + ".1.1.1.1.1":  "+ACK",
		"$JS.ACK." + stream + "." + registry + ".1.1.1.1.0":  "+TERM",
		Inbox(registry) + ".draw":                            `{"forged":true}`,
	}
	for _, prefix := range []string{DefaultAPIPrefix, AccountsAPIPrefix} {
		for verb, body := range map[string]string{
			"STREAM.MSG.DELETE." + stream: `{"seq":1}`, "STREAM.PURGE." + stream: "", "STREAM.UPDATE." + stream: string(update),
			"CONSUMER.CREATE." + stream: push, "CONSUMER.CREATE." + stream + ".spy": push, "CONSUMER.DURABLE.CREATE." + stream + ".spy": push,
			"CONSUMER.DELETE." + stream + "." + registry: "", "STREAM.MSG.GET." + stream: `{"seq":1}`, "STREAM.SNAPSHOT." + stream: "{}",
			"CONSUMER.CREATE.RECEIPTS.d1.idtap.receipt.v1.41.4101.410105.d1.>": push,
			"STREAM.DELETE." + stream: "", // the last of each prefix: nothing is left to test afterwards
		} {
			targets[prefix+"."+verb] = body
		}
	}
	return targets
}

// harm is what stands in the stream and with its readers that a rogue must not
// change.
type harm struct {
	subjects  string // of the stream's messages, but the rogue's own
	config    string
	consumers string
	pending   int // of the registry's consumer
}

func (c *central) harm(own string) harm {
	c.t.Helper()
	s := must[jetstream.Stream](c.t)(c.js.Stream(c.t.Context(), stream))
	info := must[*jetstream.StreamInfo](c.t)(s.Info(c.t.Context()))
	var h harm
	for _, m := range c.stored() {
		if m.Subject != own {
			h.subjects += fmt.Sprintln(m.Sequence, m.Subject, string(m.Data))
		}
	}
	config, err := json.Marshal(info.Config)
	if err != nil {
		c.t.Fatal(err)
	}
	h.config = string(config)
	all := s.ListConsumers(c.t.Context())
	for info := range all.Info() { // ours are neither durable nor pushed
		if info.Config.Durable != "" || info.Config.DeliverSubject != "" {
			h.consumers += info.Name + " "
		}
	}
	if consumer, err := s.Consumer(c.t.Context(), registry); err == nil {
		h.pending = must[*jetstream.ConsumerInfo](c.t)(consumer.Info(c.t.Context())).NumAckPending
	}
	return h
}

func (c *central) exists() bool {
	_, err := c.js.Stream(c.t.Context(), stream)
	return err == nil
}

// attack runs every asking against every target, looks that often for harm, and returns those that changed
// something or let the rogue, or a reader, receive what it must not.
func (r rogue) attack(looks int, watched ...*nats.Subscription) []string {
	t := r.c.t
	t.Helper()
	spied := must[*nats.Subscription](t)(r.nc.SubscribeSync(Inbox("d1") + ".spy.>"))
	spied2 := must[*nats.Subscription](t)(r.nc.SubscribeSync(Inbox("d1") + ".spy"))
	watched = append(watched, spied, spied2)
	canary := must[*nats.Subscription](t)(r.nc.SubscribeSync(Inbox("d1") + ".canary"))
	before := r.c.harm(r.own)
	var through []string
	targets := r.targets()
	names := slices.SortedFunc(maps.Keys(targets), func(a, b string) int {
		return strings.Compare(fmt.Sprint(strings.Contains(a, "STREAM.DELETE"), a), fmt.Sprint(strings.Contains(b, "STREAM.DELETE"), b))
	})
	for _, target := range names {
		for name, ask := range r.askings() {
			if err := ask(target, targets[target]); err != nil && !r.c.exists() {
				return append(through, "the stream is gone")
			} else if err != nil {
				t.Fatalf("%s to %s: %v", name, target, err)
			}
			if name == "trace" {
				continue // the server checks the destination of a trace: it never answers
			}
			// The same again to the own inbox: its answer comes after the first's.
			if err := ask(canary.Subject, targets[target]); err != nil && r.c.exists() {
				t.Fatal(err)
			}
			if _, err := canary.NextMsg(5 * time.Second); err != nil && !r.c.exists() {
				return append(through, "the stream is gone")
			} else if err != nil {
				t.Fatalf("%s: no answer to the rogue itself: %v", name, err)
			}
			if name == "batch" {
				canary.NextMsg(200 * time.Millisecond)
			}
		}
		after := r.c.harm(r.own)
		for look := 1; after != before && look < looks; look++ {
			<-time.After(time.Second) // a cluster under load may leave a consumer out of an answer; harm stays
			after = r.c.harm(r.own)
		}
		if after != before {
			if looks > 1 {
				t.Logf("%s:\n%+v\nbefore:\n%+v", target, after, before)
			}
			through = append(through, target)
			before = after
		}
	}
	for _, s := range watched {
		if n, _, _ := s.Pending(); n > 0 {
			m := must[*nats.Msg](t)(s.NextMsg(time.Second))
			through = append(through, fmt.Sprintf("received on %s: %d, the first %s", s.Subject, n, m.Subject))
		}
	}
	return through
}

// prepareVictims stores an event of another desk, and has the registry hold it
// without acknowledging.
func (c *central) prepareVictims(api string) {
	c.t.Helper()
	c.update(func(s *jetstream.StreamConfig) { s.AllowAtomicPublish = true })
	must[*nats.Msg](c.t)(c.as("d2").RequestMsg(&nats.Msg{Subject: "idtap.v1.recorded.41.4101.410105.d2.62.6204.620422", Data: []byte("victim")}, 5*time.Second))
	must[jetstream.Consumer](c.t)(c.js.CreateConsumer(c.t.Context(), stream, jetstream.ConsumerConfig{Durable: registry, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour,
		FilterSubject: "idtap.v1.*.41.4101.410105.d2.>"}))
	must[*nats.Msg](c.t)(c.as(registry).Request(api+".CONSUMER.MSG.NEXT."+stream+"."+registry, []byte("1"), 5*time.Second))
}

func newRogue(c *central, api string) rogue {
	return rogue{c, c.as("d1"), api, "idtap.v1.recorded.41.4101.410105.d1.62.6204.620422", event.Filter(division, "d1")}
}

// withReceiptRights grants d1 what it will need for its receipts.
func withReceiptRights(a Accounts, text string) string {
	const desk = "41.4101.410105.d1"
	exports, imports, rights := "", "", ""
	for _, s := range []string{"CONSUMER.CREATE.RECEIPTS.d1.idtap.receipt.v1." + desk + ".>", "CONSUMER.DELETE.RECEIPTS.d1", "CONSUMER.MSG.NEXT.RECEIPTS.d1"} {
		exports += fmt.Sprintf("{service: \"$JS.API.%s\", accounts: [%s]}\n", s, DeskAccount)
		imports += fmt.Sprintf("{service: {account: %s, subject: \"$JS.API.%s\"}, to: \"%s.%s\"}\n", StreamAccount, s, a.APIPrefix, s)
		rights += fmt.Sprintf("%q, ", a.APIPrefix+"."+s)
	}
	text = strings.Replace(text, "exports [\n", "exports [\n"+exports, 1)
	text = strings.Replace(text, "imports [\n", "imports [\n"+imports, 1)
	return strings.Replace(text, `"idtap.v1.*.`+desk, rights+`"idtap.v1.*.`+desk, 1)
}

func TestRogueDeskInAccountsGetsNothingThrough(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			a := NewAccounts(stream)
			c := startCentral(t, nodes, withServerFile(t, withReceiptRights(a, a.ServerFile(accountUsers(a)))))
			receipts := RecommendedStream("RECEIPTS", nodes, 0, 0)
			receipts.Subjects = []string{"idtap.receipt.v1.>"}
			must[jetstream.Stream](t)(c.js.CreateStream(t.Context(), receipts))
			c.prepareVictims(AccountsAPIPrefix)
			watch := must[*nats.Subscription](t)(c.as("watch").SubscribeSync("idtap.status.v1.41.4101.410105.d2"))
			drawn := must[*nats.Subscription](t)(c.as(registry).SubscribeSync(Inbox(registry) + ".draw"))
			if through := newRogue(c, AccountsAPIPrefix).attack(10, watch, drawn); len(through) > 0 {
				t.Errorf("got through: %q", through)
			}
			if s := must[jetstream.Stream](t)(c.js.Stream(t.Context(), "RECEIPTS")); s.CachedInfo().State.Msgs != 0 {
				t.Errorf("%d receipts forged", s.CachedInfo().State.Msgs)
			}
		})
	}
}

// TestRogueDeskInOneAccountGetsThrough shows that the attacks are real, and that
// the account check tells the two shapes apart.
func TestRogueDeskInOneAccountGetsThrough(t *testing.T) {
	a := NewAccounts(stream)
	a.APIPrefix = DefaultAPIPrefix
	c := startCentral(t, 1, withUsers(
		DeskPermissions(stream, DefaultAPIPrefix, division, "d1").user("d1"), DeskPermissions(stream, DefaultAPIPrefix, division, "d2").user("d2"),
		a.RegistryPermissions(registry, registry).user(registry)))
	c.prepareVictims(DefaultAPIPrefix)
	q := faulttest.NewQueue("e1", division, "d2")
	d := startDesk(t, q, Options{Server: c.deskServer("d2", "")})
	h := d.until("account looked at", func(h Health) bool { return h.Account != "" })
	if w := h.Warnings(); h.Account != AccountShared || len(w) != 1 || w[0].Code != StreamShared {
		t.Errorf("account %q, warnings %v, want %s and %s", h.Account, w, AccountShared, StreamShared)
	}
	if through := newRogue(c, DefaultAPIPrefix).attack(1); len(through) < 5 {
		t.Errorf("got through: %q, want at least five", through)
	}
}

func TestStrangersAccountCannotImport(t *testing.T) {
	a := NewAccounts(stream)
	text := a.ServerFile(accountUsers(a))
	end := strings.LastIndex(text, "}")
	text = text[:end] + `  STRANGER {
    imports [ {service: {account: ` + StreamAccount + `, subject: "idtap.v1.>"}} ]
    users [ {user: stranger, password: stranger-password} ]
  }
}
`
	err := (&server.Options{}).ProcessConfigString(text)
	if err == nil || !strings.Contains(err.Error(), "not authorized") {
		t.Errorf("a stranger's import: %v, want not authorized", err)
	}
}

func TestAccountStates(t *testing.T) {
	perms := DeskPermissions(stream, DefaultAPIPrefix, division, "d1")
	denied := perms
	denied.Publish = slices.DeleteFunc(slices.Clone(perms.Publish), func(s string) bool { return s == "$JS.API.INFO" })
	for name, tt := range map[string]struct {
		options func(*server.Options)
		want    string
		code    Code
	}{
		"shared": {withUsers(perms.user("d1")), AccountShared, StreamShared},
		"denied": {withUsers(denied.user("d1")), AccountUnchecked, AccountNotAsked},
		"branch": {func(o *server.Options) {
			withUsers(perms.user("d1"))(o)
			o.JetStreamDomain = "branch7"
		}, AccountBranch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := startCentral(t, 1, tt.options)
			q := faulttest.NewQueue("e1", division, "d1")
			q.Accept(3, hukou)
			d := startDesk(t, q, Options{Server: c.deskServer("d1", ""), Strict: true}) // nothing is held back for it
			d.drained()
			h := d.until("account looked at", func(h Health) bool { return h.Account != "" })
			if got := h.Warnings(); h.Account != tt.want || (tt.code == "") != (len(got) == 0) || len(got) == 1 && got[0].Code != tt.code {
				t.Errorf("account %q, warnings %v, want %q, %q", h.Account, got, tt.want, tt.code)
			}
		})
	}
}

func TestExampleAccounts(t *testing.T) {
	a := NewAccounts(stream)
	text, logins, err := a.Example(division, "d1", []string{registry})
	if err != nil {
		t.Fatal(err)
	}
	path := file(t, "accounts.conf", text)
	if found, err := CheckAccounts(path, a); err != nil || len(found) > 0 {
		t.Fatalf("CheckAccounts(%s) = %v, %v, want none", text, found, err)
	}
	c, err := faulttest.NewCluster(t.TempDir(), 1, withServerFile(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, l := range logins {
		if strings.Contains(text, l.Password) {
			t.Errorf("%s: the file holds the password in the clear", l.Name)
		}
		nc, err := nats.Connect(c.URL(), nats.UserInfo(l.Name, l.Password))
		if err != nil {
			t.Errorf("%s: %v", l.Name, err)
			continue
		}
		nc.Close()
	}
	if want := 4; len(logins) != want {
		t.Errorf("%d logins, want %d", len(logins), want)
	}
}

func TestCheckAccounts(t *testing.T) {
	a := NewAccounts(stream)
	good := a.ServerFile(accountUsers(a))
	for name, tt := range map[string]struct {
		old, new string
		want     []Code
	}{
		"as printed":          {"", "", nil},
		"open export":         {`{service: "idtap.v1.>", accounts: [IDTAP_DESKS]}`, `{service: "idtap.v1.>"}`, []Code{AccountsOpen}},
		"open status":         {`{service: "idtap.status.v1.>", accounts: [IDTAP_DESKS]}`, `{service: "idtap.status.v1.>"}`, []Code{AccountsOpen}},
		"status as a feed":    {"IDTAP_DESKS {\n    exports [\n", "IDTAP_DESKS {\n    exports [\n {stream: \"idtap.status.v1.>\", accounts: [IDTAP_MONITORS]}\n", []Code{AccountsOpen}},
		"whole API":           {"$JS.API.STREAM.INFO.REGISTRATIONS\", accounts", "$JS.API.>\", accounts", []Code{AccountsOpen}},
		"events as a feed":    {"exports [\n", "exports [\n {stream: \"idtap.v1.>\", accounts: [IDTAP_MONITORS]}\n", []Code{AccountsOpen}},
		"desk draws":          {"\", accounts: [IDTAP_REGISTRIES], resp", "\", accounts: [IDTAP_REGISTRIES, IDTAP_DESKS], resp", []Code{AccountsOpen}},
		"one answer":          {", response_type: stream", "", []Code{AccountsMissing}},
		"no prefix":           {`, to: "IDTAP.API.STREAM.INFO.REGISTRATIONS"`, "", []Code{AccountsMissing}},
		"JetStream for desks": {"IDTAP_DESKS {\n", "IDTAP_DESKS {\n jetstream: enabled\n", []Code{AccountsTogether}},
		"desk with the stream": {"{user: \"admin\"", "{user: d3, password: x, permissions: {publish: \"idtap.v1.*.d3.>\", subscribe: \"_INBOX_d3.>\"}}\n{user: \"admin\"",
			[]Code{AccountsTogether}},
		"desk unlimited": {"{user: \"d1\"", "{user: d3, password: x}\n{user: \"d1\"", []Code{AccountsOpen}},
		"one account":    {good, "accounts { ALL { jetstream: enabled, users [ {user: d1, password: x} ] } }", []Code{AccountsMissing}},
		"no accounts":    {good, "port: 4222", []Code{AccountsMissing}},
	} {
		t.Run(name, func(t *testing.T) {
			text := good
			if tt.old != "" {
				if text = strings.Replace(good, tt.old, tt.new, 1); text == good {
					t.Fatal("nothing replaced")
				}
			}
			path := filepath.Join(t.TempDir(), "nats.conf")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := CheckAccounts(path, a)
			if err != nil {
				t.Fatal(err)
			}
			var codes []Code
			for _, p := range found {
				codes = append(codes, p.Code)
			}
			if !slices.Equal(codes, tt.want) {
				t.Errorf("CheckAccounts = %v, want %v", found, tt.want)
			}
		})
	}
}
