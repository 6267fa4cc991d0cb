package event

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Header names, lower case as other clients compare them exactly.
const (
	HeaderSpecVersion     = "ce-specversion"
	HeaderID              = "ce-id"
	HeaderSource          = "ce-source"
	HeaderType            = "ce-type"
	HeaderTime            = "ce-time"
	HeaderDataSchema      = "ce-dataschema"
	HeaderDataContentType = "ce-datacontenttype"
	HeaderSequence        = "ce-sequence"
	HeaderEpoch           = "ce-epoch"
	HeaderMsgID           = "Nats-Msg-Id"
	HeaderRequeued        = "idtap-requeued"

	ContentJSON = "application/json"
	ContentJOSE = "application/jose+json"
)

// Envelope is an event without its data: what the headers and the subject say.
// Nothing in it is personal.
type Envelope struct {
	ID      string // UUIDv7
	Type    string
	Source  string // /idtap/<desk id>/<reader>
	Time    time.Time
	Seq     uint64
	Epoch   string
	Subject string
	Content string // ContentJSON or ContentJOSE
}

// NewID makes an event id: a UUIDv7, so that ids sort by time.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("event id: %w", err)
	}
	return id.String(), nil
}

// Source is the CloudEvents source of a reader at a desk.
func Source(deskID, reader string) string { return "/idtap/" + deskID + "/" + reader }

// SchemaURL is the ce-dataschema of a type: a URN, the schema lies beside this package.
func SchemaURL(ceType string) string { return "urn:idtap:schema:" + ceType }

// TimeText is ce-time as it stands in the header and in the sealed data's
// additional authenticated data.
func (e Envelope) TimeText() string { return e.Time.UTC().Format("2006-01-02T15:04:05.000Z") }

// Headers are the message headers of the event, for nats.Header.
func (e Envelope) Headers() map[string][]string {
	return map[string][]string{
		HeaderSpecVersion:     {"1.0"},
		HeaderID:              {e.ID},
		HeaderMsgID:           {e.ID},
		HeaderSource:          {e.Source},
		HeaderType:            {e.Type},
		HeaderTime:            {e.TimeText()},
		HeaderDataSchema:      {SchemaURL(e.Type)},
		HeaderDataContentType: {e.Content},
		HeaderSequence:        {strconv.FormatUint(e.Seq, 10)},
		HeaderEpoch:           {e.Epoch},
	}
}
