//go:build !windows

package main

import "idtap/internal/text"

// systemLanguage is the environment's language.
func systemLanguage(getenv func(string) string) text.Lang { return text.Locale(getenv) }
