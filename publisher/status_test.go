package publisher

import (
	"testing"
	"time"

	"idtap/reader"
)

// Others learn whether a reader works, not when a card lies on it.
func TestNewReaderStatus(t *testing.T) {
	since := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	for phase, want := range map[reader.Phase]string{
		reader.Ready: "ready", reader.Found: "ready", reader.Reading: "ready", reader.Held: "ready",
		reader.PlaceAgain: "ready", reader.NotID: "ready", reader.Unreadable: "ready",
		reader.Away: "away", reader.Denied: "denied", reader.Busy: "busy", reader.Faulty: "faulty",
		reader.NoIdentity: "no_identity", reader.Stuck: "stuck", reader.Stopped: "stopped",
		reader.Starting: "", reader.Phase("later"): "",
	} {
		got, tell := NewReaderStatus(testDesk(), reader.State{Reader: "front", Phase: phase, Since: since})
		if tell != (want != "") || got.State != want {
			t.Errorf("%s: %q, %v; want %q", phase, got.State, tell, want)
		}
		if tell && (got.Desk != testDesk().ID || got.Reader != "front" || !got.Since.Equal(since)) {
			t.Errorf("%s: %+v", phase, got)
		}
	}
}
