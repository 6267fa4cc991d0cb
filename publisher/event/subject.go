package event

import "strings"

// Place is where a subject says an event belongs: the desk and the hukou
// division it is about. Divisions are six digits or "".
type Place struct {
	DeskDivision  string
	DeskID        string
	HukouDivision string
}

// Subject is the full subject of an event type at a place:
//
//	idtap.v1.<token>.<desk province>.<desk prefecture>.<desk county>.<desk id>.<hukou province>.<hukou prefecture>.<hukou county>
//
// with "_" where a division is unknown or does not apply.
func Subject(ceType string, p Place) string {
	return "idtap.v1." + Token(ceType) + "." + DeskTokens(p.DeskDivision, p.DeskID) + "." + divisionTokens(p.HukouDivision)
}

// Filter covers every event of one desk: idtap.v1.*.<desk tokens>.>
func Filter(deskDivision, deskID string) string {
	return "idtap.v1.*." + DeskTokens(deskDivision, deskID) + ".>"
}

// StatusSubject is where a desk's reader states go (core NATS, not stored).
func StatusSubject(deskDivision, deskID string) string {
	return "idtap.status.v1." + DeskTokens(deskDivision, deskID)
}

// DeskTokens are the four subject tokens that name a desk, e.g.
// 41.4101.410105.jinshui-wenhualu-03.
func DeskTokens(division, id string) string { return divisionTokens(division) + "." + id }

func divisionTokens(d string) string {
	if len(d) != 6 {
		return "_._._"
	}
	tokens := []string{d[:2], d[:4], d}
	if d[2:] == "0000" {
		tokens[1], tokens[2] = "_", "_"
	} else if d[4:] == "00" {
		tokens[2] = "_"
	}
	return strings.Join(tokens, ".")
}
