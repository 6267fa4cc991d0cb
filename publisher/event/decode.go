package event

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrData is a message body that is not the data its envelope promises.
var ErrData = errors.New("not the data of an idtap event")

// Decode reads the data of an event of type ceType, opened if it was sealed:
// *Registration, *Confirmed, *Corrected, *Cancelled or *ReaderStatus. Members
// that this version does not know are passed over, since new optional ones may
// come at any time. Whether values keep to their lists is the JSON Schema's to
// say. Errors unwrap to ErrData and repeat nothing of the data.
func Decode(ceType string, data []byte) (any, error) {
	if len(data) > MaxData {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrData, MaxData)
	}
	var v any
	switch ceType {
	case RecordedType:
		v = new(Registration)
	case ConfirmedType:
		v = new(Confirmed)
	case CorrectedType:
		v = new(Corrected)
	case CancelledType:
		v = new(Cancelled)
	case StatusType:
		v = new(ReaderStatus)
	default:
		return nil, fmt.Errorf("%w: unknown type", ErrData)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrData, where(err))
	}
	if missing := missing(v); missing != "" {
		return nil, fmt.Errorf("%w: no %s", ErrData, missing)
	}
	return v, nil
}

// where says what is wrong by position and field; the errors of encoding/json
// may quote the data.
func where(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("%s is of another kind", kind.Field)
	}
	return "no JSON object of the type"
}

// missing names the first member without which the data says nothing.
func missing(v any) string {
	var desk Desk
	refers := "-"
	switch e := v.(type) {
	case *Registration:
		desk = e.Desk
		if e.Document.Kind == "" {
			return "document.kind"
		}
	case *Confirmed:
		desk, refers = e.Desk, e.Refers
	case *Corrected:
		desk, refers = e.Desk, e.Refers
	case *Cancelled:
		desk, refers = e.Desk, e.Refers
	case *ReaderStatus:
		if e.State == "" {
			return "state"
		}
		return ""
	}
	switch {
	case desk.ID == "":
		return "desk.id"
	case desk.Seq == 0:
		return "desk.seq"
	case refers == "":
		return "refers"
	}
	return ""
}
