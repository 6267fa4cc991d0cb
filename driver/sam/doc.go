// Package sam speaks to the security module of an ID-card reader.
//
// # Frames
//
// The protocol is the common module interface of GA 450-era readers, here as
// [EAST], [SOFTS], [LIBSAMV] and [SDTC] describe it independently:
//
//	host -> SAM   AA AA AA 96 69 | len hi lo | CMD PARA     | data | XOR
//	SAM -> host   AA AA AA 96 69 | len hi lo | SW1 SW2 SW3  | data | XOR
//
// The length is big-endian and counts everything after itself, the XOR byte
// included. The XOR runs over length, codes and data, so that length..XOR
// together XOR to zero. A request has at least 10 bytes, an answer 11.
//
// Endianness is mixed: frame lengths are big-endian, text is UTF-16LE, the
// fields of the SAM id are little-endian.
//
// # Errata met in the field
//
//   - The first sync byte may be missing or doubled; only AA AA 96 69 is relied
//     on [SDTJ].
//   - Other protocols share the line: STX..ETX blocks [LIBID2, YINAN], CCID-like
//     messages [MINS], ASCII. [Sniffer] skips them.
//   - A vendor's time-out answer declares more bytes than it sends [CW]: a length
//     may never arrive.
//   - Find succeeds with 9F, everything else with 90; the card numbers in find
//     and select answers are zero in every published answer but need not be.
//   - The first find after a card is placed may say 80 [SDTC, DELPHI].
//   - The module answers nothing, or its id wrongly, for about 2 s after power-up
//     [YINAN, ROUTON].
//   - Command 60 stores a baud rate in the module and codes from 80 on can write
//     its flash: this package has no way to send either.
//
// # Waiting
//
// Every command has a bound that grows with the wire time. A module that is
// silent for much longer than it lately was is asked whether it is there, and a
// command that it did not take up is repeated at once:
// docs/decisions/patience.md.
//
// Source keys are listed in docs/sources.md.
package sam
