package mock_test

import (
	"testing"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/serial"
)

// TestServePTY reads over a pseudo terminal through the real serial driver, which
// finds the rate.
func TestServePTY(t *testing.T) {
	for _, baud := range []int{115200, 9600} {
		m := mock.NewModule(mock.Options{Timing: mock.Timing{Baud: baud}})
		s, err := mock.OpenPTY(m)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, s)
		m.Place(resident)
		d, err := new(serial.Driver).Open(t.Context(), driver.Spec{Name: "front", Port: s.Address()})
		if err != nil {
			t.Fatalf("%d baud: %v", baud, err)
		}
		id, err := d.Identify(t.Context())
		if err != nil || id.Baud != baud {
			t.Errorf("identify: %d baud, %v; want %d", id.Baud, err, baud)
		}
		readOne(t, d, resident)
		d.Close()
	}
}
