package event

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkSeal and BenchmarkOpen: 1 KiB of data for 1, 2 and 5 recipients.
func BenchmarkSeal(b *testing.B) {
	data := []byte(strings.Repeat("x", 1024))
	for _, n := range []int{1, 2, 5} {
		b.Run(fmt.Sprintf("recipients=%d", n), func(b *testing.B) {
			to := make([]Recipient, n)
			for i := range to {
				to[i] = Recipient{Key: newKey(b).Public()}
			}
			env := testEnvelope()
			size := 0
			for b.Loop() {
				jwe, err := Seal(data, env, to)
				if err != nil {
					b.Fatal(err)
				}
				size = len(jwe)
			}
			b.ReportMetric(float64(size-len(data)), "bytes-over")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	data := strings.Repeat("x", 1024)
	for _, n := range []int{1, 2, 5} {
		b.Run(fmt.Sprintf("recipients=%d", n), func(b *testing.B) {
			keys := make([]PrivateKey, n)
			for i := range keys {
				keys[i] = newKey(b)
			}
			env := testEnvelope()
			jwe := sealTo(b, data, env, keys...)
			env = received(b, env)
			for b.Loop() {
				if _, err := Open(jwe, env, keys[n-1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
