package sam

import (
	"bytes"
	"testing"
)

// sniff feeds pieces and collects copies of the bodies.
func sniff(s *Sniffer, pieces ...[]byte) [][]byte {
	var bodies [][]byte
	for _, p := range pieces {
		s.Write(p)
		bodies = append(bodies, rest(s)...)
	}
	return bodies
}

func rest(s *Sniffer) [][]byte {
	var bodies [][]byte
	for {
		b, ok := s.Next()
		if !ok {
			return bodies
		}
		bodies = append(bodies, bytes.Clone(b))
	}
}

// settled is sniff with the silence that ends a line.
func settled(s *Sniffer, pieces ...[]byte) [][]byte {
	bodies := sniff(s, pieces...)
	for s.Pending() {
		s.Silence()
		bodies = append(bodies, rest(s)...)
	}
	return bodies
}

var vendorTimeout = []byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x05, 0x05, 0x05, 0x05}

// TestTrap15SnifferForeignTraffic: whatever stands before, between or behind
// two frames, both are found, and the damage is counted.
func TestTrap15SnifferForeignTraffic(t *testing.T) {
	one, two := status(NoCard), foundFrame
	flip := func(f []byte, i int) []byte {
		f = bytes.Clone(f)
		f[i] ^= 0x10
		return f
	}
	for _, c := range []struct {
		name   string
		stream [][]byte
		errors uint64
	}{
		{"clean", [][]byte{one, two}, 0},
		{"one sync byte missing", [][]byte{one[1:], two}, 1},
		{"one sync byte more", [][]byte{{0xAA}, one, two}, 1},
		{"many sync bytes more", [][]byte{bytes.Repeat([]byte{0xAA}, 50), one, two}, 1},
		{"STX ETX blocks", [][]byte{{0x02, 0x00, 0x03, 0x10, 0x20, 0x30, 0x03}, one, {0x02, 0x00, 0x01, 0x55, 0x03}, two}, 2},
		{"CCID-like", [][]byte{{0x80, 0x02, 0, 0, 0, 0, 0x11, 0, 0, 0, 0x90, 0x00}, one, two}, 1},
		{"ASCII", [][]byte{[]byte("D&C00040101\r\n"), one, []byte("ready\r\n"), two}, 2},
		{"vendor wrapper with trailing sum", [][]byte{{0xAA, 0x05, 0x12, 0xA0, 0x10}, one, {0x5C}, two}, 2},
		{"zero displaced into the preamble", [][]byte{{0xAA, 0x00}, one, two}, 1},
		{"vendor time-out frame", [][]byte{vendorTimeout, one, two}, 2},
		{"vendor time-out frame last", [][]byte{one, two, vendorTimeout}, 2},
		{"half a preamble", [][]byte{{0xAA, 0xAA, 0x96}, one, two}, 1},
		{"preamble inside a preamble", [][]byte{{0xAA, 0xAA, 0xAA, 0x96, 0x69}, one, two}, 2},
		{"length of nothing", [][]byte{{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x00}, one, two}, 2},
		{"length beyond the limit", [][]byte{{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x10, 0x01}, one, two}, 2},
		{"echo of the request", [][]byte{CmdFind.Frame(), one, two}, 2},
		{"flipped data", [][]byte{flip(foundFrame, 11), one, two}, 2},
		{"flipped length, short", [][]byte{flip(selectedFrame, 6), one, two}, 2},
		{"flipped length, long", [][]byte{flip(one, 5), one, two}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Sniffer
			got := settled(&s, c.stream...)
			if len(got) != 2 || !bytes.Equal(got[0], one[7:10]) || !bytes.Equal(got[1], two[7:14]) {
				t.Errorf("found %d frames, want both: % X", len(got), got)
			}
			if s.Stats().Errors() != c.errors {
				t.Errorf("stats %+v: %d errors, want %d", s.Stats(), s.Stats().Errors(), c.errors)
			}
		})
	}
}

