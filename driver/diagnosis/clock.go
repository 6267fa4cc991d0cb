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
var ClockWrong = Entry{Code: "clock_wrong", Level: Critical, Who: Technician,
	What: Say("电脑时钟不对", "The computer's clock is wrong"),
	Why:  Say("主板电池没电或未对时：有效期、年龄和事件时间都会算错，证书也会被判为无效", "A dead battery or no time source: validity, ages and event times come out wrong, and certificates look invalid"),
	Do:   Say("对准时间并开启网络对时（timedatectl set-ntp true）", "Set the time and turn on network time (timedatectl set-ntp true)")}

// MaxSkew is how far a clock may be from the bus's before it is called wrong.
const MaxSkew = 2 * time.Minute

// ClockCheck compares the clock with a moment that certainly lies in the past:
// when the program was built.
func ClockCheck(clock clockwork.Clock, floor time.Time, zone *time.Location) Check {
	return Check{Name: "clock", Group: System, Run: func(_ context.Context, s *Sheet) {
		now := clock.Now()
		s.Fact(Say("时间", "time"), "%s", now.In(zone).Format("2006-01-02 15:04:05 -07:00"))
		if now.Before(floor) {
			s.Find(ClockWrong, "", "earlier than this program, which was made on "+floor.Format(time.DateOnly))
		}
	}}
}

// SuspendCheck says how often the machine has slept, under sysfs (/sys): readers
// are lost and opened again then.
func SuspendCheck(sys string) Check {
	return Check{Name: "suspend", Group: System, Run: func(_ context.Context, s *Sheet) {
		b, err := os.ReadFile(filepath.Join(sys, "power", "suspend_stats", "success"))
		if err != nil {
			s.NotChecked(Say("此系统不记录休眠", "this system keeps no count of it"))
			return
		}
		s.Fact(Say("开机以来休眠次数", "times asleep since the start"), "%s", strings.TrimSpace(string(b)))
	}}
}

// Entries lists what this package's own checks find.
func Entries() []Entry { return []Entry{ClockWrong, SecondDaemon, USBDriverMissing, USBHeld} }
