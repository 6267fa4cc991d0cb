package event

import (
	"errors"
	"fmt"
	"strings"
)

// ErrSubject reports a subject that idtap does not publish on.
var ErrSubject = errors.New("not an idtap subject")

const (
	eventPrefix  = "idtap.v1."
	statusPrefix = "idtap.status.v1."

	maxDeskID = 40
)

// Place is what a subject says about an event: its desk and the hukou division that
// it concerns. Divisions are six digits or "".
type Place struct {
	DeskDivision  string
	DeskID        string
	HukouDivision string
}

// Subject returns the subject of an event:
//
//	idtap.v1.<token>.<desk province>.<desk prefecture>.<desk county>.<desk id>.<hukou province>.<hukou prefecture>.<hukou county>
//
// with "_" where a division is unknown or does not apply.
func Subject(ceType string, p Place) string {
	return eventPrefix + Token(ceType) + "." + DeskTokens(p.DeskDivision, p.DeskID) + "." + divisionTokens(p.HukouDivision)
}

// SubjectOf returns the subject of an event of another type about the same
// places as the event on subject.
func SubjectOf(subject, ceType string) string {
	rest, ok := strings.CutPrefix(subject, eventPrefix)
	if !ok {
		return subject
	}
	_, places, ok := strings.Cut(rest, ".")
	if !ok {
		return subject
	}
	return eventPrefix + Token(ceType) + "." + places
}

// Filter returns the subject filter of all events of one desk:
// idtap.v1.*.<desk tokens>.>
func Filter(deskDivision, deskID string) string {
	return eventPrefix + "*." + DeskTokens(deskDivision, deskID) + ".>"
}

// StatusSubject returns the subject of a desk's reader states (core NATS, not
// stored).
func StatusSubject(deskDivision, deskID string) string {
	return statusPrefix + DeskTokens(deskDivision, deskID)
}

// DeskTokens returns the four subject tokens of a desk, e.g.
// 41.4101.410105.jinshui-wenhualu-03.
func DeskTokens(division, id string) string { return divisionTokens(division) + "." + id }

// ShownHukou returns what a subject shows of a hukou division at a level, one of the
// values of nats.subject_hukou: county (all of it), province, or none.
func ShownHukou(division, level string) string {
	switch {
	case !isDivision(division):
		return ""
	case level == "county":
		return division
	case level == "province":
		return division[:2] + "0000"
	}
	return ""
}

// ValidDeskID reports whether a desk id can be a subject token and part of
// ce-source: [a-z0-9-]{1,40}.
func ValidDeskID(id string) bool {
	if id == "" || len(id) > maxDeskID {
		return false
	}
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// ParseSubject returns the event type and the place of a subject of [Subject] or
// [StatusSubject]. A province or prefecture is padded with zeros, as in GB/T 2260.
// Errors unwrap to ErrSubject.
func ParseSubject(subject string) (ceType string, p Place, err error) {
	if rest, ok := strings.CutPrefix(subject, statusPrefix); ok {
		t := strings.Split(rest, ".")
		if len(t) != 4 {
			return "", Place{}, fmt.Errorf("%w: %d tokens after %q, want 4", ErrSubject, len(t), statusPrefix)
		}
		if p.DeskDivision, p.DeskID, err = parseDesk(t); err != nil {
			return "", Place{}, err
		}
		return StatusType, p, nil
	}
	rest, ok := strings.CutPrefix(subject, eventPrefix)
	if !ok {
		return "", Place{}, fmt.Errorf("%w: want the prefix %q or %q", ErrSubject, eventPrefix, statusPrefix)
	}
	t := strings.Split(rest, ".")
	if len(t) != 8 {
		return "", Place{}, fmt.Errorf("%w: %d tokens after %q, want 8", ErrSubject, len(t), eventPrefix)
	}
	for _, known := range registrationTypes {
		if Token(known) == t[0] {
			ceType = known
		}
	}
	if ceType == "" {
		return "", Place{}, fmt.Errorf("%w: unknown event token", ErrSubject)
	}
	if p.DeskDivision, p.DeskID, err = parseDesk(t[1:5]); err != nil {
		return "", Place{}, err
	}
	if p.HukouDivision, err = parseDivision(t[5:8]); err != nil {
		return "", Place{}, fmt.Errorf("%w: hukou division: %v", ErrSubject, err)
	}
	return ceType, p, nil
}

func parseDesk(t []string) (division, id string, err error) {
	if division, err = parseDivision(t[:3]); err != nil {
		return "", "", fmt.Errorf("%w: desk division: %v", ErrSubject, err)
	}
	if !ValidDeskID(t[3]) {
		return "", "", fmt.Errorf("%w: desk id: want 1 to %d of a-z, 0-9 and -", ErrSubject, maxDeskID)
	}
	return division, t[3], nil
}

// undivided are the prefecture-level cities without districts, which are their own
// county-level unit: 441900 is the whole code of a Dongguan card.
var undivided = map[string]bool{"441900": true, "442000": true, "460400": true, "620200": true}

// divisionTokens returns the province, prefecture and county tokens of a division.
func divisionTokens(d string) string {
	if !isDivision(d) || d[:2] == "00" {
		return "_._._"
	}
	tokens := []string{d[:2], d[:4], d}
	if d[2:] == "0000" {
		tokens[1], tokens[2] = "_", "_"
	} else if d[4:] == "00" && !undivided[d] {
		tokens[2] = "_"
	}
	return strings.Join(tokens, ".")
}

// parseDivision is the inverse of divisionTokens; it accepts nothing else.
func parseDivision(t []string) (string, error) {
	var d string
	switch {
	case t[0] == "_":
	case t[1] == "_":
		d = t[0] + "0000"
	case t[2] == "_":
		d = t[1] + "00"
	default:
		d = t[2]
	}
	if divisionTokens(d) != strings.Join(t, ".") {
		return "", errors.New("want codes of 2, 4 and 6 digits of one division, _ where unknown")
	}
	return d, nil
}

func isDivision(d string) bool {
	if len(d) != 6 {
		return false
	}
	for _, c := range []byte(d) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
