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
	problem := func(zh, en string) error {
		return config.Problem{File: c.File, Key: "desk.division", Text: config.Text{Zh: zh + offered, En: en + offered}}
	}
	warn := func(zh, en string) {
		c.Warnings = append(c.Warnings, config.Text{Zh: "desk.division：" + zh + offered, En: "desk.division: " + en + offered})
	}
	switch fit {
	case division.NoUnit:
		return problem(code+" 不是任何县级区划的代码，相近的有 ", code+" is no division's code; the nearest are ")
	case division.TooWide:
		return problem(code+" 是省级或地级代码，请填服务台所在的县级代码，例如 ", code+" is a province or prefecture; name the county that the desk stands in, e.g. ")
	case division.Gone:
		if offered == "" {
			warn(code+" 已撤销，现属哪个区划未收录，请填今天的代码", code+" is retired and what it became is not in the table; name the code of today")
			break
		}
		warn(code+" 已撤销，今为 ", code+" is retired; today it is ")
	case division.ZoneFit:
		warn(code+" 是统计用的开发区，户籍不在其中；请填所在的县级代码，例如 ", code+" is a zone of the statistics lists where nobody is registered; name the county around it, e.g. ")
	case division.Fits:
	}
	return nil
}
