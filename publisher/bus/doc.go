// Package bus carries accepted events from the queue to a NATS JetStream
// stream: the embedded server, the connection, the stream's preflight, the
// forwarder and the micro service.
//
// The queue is the truth and the stream a destination. An event counts as
// delivered when the expected stream has acknowledged it, and an
// acknowledgement of the embedded server says no more than "kept on this desk"
// ([outbox.Ack.Local]).
//
// # Exactly once
//
// One event is in flight at a time. Every publish carries
//
//	Nats-Msg-Id                          the event id, for the stream's duplicate window
//	Nats-Expected-Stream                 the configured stream
//	Nats-Expected-Last-Subject-Sequence  where the desk's last stored event lies ...
//	Nats-Expected-Last-Subject-Sequence-Subject  ... on the desk's own filter idtap.v1.*.<desk>.>
//
// The last two are a compare-and-set: a publish whose acknowledgement was lost
// fails the second time, however long ago the first was (error 10071, on
// replicated streams also 10164). The last message on the desk's filter is then
// read back; the server takes the filter itself, wildcards and all, as the
// suffix of the direct get subject, so that a permission on exactly that subject
// is enough. That message is this event (it was stored), an earlier one of this
// desk (carry on behind it), nothing (purged or re-created: carry on from 0), or
// somebody else's: then two desks use one id, and delivery stops with
// [DeskIDInUse] until an administrator decides. See [reconcile].
//
// Where the stream or the permissions do not allow it, message ids alone are
// left, which protect within the duplicate window only; [Health.Mode] says so.
package bus
