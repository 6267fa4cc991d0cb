package event

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"
)

// Header names, lower case as other clients compare them exactly.
const (
	headerSpecVersion     = "ce-specversion"
	HeaderID              = "ce-id"
	headerSource          = "ce-source"
	HeaderType            = "ce-type"
	headerTime            = "ce-time"
	headerDataSchema      = "ce-dataschema"
	headerDataContentType = "ce-datacontenttype"
	HeaderSequence        = "ce-sequence"
	HeaderEpoch           = "ce-epoch"
	headerSuite           = "ce-suite"     // sealed events only
	HeaderSigner          = "ce-signer"    // signed events only: a public nkey
	HeaderSignature       = "ce-signature" // signed events only: base64url
	HeaderMsgID           = "Nats-Msg-Id"
	HeaderRequeued        = "idtap-requeued"

	ContentJSON = "application/json"
	ContentJOSE = "application/jose+json"
)

const (
	specVersion  = "1.0"
	timeLayout   = "2006-01-02T15:04:05.000Z"
	sourcePrefix = "/idtap/"

	maxReader = 64
	maxEpoch  = 64
	maxSuite  = 64
)

// ErrEnvelope reports a message whose headers or subject are not those of an
// idtap event.
var ErrEnvelope = errors.New("not an idtap event")

// Envelope is an event without its data: its headers and its subject. It holds
// nothing personal.
type Envelope struct {
	ID      string // UUIDv7
	Type    string
	Source  string // /idtap/<desk id>/<reader>
	Time    time.Time
	Seq     uint64 // desk.seq, from 1; 0 for a status, which is not counted
	Epoch   string // desk.epoch; "" for a status
	Subject string
	Content string // ContentJSON or ContentJOSE
	Suite   string // of a sealed event as received; "" means SuiteP256

	Signer    string // of a signed event: public nkey (U...)
	Signature string // of a signed event: Ed25519, base64url; covers body and envelope
}

// NewID returns a new event id: a UUIDv7, so that ids sort by time.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("event id: %w", err)
	}
	return id.String(), nil
}

// Source returns the CloudEvents source of a reader at a desk. A reader's name is
// free text (PC/SC names have spaces): a run of anything but ASCII letters, digits,
// ".", "_" and "-" becomes one "-". The data's desk.reader is the name unchanged.
func Source(deskID, reader string) string {
	var b strings.Builder
	dash := false
	for _, r := range reader {
		if b.Len() == maxReader {
			break
		}
		if r < 0x80 && isReaderByte(byte(r)) {
			b.WriteRune(r)
			dash = r == '-'
		} else if !dash {
			b.WriteByte('-')
			dash = true
		}
	}
	if b.Len() == 0 {
		b.WriteByte('-')
	}
	return sourcePrefix + deskID + "/" + b.String()
}

// ParseSource returns the desk id and the reader of a CloudEvents source that
// [Source] made.
func ParseSource(source string) (deskID, reader string, ok bool) {
	rest, ok := strings.CutPrefix(source, sourcePrefix)
	if !ok {
		return "", "", false
	}
	deskID, reader, ok = strings.Cut(rest, "/")
	if !ok || !ValidDeskID(deskID) || !validReader(reader) {
		return "", "", false
	}
	return deskID, reader, true
}

// schemaURL returns the ce-dataschema of a type: a URN, see the directory schema.
func schemaURL(ceType string) string { return "urn:idtap:schema:" + ceType }

// TimeText returns ce-time as the header and the additional authenticated data
// write it: RFC 3339 in UTC with milliseconds.
func (e Envelope) TimeText() string { return e.Time.UTC().Format(timeLayout) }

// Headers returns the message headers of the event, for nats.Header.
func (e Envelope) Headers() map[string][]string {
	h := map[string][]string{
		headerSpecVersion:     {specVersion},
		HeaderID:              {e.ID},
		HeaderMsgID:           {e.ID},
		headerSource:          {e.Source},
		HeaderType:            {e.Type},
		headerTime:            {e.TimeText()},
		headerDataSchema:      {schemaURL(e.Type)},
		headerDataContentType: {e.Content},
	}
	if e.Type != StatusType {
		h[HeaderSequence] = []string{strconv.FormatUint(e.Seq, 10)}
		h[HeaderEpoch] = []string{e.Epoch}
	}
	if e.Content == ContentJOSE {
		h[headerSuite] = []string{e.suite()}
	}
	if e.Signer != "" {
		h[HeaderSigner] = []string{e.Signer}
		h[HeaderSignature] = []string{e.Signature}
	}
	return h
}

func (e Envelope) suite() string {
	if e.Suite == "" {
		return SuiteP256
	}
	return e.Suite
}

