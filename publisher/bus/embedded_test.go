package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"idtap/publisher/bus/faulttest"
	"idtap/publisher/event"
)

func TestEmbeddedStoreIsLockedSealedAndKept(t *testing.T) {
	o := embeddedOptions(t)
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(5, hukou)
	d := startDesk(t, q, o)
	d.drained()
	o.DeskID = "d1"
	if _, err := Start(t.Context(), o, q); !errors.Is(err, ErrStoreLocked) {
		t.Fatalf("a second daemon on the store: %v", err)
	}
	d.Stop()
	err := filepath.WalkDir(o.Embedded.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if text := must[[]byte](t)(os.ReadFile(path)); bytes.Contains(text, []byte(hukou)) || bytes.Contains(text, []byte(`"desk"`)) {
			t.Errorf("%s holds an event in the clear", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	q.Accept(5, hukou)
	d = startDesk(t, q, o)
	d.drained()
	js := must[jetstream.JetStream](t)(jetstream.New(d.link.nc))
	stored := must[[]faulttest.Stored](t)(faulttest.ReadStream(t.Context(), js, stream))
	if len(stored) != 10 {
		t.Fatalf("%d stored after a restart", len(stored))
	}
	if age := must[jetstream.Stream](t)(js.Stream(t.Context(), stream)).CachedInfo().Config.MaxAge; age != 72*time.Hour {
		t.Fatalf("max_age %v", age)
	}
}

func TestEmbeddedStoreThatDoesNotOpenIsSetAside(t *testing.T) {
	o := embeddedOptions(t)
	store := filepath.Join(o.Embedded.Dir, "store")
	if err := os.MkdirAll(o.Embedded.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, store, "not a directory")
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	d := startDesk(t, q, o)
	d.drained()
	h := d.Health()
	if len(h.Problems) != 1 || h.Problems[0].Code != StoreSetAside {
		t.Fatalf("%+v", h.Problems)
	}
}

func TestEmbeddedServerListensWithACredential(t *testing.T) {
	taken := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer taken.Close()
	o := embeddedOptions(t)
	o.Embedded.Listen = taken.Addr().String()
	o.DeskID = "d1"
	if _, err := Start(t.Context(), o, faulttest.NewQueue("e1", division, "d1")); err == nil {
		t.Fatal("a busy port is not told")
	}
	o.Embedded.NextPort = true
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(3, hukou)
	d := startDesk(t, q, o)
	d.drained()

	access := d.Access()
	if access.URL != d.Health().Listen || access.URL == "" || strings.Contains(fmt.Sprintf("%v %+v %s", access, access, access), access.Password) {
		t.Fatalf("Access = %v, want %s and no password printed", access, d.Health().Listen)
	}
	s, login := access.Server()
	nc := must[*nats.Conn](t)(Dial(s, "test", login))
	defer nc.Close()
	js := must[jetstream.JetStream](t)(jetstream.New(nc))
	if stored := must[[]faulttest.Stored](t)(faulttest.ReadStream(t.Context(), js, stream)); len(stored) != 3 {
		t.Fatalf("%d stored", len(stored))
	}
	if _, err := Dial(s, "stranger"); !errors.Is(err, nats.ErrAuthorization) {
		t.Fatalf("without the credential: %v", err)
	}
	o2 := embeddedOptions(t)
	o2.DeskID, o2.Embedded.Listen = "d1", "0.0.0.0:0"
	var plain *PlaintextError
	if _, err := Start(t.Context(), o2, q); !errors.As(err, &plain) {
		t.Fatalf("a port off this machine without TLS: %v", err)
	}
}

func TestEmbeddedServerAsLeafNodeOfABranch(t *testing.T) {
	port := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	hubPort := port.Addr().(*net.TCPAddr).Port
	must[any](t)(nil, port.Close())
	hub, err := faulttest.NewCluster(t.TempDir(), 1, func(o *server.Options) {
		o.JetStreamDomain = "hub"
		o.LeafNode = server.LeafNodeOpts{Host: "127.0.0.1", Port: hubPort}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	o := embeddedOptions(t)
	o.Embedded.Config = file(t, "leaf.conf", fmt.Sprintf(`
		jetstream { domain: desk1 }
		leafnodes { remotes: [ { url: "nats-leaf://127.0.0.1:%d" } ] }
		debug: true
		trace: true
		logfile: "/nonexistent/log"
	`, hubPort))
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(5, hukou)
	d := startDesk(t, q, o)
	d.drained()
	if !d.Health().Local {
		t.Fatal("what lies in the desk's own store is local")
	}
	// docs/cluster.md: the hub draws the desk's events through the leaf link.
	nc := must[*nats.Conn](t)(nats.Connect(hub.URL()))
	defer nc.Close()
	js := must[jetstream.JetStream](t)(jetstream.New(nc))
	config := RecommendedStream("BRANCH", 1, 0, 0)
	config.Subjects = nil
	config.Sources = []*jetstream.StreamSource{{Name: stream, Domain: "desk1"}}
	s := must[jetstream.Stream](t)(js.CreateStream(t.Context(), config))
	deadline := time.Now().Add(30 * time.Second)
	for must[*jetstream.StreamInfo](t)(s.Info(t.Context())).State.Msgs < 5 {
		if time.Now().After(deadline) {
			t.Fatal("the hub has not drawn the desk's events")
		}
		d.pause()
	}
}

func TestEmbeddedServerIsRevivedWhenItFallsSilent(t *testing.T) {
	q := faulttest.NewQueue("e1", division, "d1")
	q.Accept(1, hukou)
	d := startDesk(t, q, embeddedOptions(t))
	d.drained()
	// What a full disk leaves behind: a server that runs and stores nothing.
	if err := d.embedded.srv.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	q.Accept(5, hukou)
	d.drained()
}

func TestEmbeddedServerThatCannotStartIsTriedAgain(t *testing.T) {
	q := faulttest.NewQueue("e1", division, "d1")
	o := embeddedOptions(t)
	d := startDesk(t, q, o)
	d.until("delivering", Health.Delivering)
	store := filepath.Join(o.Embedded.Dir, "store")
	d.embedded.shutdown()
	must[any](t)(nil, os.Rename(store, store+".away"))
	write(t, store, "no room")
	q.Accept(2, hukou)
	d.untilCode(EmbeddedFailed)
	must[any](t)(nil, os.Remove(store))
	must[any](t)(nil, os.Rename(store+".away", store))
	d.drained()
}

func TestMicroServiceAnswers(t *testing.T) {
	c := startCentral(t, 1, nil)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Server: Server{URL: c.URL()}, Sources: Sources{
		Diag:    func() any { return map[string]string{"diag": "ok"} },
		Readers: func() any { return []string{"front"} },
		Stats:   func() any { return map[string]int{"waiting": 4} },
	}})
	d.until("delivering", Health.Delivering)
	ask := func(subject string, into any) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			m, err := c.nc.Request(subject, nil, time.Second)
			if err == nil {
				if err := json.Unmarshal(m.Data, into); err != nil {
					t.Fatal(err)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", subject, err)
			}
		}
	}
	var ping micro.Ping
	ask("$SRV.PING.idtap", &ping)
	if ping.Name != "idtap" || ping.Version != "1.2.3" || ping.Metadata["desk"] != "d1" {
		t.Fatalf("%+v", ping)
	}
	var info micro.Info
	ask("$SRV.INFO.idtap", &info)
	var names []string
	for _, e := range info.Endpoints {
		names = append(names, e.Name)
		if e.Subject != ServiceSubject(division, "d1", e.Name) {
			t.Fatalf("%+v", e)
		}
	}
	if !slices.Equal(names, []string{"diag", "readers", "stats"}) {
		t.Fatalf("%v", names)
	}
	var stats micro.Stats
	ask("$SRV.STATS.idtap", &stats)
	if len(stats.Endpoints) != 3 || string(stats.Endpoints[0].Data) != `{"waiting":4}` {
		t.Fatalf("%+v", stats)
	}
	var readers []string
	ask(ServiceSubject(division, "d1", "readers"), &readers)
	if !slices.Equal(readers, []string{"front"}) {
		t.Fatalf("%v", readers)
	}
}

func TestReaderStatesAreToldAgainAfterAReconnect(t *testing.T) {
	c := startCentral(t, 1, nil)
	n := c.network(0)
	q := faulttest.NewQueue("e1", division, "d1")
	d := startDesk(t, q, Options{Provider: n})
	d.until("delivering", Health.Delivering)
	heard := must[*nats.Subscription](t)(c.nc.SubscribeSync(event.StatusSubject(division, "d1")))
	must[any](t)(nil, c.nc.Flush())
	env := must[event.Envelope](t)(event.StatusEnvelope(event.Place{DeskDivision: division, DeskID: "d1"}, "front", time.Now()))
	if err := d.ReaderStatus(env, event.ReaderStatus{Desk: "d1", Reader: "front", State: "ready"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m := must[*nats.Msg](t)(heard.NextMsg(10 * time.Second))
		var st event.ReaderStatus
		if err := json.Unmarshal(m.Data, &st); err != nil || st.Reader != "front" || st.State != "ready" || m.Header.Get("ce-type") != event.StatusType {
			t.Fatalf("%v %+v %v", err, st, m.Header)
		}
		n.Cut()
	}
}

func TestSemver(t *testing.T) {
	for in, want := range map[string]string{"1.2.3": "1.2.3", "v1.2.3-rc1": "1.2.3-rc1", "dev": "0.0.0-dev", "": "0.0.0-dev", "(devel)": "0.0.0-devel"} {
		if got := semver(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
