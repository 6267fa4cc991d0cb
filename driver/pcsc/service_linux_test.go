package pcsc

import (
	"context"
	"errors"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/pcsc/pcsctest"
)

// pages answers page reads with a card's data, as a reader of profile paged does.
func pages(c mock.Card) func([]byte) []byte {
	text, photo := c.Text(), c.Photo()
	data := append([]byte{1, 0, 4, 0}, text[:]...)
	data = append(data, photo...)
	return func(apdu []byte) []byte {
		if len(apdu) != 5 || apdu[0] != 0xFF || apdu[1] != 0xB0 {
			return []byte{0x6D, 0x00}
		}
		at := int(apdu[2]) * 256
		if at >= len(data) {
			return []byte{0x6B, 0x00}
		}
		return append(append([]byte(nil), data[at:min(at+256, len(data))]...), 0x90, 0x00)
	}
}

// await asks for something until it is so.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func open(t *testing.T, d *Driver, s driver.Spec) driver.Device {
	t.Helper()
	dev, err := d.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func find(t *testing.T, dev driver.Device) {
	t.Helper()
	await(t, "a card is found", func() bool {
		found, err := dev.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	})
}

// both runs a test once with each backend, each time in a process of its own
// with a pcscd of its own.
func both(t *testing.T, f func(t *testing.T, d *Driver, service *pcsctest.Service)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if pcsctest.Private(t) {
				f(t, &Driver{way: way}, pcsctest.StartService(t))
			}
		})
	}
}

func TestPagedReadsCards(t *testing.T) { both(t, testPagedReadsCards) }

func testPagedReadsCards(t *testing.T, d *Driver, service *pcsctest.Service) {
	dev := open(t, d, driver.Spec{Name: "front", Port: "Virtual*00", Profile: "paged"})
	id, err := dev.Identify(context.Background())
	t.Logf("%+v %v", id, err)
	for i, c := range mock.Generate(1, 3) {
		card := pcsctest.Insert(t, service.Slot(0), pages(c))
		find(t, dev)
		for range 2 {
			start := time.Now()
			raw, err := dev.Read(t.Context())
			if err != nil || raw.Text != c.Text() {
				t.Fatalf("card %d: another one, error %v", i, err)
			}
			t.Log(time.Since(start))
			if there, err := dev.Present(t.Context()); err != nil || !there {
				t.Fatalf("card %d: present %v, error %v", i, there, err)
			}
		}
		card.Take(t)
		await(t, "the card is lifted", func() bool {
			there, err := dev.Present(t.Context())
			return !there && err == nil
		})
	}
	if _, err := dev.Read(t.Context()); !errors.Is(err, driver.ErrNoCard) {
		t.Errorf("without a card: %v", err)
	}
}
