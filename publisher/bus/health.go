package bus

import (
	"slices"
	"time"
)

// Code says why events are not delivered, or what is wrong with the stream. The
// texts for people stand in the catalogue of codes.
type Code string

// Why nothing is delivered. Every one of them keeps the events in the queue.
const (
	Unreachable      Code = "bus_unreachable"       // no connection: network, server down
	AuthFailed       Code = "bus_auth"              // the server refuses the credentials
	CredsUnreadable  Code = "bus_creds_unreadable"  // a credential file cannot be read or parsed
	TLSFailed        Code = "bus_tls"               // handshake, authority or certificate files
	EmbeddedFailed   Code = "bus_embedded_failed"   // the embedded server does not start
	NoAnswer         Code = "bus_no_answer"         // published, no acknowledgement in time
	PublishDenied    Code = "bus_publish_denied"    // no permission for the event's subject
	NoStream         Code = "bus_no_stream"         // the stream does not exist or does not take the subject
	WrongStream      Code = "bus_wrong_stream"      // another stream acknowledged or holds the subject
	EventTooLarge    Code = "bus_event_too_large"   // a limit of the server or the stream refuses an event
	StreamFull       Code = "bus_stream_full"       // limits reached with discard=new
	StreamDown       Code = "bus_stream_down"       // JetStream or its storage is unavailable
	StreamUnfit      Code = "bus_stream_unfit"      // strict mode and a failed preflight
	StreamRefused    Code = "bus_stream_refused"    // another error of the stream
	DeskIDInUse      Code = "desk_id_in_use"        // somebody else publishes under this desk's id
	SealFailed       Code = "bus_seal_failed"       // the recipients' keys do not work
	QueueFailed      Code = "queue_failed"          // the queue cannot be read or written
	ChainInterrupted Code = "bus_chain_interrupted" // the stream moved under us; the next attempt resolves it
)

// What the preflight and the expiry watch find.
const (
	StreamUnseen     Code = "stream_unseen"         // no permission to look at the stream
	StreamMemory     Code = "stream_memory"         // memory storage
	StreamRetention  Code = "stream_retention"      // not limits: interest drops what nobody listens to
	StreamDiscardOld Code = "stream_discard_old"    // limits throw away the oldest without a word
	StreamNoAck      Code = "stream_no_ack"         // never acknowledges
	StreamAsync      Code = "stream_async_persist"  // acknowledges before it is on disk
	StreamMsgSize    Code = "stream_msg_size"       // max_msg_size too small for an event
	SmallPayload     Code = "bus_max_payload"       // the server's max_payload is too small for an event
	StreamReplicas   Code = "stream_replicas"       // fewer copies than configured
	StreamWindow     Code = "stream_window"         // duplicate window shorter than two minutes
	StreamSubjects   Code = "stream_subjects"       // does not take this desk's subjects
	StreamReadOnly   Code = "stream_read_only"      // sealed or a mirror
	StreamNoDirect   Code = "stream_no_direct"      // allow_direct off: lost acks cannot be resolved
	DirectDenied     Code = "stream_direct_denied"  // no permission for the direct get of the own filter
	CertExpires      Code = "bus_cert_expires"      // client certificate, within ExpiryWarning
	CertExpired      Code = "bus_cert_expired"      //
	ServerCertExpiry Code = "bus_server_cert_soon"  // the server's certificate, within ExpiryWarning
	CredsExpire      Code = "bus_creds_expire"      // the credentials' JWT, within ExpiryWarning
	CredsExpired     Code = "bus_creds_expired"     //
	StoreSetAside    Code = "embedded_store_reset"  // the embedded store did not open and was set aside
	Unsealed         Code = "bus_unsealed"          // bodies go to a server elsewhere as they are
	Stranger         Code = "bus_stranger"          // a message on this desk's subjects that is none of a desk
	Backlog          Code = "bus_backlog"           // connected, and what waits does not become less
	StreamShared     Code = "stream_shared_account" // AccountShared
	AccountNotAsked  Code = "bus_account_unchecked" // AccountUnchecked
	AccountsTogether Code = "accounts_together"     // server file: stream and desks share an account, or strangers sit where the stream is
	AccountsOpen     Code = "accounts_open"         // server file: an export for anybody, or of more than is needed
	AccountsMissing  Code = "accounts_missing"      // server file: an export or import that desks, registries or monitors need
	ServiceDenied    Code = "bus_service_denied"    // no permission for the micro service's subjects
)

// ExpiryWarning is how long before their end certificates and credentials are
// reported.
const ExpiryWarning = 14 * 24 * time.Hour

// How duplicates are kept out of the stream.
const (
	ModeChain = "chain" // compare-and-set on the desk's own filter: exactly once, however long the outage
	ModeMsgID = "msgid" // message ids only: exactly once within the stream's duplicate window
)

// Problem is something wrong that stops nothing unless strict mode is on.
type Problem struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"` // facts without personal data, e.g. "num_replicas 1, want 3"
}

// NotConnected is Health.Detail while no attempt to connect has failed yet.
const NotConnected = "not connected"

// Health is the bus at one moment. Nothing in it is personal or secret.
type Health struct {
	Connected bool      `json:"connected"`
	URL       string    `json:"url,omitempty"`    // the server in use, without credentials; empty: embedded
	Listen    string    `json:"listen,omitempty"` // where the embedded server also listens
	Stream    string    `json:"stream"`
	Local     bool      `json:"local"`            // the embedded server: events are kept on this desk, not sent
	Mode      string    `json:"mode,omitempty"`   // ModeChain or ModeMsgID; empty until the stream was seen
	Code      Code      `json:"code,omitempty"`   // why nothing is delivered; empty: nothing hinders it
	Detail    string    `json:"detail,omitempty"` // of Code
	Since     time.Time `json:"since"`            // of Code, or of its absence
	LastAck   time.Time `json:"last_ack,omitzero"`
	Acked     uint64    `json:"acked"`    // since start
	Dead      uint64    `json:"dead"`     // moved to the dead letters since start
	Connects  uint64    `json:"connects"` // connections made since start
	Problems  []Problem `json:"problems,omitempty"`
	Account   string    `json:"account,omitempty"` // how the desk's account and the stream's lie to each other; empty: embedded, or not seen yet

	CertExpiry       time.Time `json:"cert_expiry,omitzero"`
	ServerCertExpiry time.Time `json:"server_cert_expiry,omitzero"`
	CredsExpiry      time.Time `json:"creds_expiry,omitzero"`

	// Problems by who found them.
	preflight, dates, service, store, account, strangers, backlog, unsealed []Problem
}

// Warnings are the problems and what is wrong with the account.
func (h Health) Warnings() []Problem { return slices.Concat(h.Problems, h.account) }

// Delivering reports whether nothing stands between the queue and the stream.
func (h Health) Delivering() bool { return h.Connected && h.Code == "" }

// sameState reports whether a and b differ in nothing but counters.
func sameState(a, b Health) bool {
	return slices.Equal(a.Problems, b.Problems) && slices.Equal(a.account, b.account) && a.Account == b.Account && a.Connected == b.Connected && a.URL == b.URL && a.Listen == b.Listen && a.Mode == b.Mode &&
		a.Code == b.Code && a.Detail == b.Detail && a.CertExpiry.Equal(b.CertExpiry) &&
		a.ServerCertExpiry.Equal(b.ServerCertExpiry) && a.CredsExpiry.Equal(b.CredsExpiry)
}
