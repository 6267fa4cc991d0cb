package identity

import (
	"sync"
	"time"
)

// shanghai is the zone in which calendar days are compared: in UTC a card read
// at 07:30 on its last day would be one day off. The binary carries the zone
// data; where a test or tool does not, the offset in force since 1991 stands in.
var shanghai = sync.OnceValue(func() *time.Location {
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return time.FixedZone("CST", 8*60*60)
	}
	return loc
})

// DateOf is the calendar day of a moment in Asia/Shanghai; the zero moment has
// none.
func DateOf(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	y, m, d := t.In(shanghai()).Date()
	return Date{y, m, d}
}

// Before reports whether d is an earlier day than e.
func (d Date) Before(e Date) bool {
	if d.Year != e.Year {
		return d.Year < e.Year
	}
	if d.Month != e.Month {
		return d.Month < e.Month
	}
	return d.Day < e.Day
}

// AgeOn is the number of years completed on a day. Who was born on 29 February
// completes a year on 1 March of common years (GA/T 2000.16).
func (d Date) AgeOn(day Date) int {
	age := day.Year - d.Year
	if day.Month < d.Month || day.Month == d.Month && day.Day < d.Day {
		age--
	}
	return age
}

// add moves by years and months; a day that the month does not have becomes the
// first of the next, as the standard wants for 29 February.
func (d Date) add(years, months int) Date {
	y, m, day := time.Date(d.Year+years, d.Month+time.Month(months), d.Day, 0, 0, 0, 0, time.UTC).Date()
	return Date{y, m, day}
}

// parseDate reads YYYYMMDD and says whether it is a day of the calendar from
// 1800 on, the earliest year that any number in use can mean.
func parseDate(s string) (Date, bool) {
	if len(s) != 8 || !allDigits(s) {
		return Date{}, false
	}
	y := digits(s[:4])
	m := digits(s[4:6])
	d := digits(s[6:])
	if y < 1800 || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return Date{}, false
	}
	return Date{y, time.Month(m), d}, true
}

func digits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && year%100 != 0 || year%400 == 0 {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
