package sam

import (
	"bytes"
	"testing"
)

// TestTrap05InnerLengths: the form follows from the inner lengths, and an answer
// that is not exactly what they say is none.
func TestTrap05InnerLengths(t *testing.T) {
	want := specimen(3)
	for _, c := range []struct {
		name         string
		fingerprints int // -1: the 30 01 form
		total        int // published size of the frame
	}{
		{"30 01", -1, 1295},
		{"no finger", 0, 1297},
		{"one finger", 512, 1809},
		{"two fingers", 1024, 2321},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := cardData(want, c.fingerprints)
			if got := len(Answer(0, 0, OK, data)); got != c.total {
				t.Fatalf("the frame has %d bytes, want %d", got, c.total)
			}
			got, err := ParseCard(data)
			if err != nil || !equalCards(got, want) {
				t.Fatalf("ParseCard failed (%v) or gave another card", err)
			}
			if bytes.Contains(data, bytes.Repeat([]byte{0xF1}, 8)) {
				t.Error("the fingerprints are still in the buffer")
			}
			for _, wrong := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), 0), data[:4], nil} {
				if _, err := ParseCard(wrong); err == nil {
					t.Errorf("%d bytes accepted for a card of %d", len(wrong), len(data))
				}
			}
			for i := range 4 {
				wrong := bytes.Clone(data)
				wrong[i] ^= 0x01
				if _, err := ParseCard(wrong); err == nil {
					t.Errorf("accepted with inner length byte %d changed", i)
				}
			}
		})
	}
	if _, err := ParseCard(cardData(want, 256)); err == nil {
		t.Error("half a fingerprint accepted")
	}
	if _, err := ParseCard(cardData(want, 1536)); err == nil {
		t.Error("three fingerprints accepted")
	}
}

// TestParseCardWithoutPhoto: some modules give none.
func TestParseCardWithoutPhoto(t *testing.T) {
	want := specimen(3)
	want.Photo = nil
	if got, err := ParseCard(cardData(want, -1)); err != nil || !equalCards(got, want) {
		t.Errorf("ParseCard failed (%v) or gave another card", err)
	}
}

// TestTrap11SAMID: vendor's own format, ten digits, unsigned, little-endian.
func TestTrap11SAMID(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{
		{"05000100 5B033301 5AB31E00 00000000", "05.01-20120411-0002011994-0000000000"},
		{"0A000B00 01000000 FFFFFFFF FFFFFFFF", "10.11-00000001-4294967295-4294967295"},
		{"FFFFFFFF FFFFFFFF 00000080 01000000", "65535.65535-4294967295-2147483648-0000000001"},
	} {
		if got := ID(unhex(t, c.bytes)).String(); got != c.want {
			t.Errorf("ID %s = %s, want %s", c.bytes, got, c.want)
		}
	}
}

// TestTrap24AddressRecords: up to four, oldest first, blank ones left out.
func TestTrap24AddressRecords(t *testing.T) {
	blankRecord := record(' ')
	var zero [addressSize]byte
	a, b, c := record('a'), record('b'), record('c')
	for _, tc := range []struct {
		name string
		in   [][addressSize]byte
		want [][addressSize]byte
	}{
		{"one", [][addressSize]byte{a}, [][addressSize]byte{a}},
		{"four", [][addressSize]byte{a, b, c, a}, [][addressSize]byte{a, b, c, a}},
		{"blank slots", [][addressSize]byte{a, blankRecord, b, zero}, [][addressSize]byte{a, b}},
		{"all blank", [][addressSize]byte{blankRecord, zero}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var data []byte
			for _, r := range tc.in {
				data = append(data, r[:]...)
			}
			got, ok := ParseAddresses(data)
			if !ok || len(got) != len(tc.want) {
				t.Fatalf("ParseAddresses = %d records, %v, want %d", len(got), ok, len(tc.want))
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Errorf("record %d is another one", i)
				}
			}
		})
	}
}

// TestAddressesOfAnotherSize: what is no whole number of one to four records is
// no answer to 30 03.
func TestAddressesOfAnotherSize(t *testing.T) {
	for _, n := range []int{0, 1, 69, 71, 139, 281, 5 * addressSize} {
		if got, ok := ParseAddresses(make([]byte, n)); ok || got != nil {
			t.Errorf("ParseAddresses(%d bytes) = %d records, %v, want none, false", n, len(got), ok)
		}
	}
}

// FuzzParseCard: never panics, and what it accepts encodes to the same bytes.
func FuzzParseCard(f *testing.F) {
	for _, n := range []int{-1, 0, 512, 1024, 256} {
		f.Add(cardData(specimen(5), n))
	}
	f.Add([]byte{1, 0, 4, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.Clone(data)
		c, err := ParseCard(data)
		if err != nil {
			return
		}
		finger := len(in) - 6 - textSize - len(c.Photo)
		if finger < 0 {
			finger = -1
		}
		again := cardData(c, finger)
		if n := len(in) - max(0, finger); !bytes.Equal(again[:n], in[:n]) {
			t.Fatal("what was accepted is not what was given")
		}
	})
}
