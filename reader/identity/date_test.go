package identity_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"idtap/reader/identity"
)

// Every eight digits from 1799 to 2110 are a birth date exactly if the time
// package knows the day, and print as ISO 8601.
func TestDatesAgreeWithTheCalendar(t *testing.T) {
	for year := 1799; year <= 2110; year++ {
		for month := 0; month <= 13; month++ {
			for d := 0; d <= 32; d++ {
				digits := fmt.Sprintf("%04d%02d%02d", year, month, d)
				day, err := time.Parse("20060102", digits)
				want := ""
				if err == nil && year >= 1800 {
					want = day.Format("2006-01-02")
				}
				body := "110105" + digits + "001"
				if got := identity.CheckNumber(body+string(identity.CheckCharacter(body)), identity.Date{}).Birth.String(); got != want {
					t.Fatalf("%s reads as %q, want %q", digits, got, want)
				}
			}
		}
	}
}

// An age is the number of birthdays since, 1 March standing in for 29 February.
func TestAgeCountsBirthdays(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	first := time.Date(1880, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 20_000 {
		birth := first.AddDate(0, 0, r.IntN(50_000))
		if r.IntN(20) == 0 {
			birth = time.Date(1880+4*r.IntN(30), 2, 29, 0, 0, 0, 0, time.UTC)
		}
		on := birth.AddDate(0, 0, r.IntN(40_000))
		want := 0
		for !birth.AddDate(want+1, 0, 0).After(on) {
			want++
		}
		got := date(birth).AgeOn(date(on))
		if got != want {
			t.Fatalf("born %s, on %s: %d, want %d", birth.Format("2006-01-02"), on.Format("2006-01-02"), got, want)
		}
	}
}

func date(t time.Time) identity.Date {
	return identity.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

func TestDateOfIsTheDayInShanghai(t *testing.T) {
	for moment, want := range map[string]string{
		"2026-11-20T15:59:59Z": "2026-11-20", "2026-11-20T16:00:00Z": "2026-11-21", "2026-11-21T07:30:00+08:00": "2026-11-21",
	} {
		m, err := time.Parse(time.RFC3339, moment)
		if err != nil {
			t.Fatal(err)
		}
		if got := identity.DateOf(m).String(); got != want {
			t.Errorf("%s is %s, want %s", moment, got, want)
		}
	}
	if !identity.DateOf(time.Time{}).IsZero() {
		t.Error("no moment has a day")
	}
}