// TestTrap15SnifferLengthNeverArrives: a frame whose rest does not come holds
// the following one only until the inter-byte time has passed.
func TestTrap15SnifferLengthNeverArrives(t *testing.T) {
	var s Sniffer
	long := []byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x0F, 0xFF, 0x00}
	if got := sniff(&s, long, foundFrame); len(got) != 0 || !s.Pending() {
		t.Fatalf("found %d frames inside one that is outstanding, pending %v", len(got), s.Pending())
	}
	s.Silence()
	if got := rest(&s); len(got) != 1 || !bytes.Equal(got[0], foundFrame[7:14]) {
		t.Fatalf("the frame behind the false start is lost: % X", got)
	}
	if s.Stats().Cut != 1 || s.Pending() {
		t.Errorf("stats %+v, pending %v", s.Stats(), s.Pending())
	}
}

// TestTrap15SnifferKeepsPayload: a whole frame inside a payload is payload.
func TestTrap15SnifferKeepsPayload(t *testing.T) {
	outer := Answer(0, 0, OK, bytes.Repeat(foundFrame, 8))
	for n := 1; n <= len(outer); n++ {
		var s Sniffer
		got := sniff(&s, outer[:n], outer[n:])
		if len(got) != 1 || len(got[0]) != len(outer)-8 || s.Stats().Errors() != 0 {
			t.Fatalf("cut at %d: %d frames, stats %+v", n, len(got), s.Stats())
		}
	}
}

// TestSnifferSplitAndMerged: every way of cutting a stream in two, and byte by
// byte, gives the same frames and the same counts.
func TestSnifferSplitAndMerged(t *testing.T) {
	stream := bytes.Join([][]byte{{0x02, 0xAA}, status(NoCard), vendorTimeout, cardFrame(specimen(1))[1:], {0xAA, 0xAA}, foundFrame, {0xAA}}, nil)
	var whole Sniffer
	want := settled(&whole, stream)
	if len(want) != 3 {
		t.Fatalf("%d frames in the stream, want 3", len(want))
	}
	check := func(pieces ...[]byte) {
		t.Helper()
		var s Sniffer
		got := settled(&s, pieces...)
		if len(got) != len(want) || s.Stats() != whole.Stats() {
			t.Fatalf("%d frames, stats %+v; want %d, %+v", len(got), s.Stats(), len(want), whole.Stats())
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("frame %d differs", i)
			}
		}
	}
	for n := range stream {
		check(stream[:n], stream[n:])
	}
	var bytewise [][]byte
	for i := range stream {
		bytewise = append(bytewise, stream[i:i+1])
	}
	check(bytewise...)
}

// TestSnifferBounded: endless noise does not pile up.
func TestSnifferBounded(t *testing.T) {
	for _, noise := range [][]byte{bytes.Repeat([]byte{0xAA}, 1000), bytes.Repeat([]byte{0x55}, 1000),
		bytes.Repeat([]byte{0xAA, 0xAA, 0x96}, 333), bytes.Repeat([]byte{0xAA, 0xAA, 0x96, 0x69, 0x0F, 0xF0}, 160)} {
		var s Sniffer
		for range 100 {
			sniff(&s, noise)
		}
		if cap(s.buf) > 4*MaxBody {
			t.Errorf("buffer grew to %d bytes on % X…", cap(s.buf), noise[:6])
		}
	}
}

func TestSnifferResetOverwrites(t *testing.T) {
	var s Sniffer
	b := cardFrame(specimen(0x41))
	s.Write(b[:900])
	s.Next()
	kept := s.buf[:cap(s.buf)]
	s.Reset()
	for i, x := range kept {
		if x != 0 {
			t.Fatalf("byte %d of the buffer is still there", i)
		}
	}
	if got := sniff(&s, foundFrame); len(got) != 1 {
		t.Errorf("%d frames after a reset, want 1", len(got))
	}
}

