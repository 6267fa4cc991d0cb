package desk

import (
	"time"

	"idtap/driver"
	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/reader"
	"idtap/reader/identity"
)

// Face is the one large state of a reader: what a clerk reads from a metre
// away. Its texts, tone and sound are in assets/texts.json and the page.
type Face string

const (
	FaceStarting   Face = "starting"
	FaceReady      Face = "ready"
	FaceFound      Face = "found"
	FaceReading    Face = "reading"
	FaceAccepted   Face = "accepted"
	FaceKept       Face = "kept"    // accepted; the bus is away, so it waits on this desk
	FaceRepeat     Face = "repeat"  // just tapped
	FaceCheck      Face = "check"   // accepted; a clerk should compare it with the card
	FaceCompare    Face = "compare" // not accepted yet: read twice alike, a clerk may compare and publish
	FacePlaceAgain Face = "place_again"
	FaceRefused    Face = "refused" // error findings: tap again
	FaceExpired    Face = "expired" // refused by policy.expired
	FaceNotID      Face = "not_id_card"
	FaceTwoCards   Face = "two_cards"
	FaceUnreadable Face = "unreadable"
	FaceFull       Face = "disk_full"
	FaceFailed     Face = "failed"
	FaceCancelled  Face = "cancelled" // the tap shown was cancelled by the clerk
	FaceLift       Face = "lift"      // the result is cleared, the card still lies there
	FaceAway       Face = "away"
	FaceDenied     Face = "denied"
	FaceBusy       Face = "busy"
	FaceFaulty     Face = "faulty"
	FaceNoIdentity Face = "no_identity"
	FaceStuck      Face = "stuck"
	FaceTelnet     Face = "telnet"
	FaceDialect    Face = "dialect"
	FaceStopped    Face = "stopped"
)

// troubles are the phases in which no card can be read. They show at once, over
// the last result: the next person's tap would not count.
var troubles = map[reader.Phase]Face{
	reader.Away:       FaceAway,
	reader.Denied:     FaceDenied,
	reader.Busy:       FaceBusy,
	reader.Faulty:     FaceFaulty,
	reader.NoIdentity: FaceNoIdentity,
	reader.Stuck:      FaceStuck,
	reader.Telnet:     FaceTelnet,
	reader.Dialect:    FaceDialect,
	reader.Stopped:    FaceStopped,
}

// misreads are the phases that end a tap without a result. Lifting the card
// does not clear them, so that a clerk who looked away still sees them.
var misreads = map[reader.Phase]Face{
	reader.PlaceAgain: FacePlaceAgain,
	reader.NotID:      FaceNotID,
	reader.Unreadable: FaceUnreadable,
}

// misread is the face of a tap that ended without a result, or "".
func misread(s reader.State) Face {
	f := misreads[s.Phase]
	if f == FacePlaceAgain && driver.SelectFailed(s.Err) {
		return FaceTwoCards
	}
	return f
}

// panel is one reader on the board.
type panel struct {
	state reader.State
	label string // what the clerk calls the reader, or ""
	// The result shown: a tap, or a misread without one. Empty since cleared.
	result Face
	tap    *tap
	at     time.Time
	// A card that was held is read again: it may be another by now. Held once
	// more, it is not; lifted, the result is no longer about what lies there.
	doubted bool
}

func (p *panel) clear() { p.result, p.tap, p.doubted = "", nil, false }

// face is what the panel shows. The queue and the bus speak through it: a full
// disk is said before the next tap is refused.
func (p panel) face(q QueueState, b BusState) Face {
	if f, ok := troubles[p.state.Phase]; ok {
		return f
	}
	shown := p.result != "" && !p.doubted
	switch {
	case p.state.Phase == reader.Found && !shown:
		return FaceFound
	case p.state.Phase == reader.Reading && !shown:
		return FaceReading
	case p.result == FaceAccepted && !b.delivers():
		return FaceKept
	case p.result != "":
		return p.result
	case misread(p.state) != "":
		return misread(p.state)
	case q.Full:
		return FaceFull
	case p.state.Phase == reader.Held:
		return FaceLift
	case p.state.Phase == reader.Starting || p.state.Phase == "":
		return FaceStarting
	}
	return FaceReady
}

// faceOf is the result that a tap shows at first.
func faceOf(t publisher.Tapped) Face {
	switch t.Outcome {
	case publisher.Accepted:
		if needsLook(t) {
			return FaceCheck
		}
		return FaceAccepted
	case publisher.Repeat:
		return FaceRepeat
	case publisher.Refused:
		switch {
		case needsLook(t):
			return FaceCompare
		case !t.Quarantined && t.Data.Document.Status == string(identity.Expired):
			return FaceExpired
		}
		return FaceRefused
	case publisher.Full:
		return FaceFull
	}
	return FaceFailed
}

// needsLook reports whether a clerk can settle the tap by comparing it with the
// printed card: a flagged record with a finding of that kind, or a quarantined
// tap that was read twice alike.
func needsLook(t publisher.Tapped) bool {
	if t.Quarantined {
		return t.Verified
	}
	if t.Outcome != publisher.Accepted || t.Data.Quality.Status != event.Flagged {
		return false
	}
	for _, f := range t.Data.Quality.Findings {
		if comparable(f.Code) {
			return true
		}
	}
	return false
}
