package event

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrData reports a message body that is not the data its envelope announces.
var ErrData = errors.New("not the data of an idtap event")

// Decode returns the data of an event of type ceType, opened if it was sealed:
// *Registration, *Confirmed, *Corrected, *Cancelled, *ReaderStatus or *Receipt. It ignores
// members that it does not know, since new optional ones may come at any time, and
// does not compare values with their lists: that is the JSON Schema's part. Errors
// unwrap to ErrData and quote nothing of the data.
func Decode(ceType string, data []byte) (any, error) {
	if len(data) > maxData {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrData, maxData)
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
	case ReceiptType:
		v = new(Receipt)
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

// where describes a JSON error by position and field; the errors of encoding/json
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

// missing returns the path of the first required member that is absent.
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
	case *Receipt:
		if e.Refers == "" {
			return "refers"
		}
		return ""
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
