package publisher

import (
	"idtap/publisher/event"
	"idtap/reader"
)

// NewReaderStatus is a reader's state as others may see it. It answers false for
// a state that is not worth telling: one on the way to another.
func NewReaderStatus(d DeskFacts, s reader.State) (event.ReaderStatus, bool) {
	state := ""
	switch s.Phase {
	case reader.Ready, reader.Found, reader.Reading, reader.Held, reader.PlaceAgain, reader.NotID, reader.Unreadable:
		state = string(reader.Ready)
	case reader.Away, reader.Denied, reader.Busy, reader.Faulty, reader.NoIdentity, reader.Stuck, reader.Stopped:
		state = string(s.Phase)
	case reader.Telnet, reader.Dialect: // published states are fixed: a fault of the device
		state = string(reader.Faulty)
	default:
		return event.ReaderStatus{}, false
	}
	return event.ReaderStatus{Desk: d.ID, Reader: s.Reader, State: state, Since: event.Time{Time: in(s.Since, d.Zone)},
		Model: s.Identity.Model, SAM: s.Identity.SAM, Test: d.Test || s.Identity.Simulated}, true
}