// ParseEnvelope returns the envelope of a received message. It accepts exactly
// what [Envelope.Headers] writes; other headers are ignored. An error unwraps to
// ErrEnvelope and names the header, never its value. A requeued event (header
// idtap-requeued) may have any Nats-Msg-Id.
func ParseEnvelope(header map[string][]string, subject string) (Envelope, error) {
	p := parser{header: header}
	e := Envelope{
		ID:      p.value(HeaderID),
		Type:    p.value(HeaderType),
		Source:  p.value(headerSource),
		Time:    p.time(),
		Subject: subject,
		Content: p.value(headerDataContentType),
	}
	if p.value(headerSpecVersion) != specVersion {
		p.fail(headerSpecVersion, "want "+specVersion)
	}
	if p.value(headerDataSchema) != schemaURL(e.Type) {
		p.fail(headerDataSchema, "not the schema of the type")
	}
	if e.Type != StatusType {
		e.Epoch = p.value(HeaderEpoch)
		seq, err := strconv.ParseUint(p.value(HeaderSequence), 10, 64)
		if err != nil || strconv.FormatUint(seq, 10) != p.value(HeaderSequence) {
			p.fail(HeaderSequence, "want a decimal number")
		}
		e.Seq = seq
	}
	if len(header[headerSuite]) > 0 {
		e.Suite = p.value(headerSuite)
	}
	if len(header[HeaderSigner])+len(header[HeaderSignature]) > 0 {
		e.Signer, e.Signature = p.value(HeaderSigner), p.value(HeaderSignature)
		if e.Signer == "" {
			p.fail(HeaderSigner, "empty")
		}
	}
	if _, requeued := header[HeaderRequeued]; !requeued && len(header[HeaderMsgID]) > 0 && p.value(HeaderMsgID) != e.ID {
		p.fail(HeaderMsgID, "differs from "+HeaderID)
	}
	if p.err != nil {
		return Envelope{}, p.err
	}
	if err := e.Validate(); err != nil {
		return Envelope{}, err
	}
	return e, nil
}

// Validate reports what is wrong with an envelope: the form of each attribute, and
// whether subject, type and source agree. An error unwraps to ErrEnvelope.
func (e Envelope) Validate() error {
	if !known(e.Type) {
		return fieldError(HeaderType, "unknown type")
	}
	if !validID(e.ID) {
		return fieldError(HeaderID, "want a UUIDv7 in lower case")
	}
	desk, _, ok := ParseSource(e.Source)
	if !ok {
		return fieldError(headerSource, "want /idtap/<desk id>/<reader>")
	}
	if y := e.Time.UTC().Year(); y < 1 || y > 9999 {
		return fieldError(headerTime, "want a year of four digits")
	}
	ceType, place, err := ParseSubject(e.Subject)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrEnvelope, err)
	case ceType != e.Type:
		return fieldError("subject", "its token is not that of the type")
	case place.DeskID != desk:
		return fieldError("subject", "its desk id is not that of the source")
	}
	if e.Type != StatusType {
		if e.Seq == 0 {
			return fieldError(HeaderSequence, "want 1 or more")
		}
		if !validEpoch(e.Epoch) {
			return fieldError(HeaderEpoch, "want 1 to 64 letters, digits, - and _")
		}
	}
	if e.Signer != "" || e.Signature != "" {
		if !nkeys.IsValidPublicUserKey(e.Signer) {
			return fieldError(HeaderSigner, "want a public user nkey")
		}
		if sig, err := unbase64(e.Signature); err != nil || len(sig) != ed25519.SignatureSize {
			return fieldError(HeaderSignature, "want 64 bytes in base64url")
		}
	}
	switch e.Content {
	case ContentJSON:
		if e.Suite != "" {
			return fieldError(headerSuite, "sealed events only")
		}
	case ContentJOSE:
		if len(e.Suite) > maxSuite {
			return fieldError(headerSuite, "too long")
		}
	default:
		return fieldError(headerDataContentType, "want "+ContentJSON+" or "+ContentJOSE)
	}
	return nil
}

// parser reads single-valued headers and keeps the first error.
type parser struct {
	header map[string][]string
	err    error
}

func (p *parser) fail(name, reason string) {
	if p.err == nil {
		p.err = fieldError(name, reason)
	}
}

func (p *parser) value(name string) string {
	v := p.header[name]
	switch {
	case len(v) == 0:
		p.fail(name, "missing (names are compared exactly)")
		return ""
	case len(v) > 1:
		p.fail(name, "more than one value")
		return ""
	}
	return v[0]
}

// time accepts only the form that TimeText writes: the text is part of what is
// authenticated, so there must be one text per moment.
func (p *parser) time() time.Time {
	text := p.value(headerTime)
	t, err := time.Parse(timeLayout, text)
	if err != nil || t.Format(timeLayout) != text {
		p.fail(headerTime, "want RFC 3339 in UTC with milliseconds")
	}
	return t
}

func fieldError(name, reason string) error {
	return fmt.Errorf("%w: %s: %s", ErrEnvelope, name, reason)
}

func validID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.Version() == 7 && id.Variant() == uuid.RFC4122 && id.String() == s
}

func validReader(s string) bool {
	if s == "" || len(s) > maxReader {
		return false
	}
	for _, c := range []byte(s) {
		if !isReaderByte(c) {
			return false
		}
	}
	return true
}

func isReaderByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

func validEpoch(s string) bool {
	if s == "" || len(s) > maxEpoch {
		return false
	}
	for _, c := range []byte(s) {
		if !isReaderByte(c) || c == '.' {
			return false
		}
	}
	return true
}
