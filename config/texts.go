package config

import (
	_ "embed"

	"idtap/internal/text"
)

//go:embed texts.json
var textsFile []byte

var texts = text.MustLoad("config", textsFile)

// Text is a sentence in both languages, see package text.
type Text = text.Text

// valueError is why a value cannot be read from its text.
type valueError struct{ Text }

func (e *valueError) Error() string { return e.En }

func wrong(key string, args ...any) error { return &valueError{say(key, args...)} }

// say fills in a text of this package.
func say(key string, args ...any) Text { return texts.Say(key, args...) }