// FuzzSniffer: a valid frame in any junk is found in the end, and how the
// stream is cut does not change what is found.
func FuzzSniffer(f *testing.F) {
	f.Add([]byte{}, []byte{0x80}, []byte{}, uint8(1))
	f.Add([]byte{0xAA, 0xAA}, []byte{0x9F, 0, 0, 0, 0}, []byte{0xAA}, uint8(3))
	f.Add(vendorTimeout, []byte{0x90}, vendorTimeout, uint8(7))
	f.Add([]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x0F, 0xFF}, []byte{0x90, 1, 2}, []byte{0x96, 0x69}, uint8(2))
	f.Add(foundFrame, []byte{0x90}, selectedFrame, uint8(200))
	f.Fuzz(func(t *testing.T, before, content, after []byte, cut uint8) {
		if len(content) == 0 || len(content) > MaxBody-3 || len(before) > 8192 || len(after) > 8192 {
			return
		}
		want := append([]byte{0, 0}, content...)
		stream := bytes.Join([][]byte{before, frame(want[:3], want[3:]), after}, nil)

		var whole Sniffer
		bodies := settled(&whole, stream)
		found := false
		for _, b := range bodies {
			// A valid frame of the junk may contain or overlap ours: then ours
			// was payload. Otherwise it must be there.
			found = found || bytes.Equal(b, want) || bytes.Contains(b, []byte{0x96, 0x69})
		}
		if !found && !overlapped(before, stream) {
			t.Fatalf("the frame in the junk was not found among %d", len(bodies))
		}

		step := int(cut)%64 + 1
		var pieces [][]byte
		for p := stream; len(p) > 0; p = p[min(step, len(p)):] {
			pieces = append(pieces, p[:min(step, len(p))])
		}
		var cutting Sniffer
		again := settled(&cutting, pieces...)
		if len(again) != len(bodies) || cutting.Stats() != whole.Stats() {
			t.Fatalf("cut every %d: %d frames, %+v; whole: %d, %+v", step, len(again), cutting.Stats(), len(bodies), whole.Stats())
		}
		for i := range again {
			if !bytes.Equal(again[i], bodies[i]) {
				t.Fatalf("cut every %d: frame %d differs", step, i)
			}
		}
		if n := whole.Stats().Skipped; n > uint64(len(stream)) {
			t.Fatalf("%d bytes skipped of %d", n, len(stream))
		}
	})
}

// overlapped reports whether a valid frame that begins in the first part of a
// stream reaches beyond it: it swallows what follows by right.
func overlapped(first, stream []byte) bool {
	for i := range first {
		if !bytes.HasPrefix(stream[i:], mark) || len(stream) < i+6 {
			continue
		}
		n := int(stream[i+4])<<8 | int(stream[i+5])
		if end := i + 6 + n; n >= minAnswer && n <= MaxBody && end > len(first) && end <= len(stream) && xor(stream[i+4:end]) == 0 {
			return true
		}
	}
	return false
}

func BenchmarkSniffer(b *testing.B) {
	for _, c := range []struct {
		name  string
		frame []byte
	}{{"status 11 B", status(NoCard)}, {"card 1295 B", cardFrame(specimen(7))}} {
		b.Run(c.name, func(b *testing.B) {
			var s Sniffer
			b.SetBytes(int64(len(c.frame)))
			b.ReportAllocs()
			for b.Loop() {
				s.Write(c.frame)
				if _, ok := s.Next(); !ok {
					b.Fatal("no frame")
				}
			}
		})
	}
	b.Run("noise 4096 B", func(b *testing.B) {
		noise := bytes.Repeat([]byte{0xAA, 0xAA, 0x96, 0x00, 0x69, 0x02, 0x03, 0x55}, 512)
		var s Sniffer
		b.SetBytes(int64(len(noise)))
		b.ReportAllocs()
		for b.Loop() {
			s.Write(noise)
			s.Next()
		}
	})
}

// BenchmarkDecodeCard is the way of a 1295-byte answer from the line to a
// driver.RawCard.
func BenchmarkDecodeCard(b *testing.B) {
	raw := cardFrame(specimen(7))
	var s Sniffer
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		s.Write(raw)
		body, ok := s.Next()
		if !ok {
			b.Fatal("no frame")
		}
		if _, err := ParseCard(body.Data()); err != nil {
			b.Fatal(err)
		}
	}
}
