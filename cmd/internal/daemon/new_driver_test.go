package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"idtap/config"
	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/mock"
	"idtap/driver/trace"
)

// plainDriver is a driver that offers nothing but what it must. Its readers are
// simulated ones.
type plainDriver struct {
	readers mock.Driver
	fails   error // of Open; nil: it works
}

func (d *plainDriver) Open(ctx context.Context, s driver.Spec) (driver.Device, error) {
	if d.fails != nil {
		return nil, &driver.Error{Op: "open", Reader: s.Name, Err: d.fails}
	}
	s.Port = ""
	return d.readers.Open(ctx, s)
}

func (d *plainDriver) Discover(context.Context) ([]driver.Spec, error) {
	return []driver.Spec{{Name: "found", Driver: "scratch", Port: "bay 1"}}, nil
}

func (*plainDriver) Detail() string { return "scratch" }

// frankDriver also explains itself, in a group of its own.
type frankDriver struct{ *plainDriver }

var (
	_ driver.Diagnoser = frankDriver{}
	_ driver.Prober    = frankDriver{}
)

var bayEmpty = diagnosis.Entry{Code: "bay_empty", Level: diagnosis.Critical, Who: diagnosis.Clerk,
	What: diagnosis.Say("槽位是空的", "The bay is empty"), Why: diagnosis.Say("没有插入", "Nothing is in it"), Do: diagnosis.Say("插入读卡器", "Put the reader in")}

func (frankDriver) Codes() []diagnosis.Entry { return []diagnosis.Entry{bayEmpty} }

func (frankDriver) Checks(configured []driver.Spec, auto bool) []diagnosis.Check {
	return []diagnosis.Check{{Name: "bays", Group: "bays", Run: func(_ context.Context, s *diagnosis.Sheet) {
		s.Fact(diagnosis.Say("槽位", "bays"), "%d configured, auto %v", len(configured), auto)
	}}}
}

func (frankDriver) Diagnose(s *diagnosis.Sheet, spec driver.Spec, _ error) {
	s.In("bays").Find(bayEmpty, spec.Port)
}

func (frankDriver) Probe(port string) (diagnosis.Check, bool) {
	return diagnosis.Check{Name: "probe-" + port, Group: diagnosis.SAM}, strings.HasPrefix(port, "bay:")
}

// scratchDesk is a desk whose one reader belongs to a driver that the program
// has never heard of.
func scratchDesk(t *testing.T, d driver.Driver, readers ...config.Reader) *Examiner {
	t.Helper()
	g := fakeDesk(t, "")
	g.cfg.Readers = readers
	if d != nil {
		g.drivers["scratch"] = d
	}
	return g
}

var scratchReader = config.Reader{Name: "front", Driver: "scratch", Port: "bay 3"}

// found lists codes and groups of what is wrong.
func foundIn(r diagnosis.Report) (list []string) {
	for _, result := range r.Results {
		for _, f := range result.Findings {
			if f.Code == daemonStopped.Code { // none runs in these tests
				continue
			}
			list = append(list, string(result.Group)+" "+f.Code)
		}
	}
	slices.Sort(list)
	return list
}

