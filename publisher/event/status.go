package event

import "time"

// ReaderStatus is the data of a reader's status, published on core NATS when it
// changes and not stored. It holds nothing personal and does not show whether a card
// is on the reader.
type ReaderStatus struct {
	Desk   string `json:"desk"`
	Reader string `json:"reader"`
	State  string `json:"state"` // ready, away, denied, busy, faulty, no_identity, stuck, stopped
	Since  Time   `json:"since"`
	Model  string `json:"model,omitempty"`
	SAM    string `json:"sam,omitempty"` // printed number of the security module
	Test   bool   `json:"test"`
}

// StatusEnvelope returns the envelope of a reader's status at the desk of p.
func StatusEnvelope(p Place, reader string, at time.Time) (Envelope, error) {
	id, err := NewID()
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{ID: id, Type: StatusType, Source: Source(p.DeskID, reader), Time: at,
		Subject: StatusSubject(p.DeskDivision, p.DeskID), Content: ContentJSON}, nil
}
