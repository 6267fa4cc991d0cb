// Package event is the public contract: what idtap publishes, and in which form.
//
// An event is a CloudEvents 1.0 event in binary mode over NATS: lower-case ce-
// headers carry the attributes, the message body carries the data. [ParseEnvelope]
// reads the headers, [Open] decrypts a sealed body (a JWE, RFC 7516), [Decode]
// reads the data, [Verify] checks the desk's signature against a list of trusted
// keys ([ParseTrust]), [MarshalCloudEvent] writes an event in the JSON event format.
// The JSON Schemas (2020-12) of the data and an AsyncAPI 3 document are in this
// directory and are checked against real events by tests; docs/events.md is the
// guide for integrators.
//
// Subjects, headers and ids hold nothing personal. The version is part of the
// type; a new optional member is not a new version.
//
// The package imports no other package of the project but internal/text.
package event
