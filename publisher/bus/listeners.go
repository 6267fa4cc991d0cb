package bus

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats-server/v2/server"
)

// ListenerError refuses a listener in nats.embedded.config: its port would be open
// without the login and the TLS that nats.embedded.listen wants.
type ListenerError struct {
	Path string
	Line int // 0: not found in the file itself
	Key  string
}

func (e *ListenerError) Error() string {
	at := e.Path
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.Path, e.Line)
	}
	return fmt.Sprintf("%s: %s would open a port: nats.embedded.listen is the one port of the embedded server; remove it, or run a nats-server of its own", at, e.Key)
}

// blocks open a port whatever stands in them; single keys are ports themselves.
var blocks = []string{"websocket", "ws", "mqtt", "gateway", "cluster", "http", "http_port", "monitor_port", "https", "https_port", "prof_port"}

// located is a value of a file that was parsed with its lines.
type located interface {
	Value() any
	Line() int
	SourceFile() string
}

// checkListeners refuses listeners, by the file's own words and by what the server
// made of them.
func checkListeners(path string, opts *server.Options) error {
	file, err := conf.ParseFileWithChecks(path)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(file)) {
		t, ok := file[key].(located)
		if !ok {
			continue
		}
		name := strings.ToLower(key)
		if slices.Contains(blocks, name) {
			return &ListenerError{path, t.Line(), key}
		}
		if block, ok := t.Value().(map[string]any); ok && (name == "leafnodes" || name == "leaf") {
			for inner, v := range block {
				if k := strings.ToLower(inner); k == "port" || k == "listen" || k == "host" || k == "net" {
					line := t.Line()
					if t, ok := v.(located); ok {
						line = t.Line()
					}
					return &ListenerError{path, line, key + "." + inner}
				}
			}
		}
	}
	for key, port := range map[string]int{"websocket": opts.Websocket.Port, "mqtt": opts.MQTT.Port, "leafnodes": opts.LeafNode.Port, "gateway": opts.Gateway.Port,
		"cluster": opts.Cluster.Port, "http": opts.HTTPPort, "https": opts.HTTPSPort, "prof_port": opts.ProfPort} {
		if port != 0 {
			return &ListenerError{path, 0, key}
		}
	}
	return nil
}
