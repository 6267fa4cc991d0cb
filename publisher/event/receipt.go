package event

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// ReceiptType is the type of a registry's answer about one event. Receipts are no
// desk's events: they go the other way, on a stream of their own.
const ReceiptType = "idtap.receipt.v1"

// States of a receipt. Others may come; they are shown as text.
const (
	Received          = "received"           // stored; the registry answers for it
	Duplicate         = "duplicate"          // stored, as another sighting of somebody known there
	NeedsVerification = "needs_verification" // stored, but somebody must look
	Rejected          = "rejected"           // not stored; a later revision may say otherwise
)

// Receipt is the data of a receipt. Of one event and one registry the highest
// revision stands. It holds nothing personal and is never sealed.
type Receipt struct {
	Refers      string   `json:"refers"` // id of the event, recorded or follow-up
	Registry    Registry `json:"registry"`
	State       string   `json:"state"`
	Code        string   `json:"code,omitempty"`         // of a finding, or the registry's own (registry_...)
	Field       string   `json:"field,omitempty"`        // path in the event's data
	DuplicateOf string   `json:"duplicate_of,omitempty"` // the registry's own opaque reference, with duplicate only
	Text        string   `json:"text,omitempty"`         // for the clerk, at most 200 characters, never personal
	At          Time     `json:"at"`
	Revision    uint64   `json:"revision"` // from 1
}

// Registry is who answers.
type Registry struct {
	ID   string `json:"id"` // as in the subject: [a-z0-9-]{1,40}
	Name string `json:"name,omitempty"`
}

const receiptPrefix = "idtap.receipt.v1."

// ReceiptSubject returns the subject of a registry's receipts to one desk:
//
//	idtap.receipt.v1.<desk province>.<desk prefecture>.<desk county>.<desk id>.<registry id>
//
// A registry may publish on idtap.receipt.v1.*.*.*.*.<its id> and on nothing else, so
// the bus vouches for who answers.
func ReceiptSubject(deskDivision, deskID, registry string) string {
	return receiptPrefix + DeskTokens(deskDivision, deskID) + "." + registry
}

// ReceiptFilter returns the subject filter of all receipts to one desk.
func ReceiptFilter(deskDivision, deskID string) string {
	return ReceiptSubject(deskDivision, deskID, "*")
}

// ReceiptID returns the id of a receipt, its ce-id and Nats-Msg-Id: a UUIDv5 of
// registry, event, state and revision, so that one said twice is one.
func ReceiptID(r Receipt) string {
	name := strings.Join([]string{r.Registry.ID, r.Refers, r.State, strconv.FormatUint(r.Revision, 10)}, "\n")
	return uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:idtap:receipt")), []byte(name)).String()
}

// ReceiptHeaders returns the headers of a receipt, as a registry publishes it.
func ReceiptHeaders(r Receipt) map[string][]string {
	return map[string][]string{
		headerSpecVersion: {specVersion}, HeaderID: {ReceiptID(r)}, HeaderType: {ReceiptType}, headerSource: {"/idtap/registry/" + r.Registry.ID},
		headerTime: {r.At.UTC().Format(timeLayout)}, headerDataSchema: {schemaURL(ReceiptType)}, headerDataContentType: {ContentJSON}, HeaderMsgID: {ReceiptID(r)},
	}
}

var (
	isEventID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString
	isState   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`).MatchString
)

// ParseReceipt reads a receipt from its subject and data. The subject says who
// answers: a receipt in another registry's name is refused. A state that is not
// known passes. Errors unwrap to ErrData or ErrSubject and quote nothing.
func ParseReceipt(subject string, data []byte) (Receipt, error) {
	rest, ok := strings.CutPrefix(subject, receiptPrefix)
	t := strings.Split(rest, ".")
	if !ok || len(t) != 5 || !ValidDeskID(t[4]) {
		return Receipt{}, fmt.Errorf("%w: want %s<desk>.<registry>", ErrSubject, receiptPrefix)
	}
	if _, _, err := parseDesk(t[:4]); err != nil {
		return Receipt{}, err
	}
	var r Receipt
	if len(data) > maxReceipt {
		return Receipt{}, fmt.Errorf("%w: longer than %d bytes", ErrData, maxReceipt)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Receipt{}, fmt.Errorf("%w: %s", ErrData, where(err))
	}
	switch {
	case r.Registry.ID != t[4]:
		return Receipt{}, fmt.Errorf("%w: registry.id is not the subject's", ErrData)
	case !isEventID(r.Refers):
		return Receipt{}, fmt.Errorf("%w: refers is no event's id", ErrData)
	case !isState(r.State):
		return Receipt{}, fmt.Errorf("%w: no state", ErrData)
	case r.Revision == 0:
		return Receipt{}, fmt.Errorf("%w: no revision", ErrData)
	}
	return r, nil
}

// maxReceipt bounds a receipt: nothing in it is long.
const maxReceipt = 8 << 10

// Supersedes reports whether r stands instead of earlier, a receipt of the same
// registry about the same event.
func (r Receipt) Supersedes(earlier Receipt) bool { return r.Revision > earlier.Revision }

// Counts reports whether a receipt says that the registry has the event, for the
// receipt rate.
func (r Receipt) Counts() bool {
	return r.State == Received || r.State == Duplicate || r.State == NeedsVerification
}
