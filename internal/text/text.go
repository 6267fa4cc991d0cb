package text

import (
	"fmt"
	"strings"
)

// Lang is a language of the product.
type Lang = string

// The languages.
const (
	Zh Lang = "zh"
	En Lang = "en"
)

// Known reports whether lang is a language of the product.
func Known(lang Lang) bool { return lang == Zh || lang == En }

// Locale returns the language of the environment's locale: Zh for a Chinese one,
// else En. LC_ALL goes before LC_MESSAGES, that before LANG, as POSIX has it.
func Locale(getenv func(string) string) Lang {
	for _, key := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(key); v != "" {
			if strings.HasPrefix(v, "zh") {
				return Zh
			}
			return En
		}
	}
	return En
}

// Text is a sentence in both languages.
type Text struct {
	Zh string `json:"zh"`
	En string `json:"en"`
}

// In returns the text in a language: Chinese for Zh, else English.
func (t Text) In(lang Lang) string {
	if lang == Zh {
		return t.Zh
	}
	return t.En
}

// IsZero reports whether there is no text.
func (t Text) IsZero() bool { return t == Text{} }

// Plain returns a text that is the same in both languages: a name, a number, a
// path.
func Plain(s string) Text { return Text{Zh: s, En: s} }

// With returns the text with its verbs filled in. A Text or an error among the
// arguments appears in the language of the sentence.
func (t Text) With(args ...any) Text {
	if len(args) == 0 {
		return t
	}
	return Text{Zh: fmt.Sprintf(t.Zh, in(Zh, args)...), En: fmt.Sprintf(t.En, in(En, args)...)}
}

// Join returns the texts that are not empty with a separator between them, "；"
// in Chinese and "; " in English.
func Join(list ...Text) Text {
	var zh, en []string
	for _, t := range list {
		if !t.IsZero() {
			zh, en = append(zh, t.Zh), append(en, t.En)
		}
	}
	return Text{Zh: strings.Join(zh, "；"), En: strings.Join(en, "; ")}
}

// in renders the arguments that have languages.
func in(lang Lang, args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case Text:
			out[i] = a.In(lang)
		case error:
			out[i] = Of(a, lang)
		default:
			out[i] = a
		}
	}
	return out
}
