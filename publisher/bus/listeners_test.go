package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

func TestListenersInTheServerFileAreRefused(t *testing.T) {
	for text, line := range map[string]int{
		"websocket { port: 8080, no_tls: true }":                                                       2,
		"jetstream: enabled\nmqtt {\n  port: 1883\n}":                                                  3,
		"leafnodes {\n  port: 7422\n}":                                                                 3,
		"leafnodes {\n  remotes: [ { url: \"nats://127.0.0.1:1\" } ]\n  listen: \"127.0.0.1:7422\"\n}": 4,
		"gateway { name: g, port: 7522 }":                                                              2,
		"cluster {\n name: c\n port: 6222\n}":                                                          2,
		"http: 8222":                                                                                   2,
		"http_port: 8222":                                                                              2,
		"monitor_port: 8222":                                                                           2,
		"prof_port: 6060":                                                                              2,
	} {
		t.Run(text, func(t *testing.T) {
			path := file(t, "server.conf", "server_name: s\n"+text+"\n")
			e := embedded{o: Embedded{Dir: t.TempDir(), Config: path}, name: "x"}
			_, err := e.options()
			var refused *ListenerError
			if !errors.As(err, &refused) || refused.Line != line || !strings.Contains(err.Error(), "nats.embedded.listen") {
				t.Errorf("options() = %v, want refused in line %d", err, line)
			}
		})
	}
	for _, text := range []string{
		"leafnodes { remotes: [ { url: \"nats://127.0.0.1:1\" } ] }", "max_connections: 10\nmax_payload: 2MB",
		"accounts { A { users: [ {user: a, password: b} ] } }", "jetstream { domain: branch7 }",
	} {
		e := embedded{o: Embedded{Dir: t.TempDir(), Config: file(t, "server.conf", text)}, name: "x"}
		if _, err := e.options(); err != nil {
			t.Errorf("options() with %s = %v, want none", text, err)
		}
	}
}

// lines is a log that counts its messages.
type lines struct {
	mu       sync.Mutex
	messages map[string]int
	longest  int
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var line struct{ Message string }
	if err := json.Unmarshal(bytes.TrimSpace(p), &line); err != nil {
		return 0, err
	}
	l.messages[line.Message]++
	l.longest = max(l.longest, len(p))
	return len(p), nil
}

// TestRefusedLoginsAreOneMessage: what a client says of itself stands in fields,
// bounded, so that the log's limit holds and forgets it.
func TestRefusedLoginsAreOneMessage(t *testing.T) {
	log := &lines{messages: map[string]int{}}
	e, err := startEmbedded(Embedded{Dir: t.TempDir(), Listen: "127.0.0.1:0"}, "x", false, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	for i := range 30 {
		nc, err := nats.Connect(e.url(), nats.UserInfo(fmt.Sprint(i, " - ", strings.Repeat("u", 900)), "wrong"), nats.Name("name - %s"), nats.NoReconnect())
		if err == nil {
			nc.Close()
			t.Fatal("a wrong login is let in")
		}
	}
	refused := func() int {
		log.mu.Lock()
		defer log.mu.Unlock()
		n := 0
		for _, times := range log.messages {
			n += times
		}
		return n
	}
	for limit := time.Now().Add(10 * time.Second); refused() < 30 && time.Now().Before(limit); {
		<-time.After(10 * time.Millisecond)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if len(log.messages) == 0 || len(log.messages) > 3 || log.longest > 1000 {
		t.Errorf("%d messages, longest line %d: %v; want one or two, under 1,000 bytes", len(log.messages), log.longest, log.messages)
	}
}
