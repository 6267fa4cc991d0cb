package daemon

import (
	"net"
	"strconv"

	"idtap/config"
	"idtap/internal/loopback"
)

// Demonstrate turns a configuration into the demo's: a simulated reader,
// temporary data in dir, page and embedded server on ports of this machine, the
// configured ones where they are such, and nothing that leaves it.
func Demonstrate(cfg *config.Config, dir string) {
	d := config.Default()
	cfg.Readers = []config.Reader{{Name: "demo", Driver: "mock"}}
	server := ours(cfg.NATS.Embedded.Listen, "127.0.0.1:4222")
	cfg.NATS = d.NATS
	cfg.NATS.Embedded.Listen = server
	cfg.Outbox = d.Outbox
	cfg.Outbox.Dir = dir
	cfg.Desk.RefKeyFile, cfg.Desk.SigningKey = "", ""
	if cfg.DeskPage.Listen != "" {
		cfg.DeskPage.Listen = ours(cfg.DeskPage.Listen, d.DeskPage.Listen)
	}
	cfg.DeskPage.TLS, cfg.DeskPage.Origins = d.DeskPage.TLS, nil
	cfg.DeskPage.TokenFile, cfg.DeskPage.PINFile, cfg.Photo = "", "", d.Photo
	if cfg.Log.Level == d.Log.Level {
		cfg.Log.Level = "warn" // one line per event is what there is to see
	}
	if cfg.Desk.Division == "" {
		cfg.Desk.Division = "410105"
		cfg.Warnings = nil
	}
	if cfg.Desk.Name == "" {
		cfg.Desk.Name = "演示服务台"
	}
}

// ours is a configured address if it is this machine's alone, else another one:
// the demo has neither certificate nor token.
func ours(address, otherwise string) string {
	if host, _, err := net.SplitHostPort(address); err == nil && loopback.Is(host) {
		return address
	}
	return otherwise
}

// demoPorts is how many ports after the usual one the demo's page tries.
const demoPorts = 100

func nextPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	if err != nil || n == 0 {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}
