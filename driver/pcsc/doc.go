// Package pcsc reaches readers through the machine's PC/SC service: pcscd on
// Unix, the smart card service on Windows.
//
// PC/SC says nothing of ID cards: how a reader with a security module passes
// what the module reads is its maker's own affair. So every reader has a
// profile:
//
//	paged    pseudo-APDU FF B0 pp 00 00, pages 0..5 of 256 bytes: together the
//	         data of the module's answer to 30 01 [READINFO]
//	apdu     SAM frames as the data of a pseudo-APDU with a configured header
//	escape   SAM frames through SCardControl with a configured code
//	uid      an ordinary contactless reader: it cannot read identity
//	auto     the table of known models, else what a page read shows
//
// Only paged is in a public source, once; no public source has an envelope for
// whole frames, so apdu and escape are as configured. Addresses appended to a
// card (30 03) cannot be read through paged. ATRs of readers with a module are
// the makers' own inventions: one may name a model, none is needed.
//
// # What PC/SC does to a program
//
// A call may hang in a reader's driver for good and cannot be called back; a
// context is dead for ever once its service died, and everything on it blocks
// while another call on it does. So a device asks for states on one context and
// reads each card on another; every call has a bound, after which its context
// is left to it and the reader counts as stuck until it comes back; contexts
// are thrown away with the first error of the service. States are asked, never
// waited for: docs/decisions/pcsc-backends.md says why, and what the backends
// are.
//
// Source keys are listed in docs/sources.md, codes of the service and what to do
// about them in docs/pcsc.md.
package pcsc
