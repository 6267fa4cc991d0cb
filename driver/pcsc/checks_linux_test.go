//go:build !nopcsc

package pcsc

import (
	"context"
	"slices"
	"testing"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/pcsc/pcsctest"
)

// found runs the check of the service and gives the codes that a technician sees.
func found(t *testing.T, d Surveyor, wanted ...string) (codes []string, facts int) {
	t.Helper()
	var configured []driver.Spec
	for _, port := range wanted {
		configured = append(configured, driver.Spec{Port: port})
	}
	r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), diagnosis.Limit, []diagnosis.Check{ServiceCheck(d, configured, len(wanted) == 0)})
	for _, f := range r.Findings() {
		codes = append(codes, f.Code)
	}
	return codes, len(r.Results[0].Facts)
}

// TestServiceCheck: the real service, not there, there, and killed.
func TestServiceCheck(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !pcsctest.Private(t) {
				return
			}
			d := &Driver{way: way}
			service := pcsctest.NewService(t)
			if got, _ := found(t, d, "Virtual*"); !slices.Equal(got, []string{NoService.Code}) {
				t.Errorf("before it was started: %v", got)
			}
			service.Start()
			if got, facts := found(t, d, "Virtual*00"); len(got) != 0 || facts != 3 {
				t.Errorf("running: %v, %d facts", got, facts)
			}
			if got, _ := found(t, d, "ACS*"); !slices.Equal(got, []string{NotThere.Code}) {
				t.Errorf("another reader: %v", got)
			}
			service.Kill()
			if got, _ := found(t, d, "Virtual*"); !slices.Equal(got, []string{NoService.Code}) {
				t.Errorf("killed: %v", got)
			}
		})
	}
}

// surveyed is a service in a given condition.
type surveyed Survey

func (s surveyed) Survey(context.Context) Survey { return Survey(s) }

// TestServiceCheckOfConditions that no test can bring a real service into.
func TestServiceCheckOfConditions(t *testing.T) {
	listed := func(r ...Listed) surveyed { return surveyed{Service: Running, Readers: r} }
	for name, tt := range map[string]struct {
		survey surveyed
		wanted []string
		want   []string
	}{
		"refused":                    {surveyed{Service: Refused}, nil, []string{"pcsc_denied"}},
		"silent":                     {surveyed{Service: Silent}, nil, []string{"pcsc_silent"}},
		"not built, not needed":      {surveyed{Service: NotBuilt}, nil, nil},
		"not built":                  {surveyed{Service: NotBuilt}, []string{"*"}, []string{"pcsc_not_built"}},
		"held alone":                 {listed(Listed{Name: "X 00", Use: Alone}), []string{"X*"}, []string{"pcsc_held"}},
		"shared":                     {listed(Listed{Name: "X 00", Use: Shared}), []string{"X*"}, nil},
		"unknown model":              {listed(Listed{Name: "X 00"}), nil, nil},
		"ordinary reader":            {listed(Listed{Name: "ACS ACR122U", Model: "ACR122", Profile: profileUID}), nil, []string{"reader_no_sam"}},
		"ordinary reader, by choice": {listed(Listed{Name: "ACS ACR122U", Model: "ACR122", Profile: profileUID}), []string{"ACS*"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := found(t, tt.survey, tt.wanted...); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// TestTold sorts what opening a reader fails with.
func TestTold(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"no service": {wrap("open", "side", codeNoService), "pcsc_no_service"},
		"refused":    {wrap("open", "side", codeDenied), "pcsc_denied"},
		"held":       {wrap("read", "side", codeSharing), "pcsc_held"},
		"gone":       {wrap("find", "side", codeUnknownReader), "pcsc_reader_missing"},
		"not built":  {&driver.Error{Op: "open", Err: driver.ErrNotBuilt}, "pcsc_not_built"},
		"no module":  {&driver.Error{Op: "identify", Err: driver.ErrNoSAM}, "reader_no_sam"},
		"hangs":      {&driver.Error{Op: "find", Err: driver.ErrStuck}, "reader_stuck"},
	} {
		t.Run(name, func(t *testing.T) {
			r := diagnosis.Run(t.Context(), clockwork.NewRealClock(), diagnosis.Limit, []diagnosis.Check{{Name: "reader-side", Group: diagnosis.SAM,
				Run: func(_ context.Context, s *diagnosis.Sheet) {
					new(Driver).Diagnose(s, driver.Spec{Name: "side", Port: "X*"}, tt.err)
				}}})
			if got := r.Findings(); len(got) != 1 || got[0].Code != tt.want {
				t.Errorf("%+v, want %s", got, tt.want)
			}
		})
	}
}
