package diagnosis_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver/diagnosis"
)

func entry(code string, level diagnosis.Level, because ...string) diagnosis.Entry {
	return diagnosis.Entry{Code: code, Level: level, Who: diagnosis.Technician, Because: because}
}

var (
	root   = entry("root", diagnosis.Warning)
	middle = entry("middle", diagnosis.Warning, "root")
	leaf   = entry("leaf", diagnosis.Critical, "middle")
	left   = entry("left", diagnosis.Warning, "right")
	right  = entry("right", diagnosis.Warning, "left")
)

// finds is a check with findings.
func finds(name string, list ...diagnosis.Finding) diagnosis.Check {
	return diagnosis.Check{Name: name, Group: diagnosis.System, Run: func(_ context.Context, s *diagnosis.Sheet) { s.Add(list...) }}
}

func about(e diagnosis.Entry, subject string) diagnosis.Finding {
	return diagnosis.NewFinding(e, subject)
}

func codes(list []diagnosis.Finding) (out []string) {
	for _, f := range list {
		out = append(out, f.Code+f.Subject)
	}
	return out
}

func TestOneCauseShowsOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		checks []diagnosis.Check
		want   []string // codes with subjects
		also   []string // of the first
		level  diagnosis.Level
	}{
		"nothing":            {[]diagnosis.Check{finds("a")}, nil, nil, diagnosis.OK},
		"alone":              {[]diagnosis.Check{finds("a", about(leaf, "x"))}, []string{"leafx"}, nil, diagnosis.Critical},
		"explained":          {[]diagnosis.Check{finds("a", about(middle, "")), finds("b", about(root, ""))}, []string{"root"}, []string{"middle"}, diagnosis.Warning},
		"all the way up":     {[]diagnosis.Check{finds("a", about(leaf, ""), about(root, "")), finds("b", about(middle, ""))}, []string{"root"}, []string{"leaf", "middle"}, diagnosis.Critical},
		"another subject":    {[]diagnosis.Check{finds("a", about(middle, "x")), finds("b", about(root, "y"))}, []string{"middlex", "rooty"}, nil, diagnosis.Warning},
		"the same subject":   {[]diagnosis.Check{finds("a", about(middle, "x")), finds("b", about(root, "x"))}, []string{"rootx"}, []string{"middlex"}, diagnosis.Warning},
		"a general cause":    {[]diagnosis.Check{finds("a", about(middle, "x")), finds("b", about(root, ""))}, []string{"root"}, []string{"middlex"}, diagnosis.Warning},
		"told twice":         {[]diagnosis.Check{finds("a", about(root, "x")), finds("b", about(root, "x"))}, []string{"rootx"}, nil, diagnosis.Warning},
		"a circle":           {[]diagnosis.Check{finds("a", about(left, ""), about(right, ""))}, []string{"left", "right"}, nil, diagnosis.Warning},
		"a cause's severity": {[]diagnosis.Check{finds("a", about(middle, ""), about(leaf, ""))}, []string{"middle"}, []string{"leaf"}, diagnosis.Critical},
	} {
		t.Run(name, func(t *testing.T) {
			r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), time.Minute, tt.checks)
			found := r.Findings()
			got := codes(found)
			slices.Sort(got)
			if !slices.Equal(got, tt.want) || r.Level != tt.level {
				t.Fatalf("%v, %s", got, r.Level)
			}
			if tt.also != nil {
				also := codes(found[0].Also)
				slices.Sort(also)
				if !slices.Equal(also, tt.also) {
					t.Errorf("also %v", also)
				}
			}
		})
	}
}

// TestFoldedResultsSayWhy: a check whose findings all stand elsewhere is not ok,
// it was not checked.
func TestFoldedResultsSayWhy(t *testing.T) {
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), time.Minute, []diagnosis.Check{finds("a", about(middle, "")), finds("b", about(root, ""))})
	if a := r.Results[0]; a.Level != diagnosis.NotChecked || a.Reason == nil || a.Reason.En != "follows from root" {
		t.Errorf("%+v", a)
	}
}

// TestACheckThatHangs is left behind and told as unknown; the rest is told.
func TestACheckThatHangs(t *testing.T) {
	synctest.Test(t, testHanging)
}

func testHanging(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	began := time.Now()
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), 10*time.Second, []diagnosis.Check{
		{Name: "hangs", Group: diagnosis.Serial, Run: func(context.Context, *diagnosis.Sheet) { <-hang }},
		{Name: "ends", Group: diagnosis.Bus, Run: func(ctx context.Context, _ *diagnosis.Sheet) { <-ctx.Done() }},
		{Name: "said", Group: diagnosis.Page, Run: func(_ context.Context, s *diagnosis.Sheet) {
			s.NotChecked(diagnosis.Say("无", "none"))
		}},
	})
	if took := time.Since(began); took > 11*time.Second {
		t.Errorf("took %s", took)
	}
	var levels []diagnosis.Level
	for _, result := range r.Results {
		levels = append(levels, result.Level)
	}
	if !slices.Equal(levels, []diagnosis.Level{diagnosis.Unknown, diagnosis.Unknown, diagnosis.NotChecked}) || r.Level != diagnosis.Unknown || r.Level.ExitCode() != 3 {
		t.Errorf("%v, %s", levels, r.Level)
	}
}

// TestPartsBecomeResults: what a check writes in another group stands there.
func TestPartsBecomeResults(t *testing.T) {
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), time.Minute, []diagnosis.Check{{Name: "reader-front", Group: diagnosis.SAM,
		Run: func(_ context.Context, s *diagnosis.Sheet) {
			s.In(diagnosis.Serial).Find(root, "/dev/ttyUSB0")
			s.In(diagnosis.SAM).NotChecked(diagnosis.Say("端口打不开", "the port does not open"))
		}}})
	if len(r.Results) != 2 || r.Results[0].Group != diagnosis.Serial || r.Results[0].Level != diagnosis.Warning || r.Results[1].Level != diagnosis.NotChecked {
		t.Errorf("%+v", r.Results)
	}
}

// TestReportsSurviveJSON: a daemon's report reads as it was written.
func TestReportsSurviveJSON(t *testing.T) {
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), time.Minute, []diagnosis.Check{finds("a", about(middle, "x"), about(root, ""))})
	r.Took, r.Results[0].Took, r.At = diagnosis.Millis(1500*time.Millisecond), 0, r.At.UTC().Round(0)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back diagnosis.Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	r.Results[0].Findings[0].Also[0].Because = nil // for folding, not for readers
	if !reflect.DeepEqual(back, r) {
		t.Errorf("%+v\n%+v", back, r)
	}
}

func TestExitCodes(t *testing.T) {
	for level, want := range map[diagnosis.Level]int{diagnosis.OK: 0, diagnosis.NotChecked: 0, diagnosis.Warning: 1, diagnosis.Critical: 2, diagnosis.Unknown: 3} {
		if got := level.ExitCode(); got != want {
			t.Errorf("%s: %d", level, got)
		}
	}
}

func TestPortOf(t *testing.T) {
	for address, want := range map[string]uint16{"127.0.0.1:7643": 7643, "[::1]:80": 80, ":8989": 8989, "localhost": 0, "x:y": 0} {
		if got := diagnosis.PortOf(address); got != want {
			t.Errorf("%q: %d", address, got)
		}
	}
}