// TestNewDriverIsDiagnosed: a driver that stands in the registry and nowhere else
// opens, is listed and is explained, by itself if it can, and never as another
// driver's fault.
func TestNewDriverIsDiagnosed(t *testing.T) {
	away := &plainDriver{fails: driver.ErrGone}
	for name, tt := range map[string]struct {
		driver  driver.Driver
		readers []config.Reader
		found   []string
		says    string // in what people read
	}{
		"configured":               {&plainDriver{}, []config.Reader{scratchReader}, nil, "reader front"},
		"discovered":               {&plainDriver{}, nil, nil, "reader found"},
		"its own checks":           {frankDriver{&plainDriver{}}, []config.Reader{scratchReader}, nil, "bays: 1 configured, auto false"},
		"its own checks unasked":   {frankDriver{&plainDriver{}}, nil, nil, "bays: 0 configured, auto true"},
		"explained by itself":      {frankDriver{away}, []config.Reader{scratchReader}, []string{"bays bay_empty"}, "The bay is empty"},
		"away":                     {away, []config.Reader{scratchReader}, []string{"sam away"}, "Reader not connected"},
		"denied":                   {&plainDriver{fails: driver.ErrDenied}, []config.Reader{scratchReader}, []string{"sam denied"}, "Reader not permitted"},
		"busy":                     {&plainDriver{fails: driver.ErrBusy}, []config.Reader{scratchReader}, []string{"sam busy"}, "Reader in use"},
		"silent":                   {&plainDriver{fails: driver.ErrTimeout}, []config.Reader{scratchReader}, []string{"sam sam_silent"}, "does not answer"},
		"a cause of its own":       {&plainDriver{fails: errors.New("jammed")}, []config.Reader{scratchReader}, []string{"sam away"}, "jammed"},
		"a driver that is missing": {nil, []config.Reader{scratchReader}, []string{"sam stopped"}, `driver "scratch" is unknown; there are mock, pcsc`},
		"a reader without a driver": {nil, []config.Reader{{Name: "front"}}, []string{"sam stopped"},
			`driver "" is unknown`},
	} {
		t.Run(name, func(t *testing.T) {
			g := scratchDesk(t, tt.driver, tt.readers...)
			r := g.Report(t.Context(), false)
			if got := foundIn(r); !slices.Equal(got, tt.found) {
				t.Errorf("found %q, want %q", got, tt.found)
			}
			if page := readable(r); !strings.Contains(page, tt.says) {
				t.Errorf("the report says no %q:\n%s", tt.says, page)
			}
		})
	}
}

// readable is what a person can read in a report, in English.
func readable(r diagnosis.Report) string {
	var b strings.Builder
	for _, result := range r.Results {
		fmt.Fprintln(&b, strings.Replace(result.Check, "-", " ", 1))
		for _, f := range result.Facts {
			fmt.Fprintf(&b, "%s: %s\n", f.What.En, f.Value)
		}
		for _, f := range result.Findings {
			fmt.Fprintln(&b, f.Code, f.Subject, f.What.En, f.Why.En, f.Do.En, f.Detail)
		}
	}
	return b.String()
}

// TestNewDriverIsProbed: a port that only the new driver can have is asked by it.
func TestNewDriverIsProbed(t *testing.T) {
	g := scratchDesk(t, frankDriver{&plainDriver{}})
	for port, want := range map[string]string{"bay:2": "probe-bay:2", "/dev/ttyUSB0": "probe-port"} {
		if c, ok := g.probe(port); !ok || c.Name != want {
			t.Errorf("probe(%s) = %q, %v, want %q", port, c.Name, ok, want)
		}
	}
}

// TestNewDriverIsCaptured: its wire is recorded like any other's.
func TestNewDriverIsCaptured(t *testing.T) {
	g := scratchDesk(t, &plainDriver{}, scratchReader)
	ctx, stop := context.WithCancel(t.Context())
	var recorded stopAfter
	recorded.after, recorded.stop = 4, stop
	if err := g.Capture(ctx, false, &recorded); err != nil {
		t.Fatal(err)
	}
	read, err := trace.Read(strings.NewReader(recorded.String()))
	if err != nil {
		t.Fatal(err)
	}
	if read.Header.Driver != "scratch" || len(read.Steps) < 4 {
		t.Errorf("header %+v and %d steps, want driver scratch and at least 4", read.Header, len(read.Steps))
	}
}

// stopAfter ends a recording after so many pieces of it.
type stopAfter struct {
	bytes.Buffer
	after int
	stop  func()
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if s.after -= bytes.Count(p, []byte("\n")); s.after <= 0 {
		s.stop()
	}
	return s.Buffer.Write(p)
}
