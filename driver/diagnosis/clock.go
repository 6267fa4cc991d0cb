package diagnosis

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"
)

// ClockWrong also explains certificates that seem not to be valid.
var ClockWrong = NewEntry(texts, "clock_wrong", Critical)

// MaxSkew is how far a clock may be from the bus's before it is called wrong.
const MaxSkew = 2 * time.Minute

// ClockCheck compares the clock with a moment that certainly lies in the past:
// when the program was built.
func ClockCheck(clock clockwork.Clock, floor time.Time, zone *time.Location) Check {
	return Check{Name: "clock", Group: System, Run: func(_ context.Context, s *Sheet) {
		now := clock.Now()
		s.Fact(texts.Say("time"), "%s", now.In(zone).Format("2006-01-02 15:04:05 -07:00"))
		if now.Before(floor) {
			s.Find(ClockWrong, "", texts.Say("before_build", floor.Format(time.DateOnly)))
		}
	}}
}

// SuspendCheck says how often the machine has slept, under sysfs (/sys): readers
// are lost and opened again then.
func SuspendCheck(sys string) Check {
	return Check{Name: "suspend", Group: System, Run: func(_ context.Context, s *Sheet) {
		b, err := os.ReadFile(filepath.Join(sys, "power", "suspend_stats", "success"))
		if err != nil {
			s.NotChecked(texts.Say("no_sleep_count"))
			return
		}
		s.Fact(texts.Say("times_asleep"), "%s", strings.TrimSpace(string(b)))
	}}
}

// Entries lists what this package's own checks find.
func Entries() []Entry { return []Entry{ClockWrong, SecondDaemon, USBDriverMissing, USBHeld} }
