package identity_test

import (
	"testing"
	"time"

	"idtap/driver/simcard"
	"idtap/reader/card"
	"idtap/reader/identity"
)

// Goals of design section 12.
const (
	numberGoalNS, numberGoalAllocs     = 5_000, 12
	identityGoalNS, identityGoalAllocs = 10_000, 25
)

// day is a fixed day of reading for tests.
var day = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))

var bands = []identity.Group{
	{Name: "child_0_6", MaxAge: 6, HasMax: true},
	{Name: "elder_65", MinAge: 65},
	{Name: "woman_15_49", Sex: "female", MinAge: 15, MaxAge: 49, HasMax: true},
}

// BenchmarkDecodeAndNumber is decode, normalise and the number's checks.
func BenchmarkDecodeAndNumber(b *testing.B) {
	raw := simcard.SampleResident().Raw()
	today := identity.DateOf(day)
	measure(b, numberGoalNS, numberGoalAllocs, func() {
		doc := card.Parse(raw)
		n := identity.CheckNumber(identity.Decode(doc.Number), today)
		if identity.Decode(doc.Name) == "" || !n.Valid() {
			b.Fatal("not read")
		}
	})
}

// BenchmarkIdentity is everything from the text block to the relation.
func BenchmarkIdentity(b *testing.B) {
	f := simcard.SampleResident()
	f.Appended = []string{"甘肃省白银市会宁县会师镇样本路3号"}
	raw := f.Raw()
	o := identity.Options{Now: day, DeskDivision: "410105", Groups: bands}
	identity.Check(card.Parse(raw), o) // the table loads once per process
	measure(b, identityGoalNS, identityGoalAllocs, func() {
		if c := identity.Check(card.Parse(raw), o); c.Relation != identity.OtherProvince {
			b.Fatal("not resolved")
		}
	})
}

// measure runs work and reports it as shares of its goals.
func measure(b *testing.B, goalNS, goalAllocs float64, work func()) {
	b.ReportAllocs()
	for b.Loop() {
		work()
	}
	b.StopTimer()
	ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	allocs := testing.AllocsPerRun(100, work)
	b.ReportMetric(ns/goalNS, "of-goal-time")
	b.ReportMetric(allocs/goalAllocs, "of-goal-allocs")
}
