package daemon

import (
	"testing"

	"idtap/config"
)

// TestDemonstrateListens: where the configuration says, on this machine only.
func TestDemonstrateListens(t *testing.T) {
	for _, tt := range []struct{ page, server, wantPage, wantServer string }{
		{"127.0.0.1:7643", "", "127.0.0.1:7643", "127.0.0.1:4222"},
		{"127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9001", "127.0.0.1:9002"},
		{"localhost:0", "[::1]:0", "localhost:0", "[::1]:0"},
		{"0.0.0.0:9001", "0.0.0.0:9002", "127.0.0.1:7643", "127.0.0.1:4222"},
		{"", "", "", "127.0.0.1:4222"},
	} {
		c := config.Default()
		c.DeskPage.Listen, c.NATS.Embedded.Listen, c.NATS.URL = tt.page, tt.server, "nats://192.0.2.1:4222"
		Demonstrate(&c, t.TempDir())
		if c.DeskPage.Listen != tt.wantPage || c.NATS.Embedded.Listen != tt.wantServer || c.NATS.URL != "" {
			t.Errorf("Demonstrate(page %q, server %q) listens on %q and %q, connects to %q, want %q, %q and nothing",
				tt.page, tt.server, c.DeskPage.Listen, c.NATS.Embedded.Listen, c.NATS.URL, tt.wantPage, tt.wantServer)
		}
	}
}
