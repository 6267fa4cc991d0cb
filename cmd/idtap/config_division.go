package main

import (
	"strings"

	"idtap/config"
	"idtap/reader/identity/division"
)

// checkDivision looks the desk's division up, which package config cannot: the
// table belongs to the reader. A code that is no county of today would make
// every subject and relation of this desk wrong.
func checkDivision(c *config.Config) error {
	code := c.Desk.Division
	if code == "" {
		return nil // config warns
	}
	fit, units := division.FitsDesk(code)
	var list []string
	for _, u := range units[:min(len(units), 20)] {
		list = append(list, u.Code+" "+u.Name)
	}
	offered := strings.Join(list, ", ")
	problem := func(key string) error {
		return config.Problem{File: c.File, Key: "desk.division", Text: texts.Say(key, code, offered)}
	}
	warn := func(key string) {
		c.Warnings = append(c.Warnings, texts.Say("about", "desk.division", texts.Say(key, code, offered)))
	}
	switch fit {
	case division.NoUnit:
		return problem("division_unknown")
	case division.TooWide:
		return problem("division_too_wide")
	case division.Gone:
		if offered == "" {
			warn("division_gone_unknown")
			break
		}
		warn("division_gone")
	case division.ZoneFit:
		warn("division_zone")
	case division.Fits:
	}
	return nil
}
