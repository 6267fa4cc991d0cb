package usb

import (
	"bytes"
	"testing"

	"idtap/driver/sam"
)

// answers are frames of every size that is in use.
func answers() [][]byte {
	list := [][]byte{sam.Answer(0, 0, sam.OK, nil), sam.Answer(0, 0, sam.CardFound, make([]byte, 4))}
	for _, n := range []int{8, 16, 28, 70, 140, 280, 1284, 1286, 2310} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i*7 + i>>8)
		}
		list = append(list, sam.Answer(0, 0, sam.OK, data))
	}
	return list
}

// reportsOf is what a bare HID reader sends: the frame in blocks of 64 bytes, the
// rest of the last one filled with something.
func reportsOf(frame []byte, filler byte) [][]byte {
	var list [][]byte
	for len(frame) > 0 {
		r := bytes.Repeat([]byte{filler}, reportSize)
		n := copy(r, frame)
		frame = frame[n:]
		list = append(list, r)
	}
	return list
}

// miaxisReportsOf is what a Miaxis reader sends, written from its description: AA,
// sequence, length, result, two bytes, up to 54 of the frame, sum.
func miaxisReportsOf(frame []byte) [][]byte {
	var list [][]byte
	for len(frame) > 0 {
		n := min(len(frame), 54)
		r := make([]byte, 64)
		r[0], r[1], r[2] = 0xAA, 1, 2
		r[3], r[4] = byte(n+3), 0
		r[5], r[6], r[7] = 0, 0x10, 0x20
		copy(r[8:], frame[:n])
		sum := 0
		for _, b := range r[3 : 8+n] {
			sum += int(b)
		}
		r[8+n], r[9+n] = byte(sum), byte(sum>>8)
		list, frame = append(list, r), frame[n:]
	}
	return list
}

func unpacked(f framing, reports [][]byte) []byte {
	var out []byte
	for _, r := range reports {
		out = append(out, f.unpack(r)...)
	}
	return out
}

// TestPaddingIsNoPartOfTheStream: answers of every size come out whole and nothing
// else does, whatever fills the last report.
func TestPaddingIsNoPartOfTheStream(t *testing.T) {
	for _, a := range answers() {
		for _, filler := range []byte{0, 0xff, 0xAA, 0x96} {
			if got := unpacked(&bare{}, reportsOf(a, filler)); !bytes.Equal(got, a) {
				t.Errorf("an answer of %d bytes, filled with %02x: %d bytes came out", len(a), filler, len(got))
			}
		}
		if got := unpacked(&miaxis{}, miaxisReportsOf(a)); !bytes.Equal(got, a) {
			t.Errorf("Miaxis, an answer of %d bytes: %d bytes came out", len(a), len(got))
		}
	}
	if n := len(reportsOf(answers()[len(answers())-1], 0)); n != 37 {
		t.Errorf("the longest answer takes %d reports, want 37", n)
	}
}

func TestRequestsOnHID(t *testing.T) {
	frame := sam.CmdFind.Frame() // AA AA AA 96 69 00 03 20 01 22
	got := (&bare{}).pack(frame)
	if want := append(bytes.Clone(frame), make([]byte, 54)...); len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("bare request = % x, want % x", got, want)
	}
	// length 11: the command and 10 bytes; sum 0B+00+B1 and the frame's own bytes.
	want := append([]byte{0x88, 0, 0, 0x0B, 0, 0xB1}, frame...)
	sum := 0
	for _, b := range want[3:] {
		sum += int(b)
	}
	want = append(want, byte(sum), byte(sum>>8))
	want = append(want, make([]byte, 64-len(want))...)
	if got := (&miaxis{}).pack(frame); len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("Miaxis request = % x, want % x", got, want)
	}
}

// TestHIDBadReports: reports that belong to no frame, damaged ones and frames that
// were given up.
func TestHIDBadReports(t *testing.T) {
	long, short := answers()[9], answers()[0]
	t.Run("noise before a frame", func(t *testing.T) {
		noise := [][]byte{make([]byte, 64), bytes.Repeat([]byte{0xAA}, 64), bytes.Repeat([]byte{0x17}, 64)}
		if got := unpacked(&bare{}, append(noise, reportsOf(short, 0)...)); !bytes.Equal(got, short) {
			t.Errorf("got % x, want % x", got, short)
		}
	})
	t.Run("leading byte lost", func(t *testing.T) {
		if got := unpacked(&bare{}, reportsOf(long[1:], 0)); !bytes.Equal(got, long[1:]) {
			t.Errorf("%d bytes came out, want %d", len(got), len(long)-1)
		}
	})
	t.Run("leading bytes too many", func(t *testing.T) {
		if got := unpacked(&bare{}, reportsOf(append([]byte{0xAA, 0xAA}, long...), 0)); !bytes.Equal(got, long) {
			t.Errorf("%d bytes came out, want %d", len(got), len(long))
		}
	})
	t.Run("given up half way", func(t *testing.T) {
		f := &bare{}
		unpacked(f, reportsOf(long, 0)[:3])
		f.reset()
		if got := unpacked(f, reportsOf(short, 0)); !bytes.Equal(got, short) {
			t.Errorf("got % x, want % x", got, short)
		}
	})
	t.Run("rest never came", func(t *testing.T) {
		f := &bare{}
		unpacked(f, reportsOf(long, 0)[:3])
		if got := unpacked(f, reportsOf(short, 0)); !bytes.Equal(got, short) {
			t.Errorf("got % x, want % x", got, short)
		}
	})
	t.Run("length beyond all frames", func(t *testing.T) {
		mad := reportsOf([]byte{0xAA, 0xAA, 0xAA, 0x96, 0x69, 0xff, 0xff}, 0)
		if got := unpacked(&bare{}, mad); len(got) != 0 {
			t.Errorf("% x came out, want nothing", got)
		}
	})
	t.Run("Miaxis sum", func(t *testing.T) {
		reports := miaxisReportsOf(long)
		reports[2][20] ^= 1
		if got := unpacked(&miaxis{}, reports); len(got) >= len(long) {
			t.Errorf("%d bytes came out of a damaged report, want fewer than %d", len(got), len(long))
		}
	})
}

// FuzzHID: what comes out of a report is a part of it, a whole frame that follows
// comes out whole after a reset, and nothing panics.
func FuzzHID(f *testing.F) {
	for _, a := range answers()[:4] {
		f.Add(bytes.Join(reportsOf(a, 0), nil))
		f.Add(bytes.Join(miaxisReportsOf(a), nil))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, fr := range []framing{&bare{}, &miaxis{}} {
			for rest := stream; len(rest) > 0; {
				report := rest[:min(reportSize, len(rest))]
				rest = rest[len(report):]
				if out := fr.unpack(report); !bytes.Contains(report, out) {
					t.Fatalf("% x is no part of the report", out)
				}
			}
			fr.reset()
			a := answers()[2]
			reports := reportsOf(a, 0xAA)
			if _, is := fr.(*miaxis); is {
				reports = miaxisReportsOf(a)
			}
			if got := unpacked(fr, reports); !bytes.Equal(got, a) {
				t.Fatalf("the frame after it = % x, want % x", got, a)
			}
		}
	})
}
