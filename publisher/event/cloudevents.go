package event

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// cloudEvent is an event in the JSON format of CloudEvents 1.0, with the NATS
// subject as its subject.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	Subject     string          `json:"subject"`
	Time        string          `json:"time"`
	Sequence    string          `json:"sequence,omitempty"`
	Epoch       string          `json:"epoch,omitempty"`
	Schema      string          `json:"dataschema"`
	Content     string          `json:"datacontenttype"`
	Suite       string          `json:"suite,omitempty"`
	Signer      string          `json:"signer,omitempty"`
	Signature   string          `json:"signature,omitempty"`
	Data        json.RawMessage `json:"data"`
}

// MarshalCloudEvent returns an event in one piece: the JSON event format of
// CloudEvents 1.0 (structured mode) on one line, with the NATS subject as its
// subject. data is the JSON of the event or its sealed form, as the envelope's
// content type says.
func MarshalCloudEvent(env Envelope, data []byte) ([]byte, error) {
	e := cloudEvent{
		SpecVersion: specVersion, ID: env.ID, Type: env.Type, Source: env.Source, Subject: env.Subject,
		Time: env.TimeText(), Epoch: env.Epoch, Schema: schemaURL(env.Type), Content: env.Content, Suite: env.Suite,
		Signer: env.Signer, Signature: env.Signature, Data: data,
	}
	if env.Seq > 0 {
		e.Sequence = strconv.FormatUint(env.Seq, 10)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: not JSON", ErrData)
	}
	return text, nil
}
