package event

import "time"

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

// StatusEnvelope is the envelope of a status of a reader at the desk of a place.
func StatusEnvelope(p Place, reader string, at time.Time) (Envelope, error) {
	id, err := NewID()
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{ID: id, Type: StatusType, Source: Source(p.DeskID, reader), Time: at,
		Subject: StatusSubject(p.DeskDivision, p.DeskID), Content: ContentJSON}, nil
}
