package mock_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/tcp"
)

type server interface {
	Address() string
	Serve(context.Context) error
}

// serve runs a server until the test ends and checks how it ended.
func serve(t *testing.T, s server) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serving ended with %v", err)
		}
	})
}

// readOne finds and reads one card that lies there.
func readOne(t *testing.T, d driver.Device, want simcard.Card) {
	t.Helper()
	if ok, err := d.Find(t.Context()); !ok || err != nil {
		t.Fatalf("find: %v, %v", ok, err)
	}
	raw, err := d.Read(t.Context())
	for again := 0; errors.Is(err, driver.ErrProtocol) && again < 5; again++ { // a machine that is busy elsewhere pauses the line
		raw, err = d.Read(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if raw.Text != want.Text() {
		t.Error("another text than the card's")
	}
}

func TestServeTCP(t *testing.T) {
	m := mock.NewModule(mock.Options{})
	s, err := mock.ListenTCP(m, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s)
	m.Place(resident)
	for range 2 { // the next client after the first has left
		d, err := tcp.Driver{}.Open(t.Context(), driver.Spec{Name: "side", Port: s.Address()})
		if err != nil {
			t.Fatal(err)
		}
		readOne(t, d, resident)
		d.Close()
		m.Lift()
		m.Place(resident)
	}
}

func TestServeTCPUnplugFault(t *testing.T) {
	faults, err := mock.ParseFaults("unplug=1:find")
	if err != nil {
		t.Fatal(err)
	}
	m := mock.NewModule(mock.Options{Faults: faults})
	s, err := mock.ListenTCP(m, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s)
	for range 2 { // unplugged, and there again
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		conn.Write(sam.CmdFind.Frame())
		buf := make([]byte, 64)
		got := 0
		for {
			n, err := conn.Read(buf)
			got += n
			if err != nil {
				break
			}
		}
		if got >= 11 {
			t.Errorf("%d bytes of the answer came before the unplugging", got)
		}
		conn.Close()
	}
	if n := m.Injected()["unplug"]; n != 2 {
		t.Errorf("unplugged %d times, want 2", n)
	}
}
