package diagnosis

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

// Check looks at one thing. Run gets as far as it can when things are broken,
// changes nothing, and ends with its context.
type Check struct {
	Name  string // kebab-case
	Group Group
	Run   func(ctx context.Context, s *Sheet)
}

// Limit bounds a whole diagnosis of a desk, however broken.
const Limit = 14 * time.Second

// Run makes a diagnosis within a limit, whatever a check does. The checks run at
// once, so the slowest one decides; one that is not back by then is Unknown and
// left behind.
func Run(ctx context.Context, clock clockwork.Clock, limit time.Duration, checks []Check) Report {
	began := clock.Now()
	ctx, cancel := clockwork.WithTimeout(ctx, clock, limit)
	defer cancel()

	var mu sync.Mutex // guards done
	done := make([][]Result, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() {
			r := c.result(ctx, clock)
			mu.Lock()
			defer mu.Unlock()
			done[i] = r
		})
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		select { // checks end with their context, most of them a moment later
		case <-ended:
		case <-clock.After(overrun):
		}
	}

	mu.Lock()
	report := Report{At: began, Via: "direct"}
	for i, c := range checks {
		if done[i] == nil {
			done[i] = []Result{{Check: c.Name, Group: c.Group, Level: Unknown, Reason: &late, Took: Millis(clock.Since(began))}}
		}
		report.Results = append(report.Results, done[i]...)
	}
	mu.Unlock()
	fold(report.Results)
	report.Level = OK
	for i := range report.Results {
		if l := report.Results[i].Level; l != NotChecked {
			report.Level = report.Level.worse(l)
		}
	}
	report.Took = Millis(clock.Since(began))
	return report
}

const overrun = 500 * time.Millisecond

var late = texts.Say("not_in_time")

// result runs the check. What it wrote in other groups becomes results of these.
func (c Check) result(ctx context.Context, clock clockwork.Clock) []Result {
	began := clock.Now()
	var s Sheet
	c.Run(ctx, &s)
	took := Millis(clock.Since(began))
	var list []Result
	if own := s; !own.empty() || len(s.parts) == 0 {
		list = append(list, own.result(ctx, c, c.Group, took))
	}
	for _, g := range InOrder(slices.Collect(maps.Keys(s.parts))) {
		if part := s.parts[g]; !part.empty() {
			list = append(list, part.result(ctx, c, g, took))
		}
	}
	return list
}

func (s *Sheet) result(ctx context.Context, c Check, g Group, took Millis) Result {
	r := Result{Check: c.Name, Group: g, Reason: s.skipped, Facts: s.facts, Findings: s.findings, Took: took}
	if ctx.Err() != nil && s.Clean() && s.skipped == nil {
		r.Level, r.Reason = Unknown, &late
	}
	return r
}
