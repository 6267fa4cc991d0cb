package daemon

import (
	"testing"

	"idtap/publisher/bus"
	"idtap/publisher/desk"
)

func TestShownProblem(t *testing.T) {
	backlog := []bus.Problem{{Code: bus.Backlog}}
	for _, tt := range []struct {
		mode desk.BusMode
		h    bus.Health
		want string
	}{
		{desk.BusConnecting, bus.Health{Code: bus.Unreachable}, ""},
		{desk.BusAway, bus.Health{Code: bus.Unreachable}, ""},
		{desk.BusConnecting, bus.Health{Code: bus.AuthFailed}, string(bus.AuthFailed)},
		{desk.BusAway, bus.Health{Code: bus.AuthFailed}, string(bus.AuthFailed)},
		{desk.BusConnecting, bus.Health{Code: bus.TLSFailed}, string(bus.TLSFailed)},
		{desk.BusConnecting, bus.Health{Code: bus.CredsUnreadable}, string(bus.CredsUnreadable)},
		{desk.BusAway, bus.Health{Code: bus.ServerCertExpired}, string(bus.ServerCertExpired)},
		{desk.BusConnected, bus.Health{}, ""},
		{desk.BusConnected, bus.Health{Problems: backlog}, string(bus.Backlog)},
		{desk.BusConnected, bus.Health{Code: bus.PublishDenied, Problems: backlog}, string(bus.PublishDenied)},
	} {
		if got := shownProblem(tt.mode, tt.h); got != tt.want {
			t.Errorf("shownProblem(%s, %s) = %q, want %q", tt.mode, tt.h.Code, got, tt.want)
		}
	}
}
