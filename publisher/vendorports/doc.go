// Package vendorports answers the calls that web pages make to the local
// services of reader vendors, so that such pages read from idtap's readers
// unchanged: 19196 (华视, /readcard), 8989 (新中新, /api/ReadMsg) and 18889 (精伦,
// /api/readCert).
//
// No vendor's service was run for it. Paths, text forms and values are those
// that public pages rely on [vendor-ports: XZX, 8a-8o, 19a-19q, 18a-18j]: the
// text form is part of the contract, because pages parse it with regular
// expressions; every error to an allowed page is HTTP 200 with a code in the
// body, because pages take anything else for a missing driver.
//
// Who may ask is decided before anything else: the host, then the Origin, or for
// JSONP the Referer, against a list that has no wildcard. A program may forge
// both: on these ports any local program that tries gets whole data, which is
// why they are off by default and on loopback only. Data is answered only while
// the card lies on the reader, and three seconds after. Reading changes nothing:
// no device command, no event, no state.
package vendorports
