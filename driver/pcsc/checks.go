package pcsc

import (
	"context"
	"errors"
	"fmt"

	"idtap/driver"
	"idtap/driver/diagnosis"
	"idtap/driver/sam"
)

// What can be wrong with the PC/SC service and its readers.
var (
	NoService      = diagnosis.NewEntry(texts, "pcsc_no_service", diagnosis.Critical)
	ServiceRefuses = diagnosis.NewEntry(texts, "pcsc_denied", diagnosis.Critical)
	ServiceHangs   = diagnosis.NewEntry(texts, "pcsc_silent", diagnosis.Critical)
	NotInBuild     = diagnosis.NewEntry(texts, "pcsc_not_built", diagnosis.Critical)
	NotThere       = diagnosis.NewEntry(texts, "pcsc_reader_missing", diagnosis.Critical,
		NoService.Code, ServiceRefuses.Code, ServiceHangs.Code, NotInBuild.Code, "usb_driver_missing", "usb_held")
	TakenAlone = diagnosis.NewEntry(texts, "pcsc_held", diagnosis.Critical)
)

// Codes implements driver.Diagnoser.
func (*Driver) Codes() []diagnosis.Entry {
	return []diagnosis.Entry{NoService, ServiceRefuses, ServiceHangs, NotInBuild, NotThere, TakenAlone}
}

// Checks implements driver.Diagnoser.
func (d *Driver) Checks(configured []driver.Spec, auto bool) []diagnosis.Check {
	return []diagnosis.Check{ServiceCheck(d, configured, auto)}
}

// Surveyor is what the check asks; a Driver is one.
type Surveyor interface {
	Survey(ctx context.Context) Survey
}

// ServiceCheck looks at the service and lists its readers; it connects to none.
// auto means that readers are taken as they are found.
func ServiceCheck(d Surveyor, configured []driver.Spec, auto bool) diagnosis.Check {
	wanted := make([]string, len(configured)) // patterns of names
	for i, s := range configured {
		wanted[i] = s.Port
	}
	return diagnosis.Check{Name: "pcsc-service", Group: diagnosis.PCSC, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		v := d.Survey(ctx)
		if len(wanted) == 0 && !auto && v.Service != Running {
			s.NotChecked(texts.Say("not_needed"))
			return
		}
		switch v.Service {
		case Absent:
			s.Find(NoService, "")
		case Refused:
			s.Find(ServiceRefuses, "")
		case Silent:
			s.Find(ServiceHangs, "")
		case NotBuilt:
			if len(wanted) > 0 {
				s.Find(NotInBuild, "")
			} else {
				s.NotChecked(texts.Say("pcsc_not_built"))
			}
		default:
			s.Fact(texts.Say("service"), "%s", v.Backend)
			listed(s, v, wanted, auto)
		}
	}}
}

func listed(s *diagnosis.Sheet, v Survey, wanted []string, auto bool) {
	found := map[string]bool{}
	for _, r := range v.Readers {
		configured := false
		for _, pattern := range wanted {
			if match(pattern, r.Name) {
				found[pattern], configured = true, true
			}
		}
		name := r.Name
		if r.Model != "" {
			name += fmt.Sprintf(" (%s, %s)", r.Model, r.Profile)
		}
		s.Fact(texts.Say("reader"), "%s", name)
		switch {
		case configured || auto && r.Model != "" && r.Profile != profileUID:
			if r.Use == Alone {
				s.Find(TakenAlone, r.Name)
			}
		case auto && r.Profile == profileUID:
			s.Find(sam.NoModule, r.Name)
		case r.Model == "":
			s.Fact(texts.Say("if_reader_add"), "- {name: side, driver: pcsc, port: %q, profile: auto}", r.Name)
		}
	}
	for _, pattern := range wanted {
		if !found[pattern] {
			s.Find(NotThere, pattern)
		}
	}
	if len(v.Readers) == 0 && len(wanted) == 0 {
		s.Fact(texts.Say("readers"), "0")
	}
}

// Diagnose implements driver.Diagnoser. What the service is to blame for is noted
// by [ServiceCheck] as well, and then shown once.
func (*Driver) Diagnose(s *diagnosis.Sheet, spec driver.Spec, err error) {
	service := s.In(diagnosis.PCSC)
	var code Code
	errors.As(err, &code)
	switch {
	case errors.Is(err, driver.ErrNotBuilt):
		service.Find(NotInBuild, "")
	case code == codeDenied:
		service.Find(ServiceRefuses, "")
	case code == codeNoService || code == codeServiceStopped:
		service.Find(NoService, "")
	case errors.Is(err, driver.ErrBusy):
		service.Find(TakenAlone, spec.Port)
	case errors.Is(err, driver.ErrGone):
		service.Find(NotThere, spec.Port)
	default:
		if f, ok := sam.Explain(spec.Name, err); ok {
			s.In(diagnosis.SAM).Add(f)
			return
		}
		service.Find(NotThere, spec.Port)
	}
	s.In(diagnosis.SAM).NotChecked(texts.Say("no_reader", spec.Name))
}
