package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/width"

	"idtap/driver/diagnosis"
)

// sheetPrinter prints a report for people: aligned and with colours on a
// terminal, plain lines elsewhere.
type sheetPrinter struct {
	w        io.Writer
	lang     string
	terminal bool
}

var groupNames = map[diagnosis.Group]diagnosis.Text{
	diagnosis.System: texts.Say("system"), diagnosis.PCSC: texts.Say("pc_sc"), diagnosis.Serial: texts.Say("serial"),
	diagnosis.SAM: texts.Say("sam"), diagnosis.Cards: texts.Say("cards2"), diagnosis.Queue: texts.Say("queue"),
	diagnosis.Bus: texts.Say("bus"), diagnosis.Page: texts.Say("page"),
}

// levels are the word, the mark and the colour of each level.
var levels = map[diagnosis.Level]struct {
	text   diagnosis.Text
	mark   string
	colour string
}{
	diagnosis.OK:         {texts.Say("ok2"), "✓", "32"},
	diagnosis.NotChecked: {texts.Say("not_checked"), "–", "2"},
	diagnosis.Warning:    {texts.Say("warning2"), "!", "33"},
	diagnosis.Critical:   {texts.Say("critical"), "✗", "31"},
	diagnosis.Unknown:    {texts.Say("unknown"), "?", "35"},
}

func (p *sheetPrinter) say(key string, args ...any) string { return texts.Say(key, args...).In(p.lang) }

func (p *sheetPrinter) print(r diagnosis.Report) {
	via := p.say("looked_directly")
	if r.Via == "daemon" {
		via = p.say("running_daemon_answered")
	}
	fmt.Fprintf(p.w, "idtap %s  %s  %s  %s\n", r.Version, r.At.Format("2006-01-02 15:04:05"), via, time.Duration(r.Took).Round(time.Millisecond))
	seen := map[diagnosis.Group]bool{}
	for _, result := range r.Results {
		seen[result.Group] = true
	}
	for _, g := range diagnosis.InOrder(slices.Collect(maps.Keys(seen))) {
		for _, result := range r.Results {
			if result.Group == g {
				p.result(result)
			}
		}
	}
	fmt.Fprintln(p.w, p.verdict(r))
}

func (p *sheetPrinter) result(r diagnosis.Result) {
	group := groupNames[r.Group].In(p.lang)
	if group == "" { // a driver's own
		group = string(r.Group)
	}
	head := p.pad(group, 9) + p.pad(r.Check, 18) + p.level(r.Level)
	if r.Reason != nil && r.Level != diagnosis.OK {
		head += p.say("colon") + r.Reason.In(p.lang)
	}
	fmt.Fprintln(p.w, head)
	for _, f := range r.Facts {
		fmt.Fprintf(p.w, "    %s%s%s\n", f.What.In(p.lang), p.say("colon"), f.ValueIn(p.lang))
	}
	for _, f := range r.Findings {
		p.finding(f)
	}
}

func (p *sheetPrinter) finding(f diagnosis.Finding) {
	title := f.Code
	if f.Subject != "" {
		title += "  " + f.Subject
	}
	mark := levels[f.Level].text.In(p.lang)
	if p.terminal {
		mark = levels[f.Level].mark
	}
	fmt.Fprintf(p.w, "  %s %s\n", p.paint(f.Level, mark), p.paint(f.Level, title))
	what := f.What.In(p.lang)
	if f.Detail != "" {
		what += p.say("open_paren") + f.DetailIn(p.lang) + p.say("close_paren")
	}
	var also []string
	for _, a := range f.Also {
		also = append(also, a.Code+" "+a.What.In(p.lang))
	}
	for _, line := range []struct{ label, text string }{
		{p.say("what"), what},
		{p.say("why"), f.Why.In(p.lang)},
		{p.say("do"), f.Do.In(p.lang)},
		{p.say("who"), f.Who.In(p.lang)},
		{p.say("also"), strings.Join(also, p.say("semicolon"))},
	} {
		if line.text != "" {
			fmt.Fprintf(p.w, "      %s%s\n", p.pad(line.label, 6), line.text)
		}
	}
}

func (p *sheetPrinter) verdict(r diagnosis.Report) string {
	count := map[diagnosis.Level]int{}
	for _, f := range r.Findings() {
		count[f.Level]++
	}
	parts := []string{p.level(r.Level)}
	for _, l := range []diagnosis.Level{diagnosis.Critical, diagnosis.Warning} {
		if n := count[l]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, levels[l].text.In(p.lang)))
		}
	}
	unchecked := slices.DeleteFunc(slices.Clone(r.Results), func(r diagnosis.Result) bool {
		return r.Level != diagnosis.NotChecked && r.Level != diagnosis.Unknown
	})
	if len(unchecked) > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", len(unchecked), levels[diagnosis.NotChecked].text.In(p.lang)))
	}
	return p.say("result") + strings.Join(parts, p.say("comma"))
}

func (p *sheetPrinter) level(l diagnosis.Level) string {
	text := levels[l].text.In(p.lang)
	if p.terminal {
		text = levels[l].mark + " " + text
	}
	return p.paint(l, text)
}

func (p *sheetPrinter) paint(l diagnosis.Level, text string) string {
	if !p.terminal {
		return text
	}
	return "\x1b[" + levels[l].colour + "m" + text + "\x1b[0m"
}

// pad makes a column on a terminal, where Chinese characters are two wide, and
// leaves a space elsewhere.
func (p *sheetPrinter) pad(text string, to int) string {
	if !p.terminal {
		return text + " "
	}
	columns := 0
	for _, r := range text {
		columns++
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			columns++
		}
	}
	return text + strings.Repeat(" ", max(to-columns, 1))
}
