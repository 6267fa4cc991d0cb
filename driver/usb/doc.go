// Package usb reaches SAM modules behind USB interfaces of their own: readers
// that are neither a serial port nor PC/SC. Most desks have one of these.
//
// # Forms
//
// The SAM frame itself travels bare in both bulk forms; no host sends any control
// request beyond enumeration [SDTJ, SDSES, EPSIT, SYNJ, IDR200]:
//
//	two pipes    OUT  the whole frame            IN  the whole answer, however cut
//	four pipes   OUT  preamble, length | rest    IN  preamble, length | rest    one pipe each
//	HID, bare    64-byte reports, the frame from byte 0, what follows it is padding [SDTJ]
//	HID, Miaxis  64-byte reports with a head, a sum and at most 54 bytes of frame each [MIAXIS]
//
// Which interface and endpoints are used follows from the descriptors, never from
// numbers: readers have several interfaces, and nobody has published the
// descriptors of a real one. The ids belong to chip makers and are shared by
// unrelated products, so id, class and shape have to fit. models.csv is the table.
//
// # Errata met in the field
//
//   - An answer that a killed host did not fetch waits in the pipe and shifts all
//     later ones by one [EPSIT, SDSES, MIAXIS, SYNJ]: Open reads until silence, and
//     the module's number, which is asked for first, settles the order.
//   - Answers come in pieces and late; a zero-length packet is nothing.
//   - Exact reads overflow: requests are a whole multiple of the packet size.
//   - Rests of a HID report are zeros or rubbish and no part of the stream.
//   - A module answers up to 2.1 s after the node has appeared [YINAN, ROUTON].
//
// # Linux
//
// Bulk goes through usbfs with one asynchronous request per endpoint on Go's own
// poller: a read cut into slices of time loses the bytes of the slice it ends in.
// HID goes through hidraw and never detaches the kernel's driver. A claim (bulk)
// or a lock (HID, which has no claim) keeps a second idtap out.
// docs/decisions/usb-transport.md says why there is no libusb.
//
// A request that ends with "shut down" is no proof of an unplugged reader: sleep
// does the same. Only "no such device" is. A device is reset once per plugging at
// most, and only after three sessions in silence.
//
// Source keys are listed in docs/sources.md.
package usb
