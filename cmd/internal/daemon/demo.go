package daemon

import (
	"net"
	"strconv"

	"idtap/config"
)

// Demonstrate turns a configuration into the demo's: a simulated reader,
// temporary data in dir, the embedded server on a port of this machine, and
// nothing that leaves it.
func Demonstrate(cfg *config.Config, dir string) {
	d := config.Default()
	cfg.Readers = []config.Reader{{Name: "demo", Driver: "mock"}}
	cfg.NATS = d.NATS
	cfg.NATS.Embedded.Listen = "127.0.0.1:4222"
	cfg.Outbox = d.Outbox
	cfg.Outbox.Dir = dir
	cfg.Desk.RefKeyFile, cfg.Desk.SigningKey = "", ""
	cfg.DeskPage.Listen, cfg.DeskPage.TLS, cfg.DeskPage.Origins = d.DeskPage.Listen, d.DeskPage.TLS, nil
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
