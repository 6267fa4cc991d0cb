package reader

import "idtap/driver/diagnosis"

// Entries explains every phase that people can see, and [None].
func Entries() []diagnosis.Entry {
	list := make([]diagnosis.Entry, len(phases))
	for i, p := range phases {
		list[i] = diagnosis.NewEntry(texts, string(p.phase), p.level)
	}
	return append(list, None)
}

// Explain gives the entry of a phase.
func Explain(p Phase) (diagnosis.Entry, bool) {
	for _, e := range Entries() {
		if e.Code == string(p) {
			return e, true
		}
	}
	return diagnosis.Entry{}, false
}

// phases are the levels of the phases; their texts are in texts.json.
var phases = []struct {
	phase Phase
	level diagnosis.Level
}{
	{Starting, diagnosis.OK},
	{Ready, diagnosis.OK},
	{Found, diagnosis.OK},
	{Reading, diagnosis.OK},
	{Held, diagnosis.OK},
	{PlaceAgain, diagnosis.Warning},
	{NotID, diagnosis.Warning},
	{Unreadable, diagnosis.Warning},
	{Away, diagnosis.Critical},
	{Denied, diagnosis.Critical},
	{Busy, diagnosis.Critical},
	{Faulty, diagnosis.Critical},
	{NoIdentity, diagnosis.Critical},
	{Stuck, diagnosis.Critical},
	{Telnet, diagnosis.Critical},
	{Dialect, diagnosis.Critical},
	{Stopped, diagnosis.Critical},
}

// None means that the desk has no reader at all.
var None = diagnosis.NewEntry(texts, "reader_none", diagnosis.Critical,
	"pcsc_no_service", "pcsc_denied", "pcsc_silent", "reader_no_sam", "usb_driver_missing", "usb_held")
