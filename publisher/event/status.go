package event

import (
	"time"

	"idtap/reader"
)

// ReaderStatus is the data of a reader's status: published when it changes, on
// core NATS, not stored. Nothing in it is personal, and it does not tell that a
// card lies there.
type ReaderStatus struct {
	Desk   string `json:"desk"`
	Reader string `json:"reader"`
	State  string `json:"state"` // ready, away, denied, busy, faulty, no_identity, stuck, stopped
	Since  Time   `json:"since"`
	Model  string `json:"model,omitempty"`
	SAM    string `json:"sam,omitempty"` // printed number of the security module
	Test   bool   `json:"test"`
}

// NewReaderStatus is a reader's state as others may see it. It answers false for
// a state that is not worth telling: one on the way to another.
func NewReaderStatus(d DeskFacts, s reader.State) (ReaderStatus, bool) {
	state := ""
	switch s.Phase {
	case reader.Ready, reader.Found, reader.Reading, reader.Held, reader.PlaceAgain, reader.NotID, reader.Unreadable:
		state = string(reader.Ready)
	case reader.Away, reader.Denied, reader.Busy, reader.Faulty, reader.NoIdentity, reader.Stuck, reader.Stopped:
		state = string(s.Phase)
	default:
		return ReaderStatus{}, false
	}
	return ReaderStatus{Desk: d.ID, Reader: s.Reader, State: state, Since: Time{in(s.Since, d.Zone)},
		Model: s.Identity.Model, SAM: s.Identity.SAM, Test: d.Test}, true
}

// StatusEnvelope is the envelope of a reader's status.
func StatusEnvelope(d DeskFacts, readerName string, at time.Time) (Envelope, error) {
	id, err := NewID()
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{ID: id, Type: StatusType, Source: Source(d.ID, readerName), Time: at,
		Subject: StatusSubject(d.Division, d.ID), Content: ContentJSON}, nil
}
