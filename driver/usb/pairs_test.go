package usb

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestJoinerOrders(t *testing.T) {
	a, b := answers()[0], answers()[8]
	for name, tt := range map[string]struct {
		feed func(j *joiner) []byte
		want []byte
	}{
		"head, body": {func(j *joiner) []byte { return append(j.heads(a[:7]), j.bodies(a[7:])...) }, a},
		"body, head": {func(j *joiner) []byte { return append(j.bodies(a[7:]), j.heads(a[:7])...) }, a},
		"body in pieces around the head": {func(j *joiner) []byte {
			return bytes.Join([][]byte{j.bodies(b[7:64]), j.heads(b[:7]), j.bodies(b[64:100]), j.bodies(b[100:])}, nil)
		}, b},
		"head in pieces":    {func(j *joiner) []byte { return append(append(j.heads(a[:3]), j.heads(a[3:7])...), j.bodies(a[7:])...) }, a},
		"all over one pipe": {func(j *joiner) []byte { return j.heads(b) }, b},
		"body too long": {func(j *joiner) []byte {
			return append(j.heads(a[:7]), j.bodies(append(bytes.Clone(a[7:]), 1, 2, 3))...)
		}, a},
		"empty transfers": {func(j *joiner) []byte {
			return append(append(j.heads(nil), j.heads(a[:7])...), append(j.bodies(nil), j.bodies(a[7:])...)...)
		}, a},
		"an older body waits": {func(j *joiner) []byte {
			return bytes.Join([][]byte{j.bodies(b[7:]), j.bodies(a[7:]), j.heads(a[:7])}, nil)
		}, a},
		"only an older body": {func(j *joiner) []byte {
			return bytes.Join([][]byte{j.bodies(b[7:]), j.heads(a[:7]), j.bodies(a[7:])}, nil)
		}, a},
		"wrong head": {func(j *joiner) []byte {
			return bytes.Join([][]byte{j.bodies(b[7:]), j.heads([]byte("\x55\x53\x42\x53\x00\x00\x00")), j.heads(a[:7]), j.bodies(a[7:])}, nil)
		}, a},
		"mad length": {func(j *joiner) []byte {
			return bytes.Join([][]byte{j.heads([]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0xff, 0xff}), j.heads(a[:7]), j.bodies(a[7:])}, nil)
		}, a},
		"given up, then again": {func(j *joiner) []byte {
			j.heads(b[:7])
			j.bodies(b[7:50])
			j.reset()
			return append(j.heads(a[:7]), j.bodies(a[7:])...)
		}, a},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.feed(&joiner{}); !bytes.Equal(got, tt.want) {
				t.Errorf("%d bytes came out, want %d:\n% x", len(got), len(tt.want), got[:min(len(got), 32)])
			}
		})
	}
}

// FuzzJoiner: noise on either pipe never makes bytes, and after a reset answers
// come out whole however their transfers are cut and ordered.
func FuzzJoiner(f *testing.F) {
	f.Add([]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0, 4}, []byte{0, 0, 0x90, 0x94}, uint64(1))
	f.Add([]byte{0x55}, []byte{}, uint64(2))
	f.Fuzz(func(t *testing.T, head, body []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 7))
		var j joiner
		got := 0
		for h, b := head, body; len(h)+len(b) > 0; {
			n := 1 + r.IntN(64)
			if len(b) == 0 || len(h) > 0 && r.IntN(2) == 0 {
				n = min(n, len(h))
				got += len(j.heads(h[:n]))
				h = h[n:]
			} else {
				n = min(n, len(b))
				got += len(j.bodies(b[:n]))
				b = b[n:]
			}
		}
		if got > len(head)+len(body) {
			t.Fatalf("%d bytes came out of %d", got, len(head)+len(body))
		}
		j.reset()
		for _, a := range answers() {
			var out []byte
			sentHead := r.IntN(2) == 0
			if sentHead {
				out = append(out, j.heads(a[:7])...)
			}
			for rest := a[7:]; len(rest) > 0; {
				n := min(1+r.IntN(1000), len(rest))
				out = append(out, j.bodies(rest[:n])...)
				rest = rest[n:]
			}
			if !sentHead {
				out = append(out, j.heads(a[:7])...)
			}
			if !bytes.Equal(out, a) {
				t.Fatalf("an answer of %d bytes came out as %d", len(a), len(out))
			}
		}
	})
}
