// Package text holds what people are told, in Chinese and English.
//
// Every package that tells people something owns one data file, texts.json,
// beside its code. A translator or a clerk reads and corrects it without Go:
//
//	{
//	  "free": {"zh": "剩余 %d MiB", "en": "%d MiB free"},
//	  "disk_full": {
//	    "title": {"zh": "磁盘空间不足，不能登记", "en": "The disk is full: taps are refused"},
//	    "why": {"zh": "…", "en": "…"},
//	    "do": {"zh": "…", "en": "…"},
//	    "who": "technician"
//	  }
//	}
//
// A key is a published code (what a finding, a state or an answer of the API is
// called) and then has title, why, do and who, or it names a plain message and
// has the two languages only. A part of an entry may also be the key of a message
// of the same file in quotes: what is told about several codes is written once.
// Messages may hold the verbs of package fmt, the
// same ones in both languages, in another order as %[2]s.
//
// The owner loads its file into a variable called texts, in a file texts.go:
//
//	//go:embed texts.json
//	var textsFile []byte
//
//	var texts = text.MustLoad("outbox", textsFile)
//
// and uses it by constant keys:
//
//	texts.Entry("disk_full")             // title, why, do and who
//	texts.Say("free", free>>20)          // a Text; In(lang) chooses the language
//	texts.Errorf("no_queue", dir, err)   // an error, English by Error, any language by Of
//
// A [Text] or an error among the arguments is rendered in the language of the
// sentence around it. Nobody formats a Text with package fmt before it reaches
// the person: the language is chosen once, where it is printed.
//
// TestBooks reads the source of every owner: a key without
// a text, a text without a key, a language that is missing and verbs that differ
// fail there.
package text
