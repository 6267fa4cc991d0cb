package usb

import (
	"testing"

	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/stream"
)

// BenchmarkReadCycle finds, selects and reads a card on the double of usbfs, which
// answers at once: what is measured is idtap's own share.
func BenchmarkReadCycle(b *testing.B) {
	card := simcard.SampleResident()
	text, photo := card.Text(), card.Photo()
	data := append([]byte{1, 0, byte(len(photo) >> 8), byte(len(photo))}, text[:]...)
	data = append(data, photo...)
	k := newKernel(b, func(f []byte) []step {
		answer := sam.Answer(0, 0, sam.NoSuchItem, nil)
		switch sam.Code(uint16(f[7])<<8 | uint16(f[8])) {
		case sam.CmdFind:
			answer = sam.Answer(0, 0, sam.CardFound, make([]byte, 4))
		case sam.CmdSelect:
			answer = sam.Answer(0, 0, sam.OK, make([]byte, 8))
		case sam.CmdReadText:
			answer = sam.Answer(0, 0, sam.OK, data)
		}
		return []step{{endpoint: 0x81, p: answer}}
	})
	conn, err := newBulk(k, twoPipes)
	if err != nil {
		b.Fatal(err)
	}
	c := sam.NewClient(stream.New(conn, "left"), sam.Options{Name: "left", Baud: innerRate})
	defer c.Close()
	for b.Loop() {
		if found, err := c.Find(b.Context()); !found || err != nil {
			b.Fatalf("Find = %v, %v, want a card", found, err)
		}
		if _, err := c.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms-usb")
}
