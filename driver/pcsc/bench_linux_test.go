//go:build !nopcsc

package pcsc

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"idtap/driver/pcsc/pcsctest"
	"idtap/driver/simcard"
)

// BenchmarkRead measures a whole read of a card by pages through pcscd: what it
// takes beyond the time in which the card makes its answers. The goal is 5 ms
// at the median. vpcd's own way to the card, TCP, is part of it.
func BenchmarkRead(b *testing.B) {
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			if !pcsctest.Private(b) {
				return
			}
			service := pcsctest.StartService(b)
			c := simcard.Generate(1, 1)[0]
			plain := pagesOf(c)
			var own atomic.Int64
			pcsctest.Insert(b, service.Slot(0), func(apdu []byte) []byte {
				start := time.Now()
				defer func() { own.Add(int64(time.Since(start))) }()
				return plain(apdu)
			})
			dev := open(b, &Driver{way: way}, frontSpec)
			await(b, "the card is read", func() bool {
				_, err := dev.Read(b.Context())
				return err == nil
			})
			var beyond []time.Duration
			for b.Loop() {
				own.Store(0)
				start := time.Now()
				if _, err := dev.Read(b.Context()); err != nil {
					b.Fatal(err)
				}
				beyond = append(beyond, time.Since(start)-time.Duration(own.Load()))
			}
			slices.Sort(beyond)
			b.ReportMetric(float64(beyond[len(beyond)/2])/1e6, "ms-median")
			b.ReportMetric(float64(beyond[len(beyond)*99/100])/1e6, "ms-p99")
		})
	}
}
