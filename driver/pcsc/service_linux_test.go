//go:build !nopcsc

package pcsc

import (
	"errors"
	"testing"

	"idtap/driver"
	"idtap/driver/pcsc/pcsctest"
	"idtap/driver/simcard"
)

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
	for i, c := range simcard.Generate(1, 3) {
		card := pcsctest.Insert(t, service.Slot(0), pagesOf(c))
		find(t, dev)
		for range 2 {
			raw, err := attempt(t, dev)
			if err != nil || raw.Text != c.Text() {
				t.Fatalf("card %d: another one, error %v", i, err)
			}
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
