package mock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/simcard"
)

func TestDriverTapsOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &mock.Driver{Every: 5 * time.Second}
		want := simcard.Demo()
		seen := 0
		for reopened := range 2 { // the schedule goes on where it was
			dev, err := d.Open(t.Context(), driver.Spec{Name: "demo"})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				for {
					ok, err := dev.Find(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if ok {
						break
					}
					time.Sleep(150 * time.Millisecond) // the bubble's clock
				}
				raw, err := dev.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if raw.Text != want[seen].Text() {
					t.Errorf("opening %d: card %d is another one", reopened, seen)
				}
				seen++
				for {
					if here, _ := dev.Present(t.Context()); !here {
						break
					}
					time.Sleep(150 * time.Millisecond)
				}
			}
			dev.Close()
		}
	})
}

func TestDriverCardsSource(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "cards.yaml")
	if err := os.WriteFile(bad, []byte("- kind: passport\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &mock.Driver{}
	for port, want := range map[string]error{"/nonexistent/cards.yaml": driver.ErrGone, bad: driver.ErrProtocol} {
		if _, err := d.Open(t.Context(), driver.Spec{Port: port}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", port, err, want)
		}
	}
	if found, err := d.Discover(t.Context()); found != nil || err != nil {
		t.Errorf("discovered %v, %v", found, err)
	}
}
