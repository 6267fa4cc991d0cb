package main

import (
	"cmp"
	"strings"

	"golang.org/x/sys/windows"

	"idtap/internal/text"
)

// systemLanguage is the environment's language, and where that says nothing, as is
// usual on Windows, the one that the user sees Windows in.
func systemLanguage(getenv func(string) string) text.Lang {
	if cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG")) != "" {
		return text.Locale(getenv)
	}
	for _, list := range []func(uint32) ([]string, error){windows.GetUserPreferredUILanguages, windows.GetSystemPreferredUILanguages} {
		if names, err := list(windows.MUI_LANGUAGE_NAME); err == nil && len(names) > 0 {
			if strings.HasPrefix(names[0], "zh") {
				return text.Zh
			}
			return text.En
		}
	}
	return text.En
}
