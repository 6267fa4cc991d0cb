package config

import _ "embed"

// Example is the annotated configuration: every key with its default.
//
//go:embed example.yaml
var Example []byte
