package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"idtap/cmd/internal/provision"
	"idtap/driver/diagnosis"
	"idtap/publisher/bus"
)

// fleetDesk is one desk as the bus sees it.
type fleetDesk struct {
	Desk     string     `json:"desk"`
	Name     string     `json:"name,omitempty"`
	State    string     `json:"state"` // present, absent, double, unlisted
	Version  string     `json:"version,omitempty"`
	Waiting  int        `json:"waiting"`
	Oldest   *time.Time `json:"oldest,omitempty"`
	LastTap  *time.Time `json:"last_tap,omitempty"` // since the desk's start
	Findings []string   `json:"findings,omitempty"`
}

func (a *app) fleetCommand() *cobra.Command {
	var f busFlags
	var table, format string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "fleet", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if table == "" || !slices.Contains([]string{"table", "csv", "json"}, format) {
				return usage(errors.New("--desks FILE is needed, and --format table, csv or json"))
			}
			desks, err := a.readDesks(table)
			if err != nil {
				return err
			}
			if _, err := f.resolve(a); err != nil {
				return err
			}
			nc, err := f.connect(a)
			if err != nil {
				return err
			}
			defer nc.Close()
			present, err := bus.Roll(cmd.Context(), nc, wait)
			if err != nil {
				return err
			}
			return a.showFleet(desks, present, format)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&table, "desks", "", "")
	fl.StringVar(&format, "format", "table", "")
	fl.DurationVar(&wait, "wait", 2*time.Second, "")
	return cmd
}

func (a *app) showFleet(desks []provision.Desk, present []bus.Present, format string) error {
	list, ill := fleetOf(desks, present)
	var err error
	switch format {
	case "json":
		err = a.printJSON(list)
	case "csv":
		w := csv.NewWriter(a.out)
		for _, row := range fleetRows(list, "desk", "name", "state", "version", "waiting", "oldest", "last_tap", "findings") {
			w.Write(row) // its error stays in the writer
		}
		w.Flush()
		err = w.Error()
	default:
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		header := strings.Split(a.say("fleet.header"), " ")
		for _, row := range fleetRows(list, header...) {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		err = w.Flush()
	}
	if err == nil && ill {
		return &exitError{Code: exitFailed}
	}
	return err
}

// fleetOf lays answers beside the table: its desks in its order, then unlisted ones.
func fleetOf(desks []provision.Desk, present []bus.Present) (list []fleetDesk, ill bool) {
	answered := map[string][]bus.Present{}
	for _, p := range present {
		answered[p.Desk] = append(answered[p.Desk], p)
	}
	for _, d := range desks {
		row := fleetDesk{Desk: d.ID, Name: d.Name, State: "absent"}
		if ps := answered[d.ID]; len(ps) > 0 {
			critical := row.fill(ps[0])
			ill = ill || critical
			if row.State = "present"; len(ps) > 1 {
				row.State = "double"
			}
		}
		ill = ill || row.State != "present"
		list = append(list, row)
		delete(answered, d.ID)
	}
	for _, p := range present {
		if answered[p.Desk] != nil {
			row := fleetDesk{Desk: p.Desk, State: "unlisted"}
			row.fill(p)
			list = append(list, row)
		}
	}
	return list, ill
}

// fill takes over what a desk answered and reports whether anything is critical.
func (d *fleetDesk) fill(p bus.Present) (critical bool) {
	var stats struct {
		Waiting int        `json:"waiting"`
		Oldest  *time.Time `json:"oldest"`
		LastTap *time.Time `json:"last_tap"`
	}
	d.Version = p.Version
	if json.Unmarshal(p.Stats, &stats) == nil {
		d.Waiting, d.Oldest, d.LastTap = stats.Waiting, stats.Oldest, stats.LastTap
	}
	var report diagnosis.Report
	if p.Diag == nil || json.Unmarshal(p.Diag, &report) != nil {
		d.Findings = []string{"no_diagnosis"}
		return false
	}
	for _, f := range report.Findings() {
		d.Findings = append(d.Findings, f.Code)
		critical = critical || f.Level == diagnosis.Critical
	}
	return critical
}

func fleetRows(list []fleetDesk, header ...string) [][]string {
	rows := [][]string{header}
	when := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format("2006-01-02 15:04:05")
	}
	for _, d := range list {
		rows = append(rows, []string{d.Desk, d.Name, d.State, d.Version, fmt.Sprint(d.Waiting), when(d.Oldest), when(d.LastTap), strings.Join(d.Findings, " ")})
	}
	return rows
}
