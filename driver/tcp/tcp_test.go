package tcp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
)

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// server is a serial server with one module: answer gives the bytes for a
// request, nil hangs up.
func server(t testing.TB, answer func(sam.Code) []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			converse(conn, answer)
		}
	}()
	return l.Addr().String()
}

func converse(conn net.Conn, answer func(sam.Code) []byte) {
	defer conn.Close()
	s := sam.Sniffer{Commands: true}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		s.Write(buf[:n])
		for {
			b, ok := s.Next()
			if !ok {
				break
			}
			a := answer(b.Code())
			if a == nil {
				return
			}
			conn.Write(a)
		}
	}
}

// TestRead: a whole session, junk before every answer.
func TestRead(t *testing.T) {
	data := append([]byte{1, 0, 4, 0}, bytes.Repeat([]byte{0x20, 0x00}, 640)...)
	answers := map[sam.Code][]byte{
		sam.CmdSAMID:       sam.Answer(0, 0, sam.OK, make([]byte, 16)),
		sam.CmdSelfTest:    sam.Answer(0, 0, sam.OK, nil),
		sam.CmdFind:        sam.Answer(0, 0, sam.CardFound, make([]byte, 4)),
		sam.CmdSelect:      sam.Answer(0, 0, sam.OK, make([]byte, 8)),
		sam.CmdReadText:    sam.Answer(0, 0, sam.OK, data),
		sam.CmdReadAddress: sam.Answer(0, 0, sam.NoSuchItem, nil),
	}
	addr := server(t, func(c sam.Code) []byte { return append([]byte{0x02, 0x00, 0x03}, answers[c]...) })
	dev, err := Driver{}.Open(within(t), driver.Spec{Name: "front", Port: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	id, err := dev.Identify(within(t))
	if err != nil || id.Detail != "tcp "+addr || id.Status != sam.OK {
		t.Errorf("Identify: %+v, %v", id, err)
	}
	if ok, err := dev.Find(within(t)); !ok || err != nil {
		t.Errorf("Find: %v, %v", ok, err)
	}
	card, err := dev.Read(within(t))
	if err != nil || len(card.Photo) != 1024 || card.Text[0] != ' ' {
		t.Errorf("Read: %v", err)
	}
	if ok, err := dev.Present(within(t)); !ok || err != nil {
		t.Errorf("Present: %v, %v", ok, err)
	}
}

// TestHangUp: the server's end of the connection is the reader's.
func TestHangUp(t *testing.T) {
	addr := server(t, func(sam.Code) []byte { return nil })
	dev, err := Driver{}.Open(within(t), driver.Spec{Name: "front", Port: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if _, err := dev.Find(within(t)); !errors.Is(err, driver.ErrGone) {
		t.Errorf("Find: %v", err)
	}
}

func TestDialFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for _, addr := range []string{closed, "127.0.0.1", "127.0.0.1:99999", ""} {
		_, err := Driver{}.Open(within(t), driver.Spec{Name: "front", Port: addr})
		var e *driver.Error
		if !errors.Is(err, driver.ErrGone) || !errors.As(err, &e) || e.Reader != "front" || !strings.Contains(err.Error(), "open") {
			t.Errorf("Open(%q): %v", addr, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (Driver{}).Open(ctx, driver.Spec{Port: closed}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open under a context that is over: %v", err)
	}
}

func TestDiscover(t *testing.T) {
	if found, err := (Driver{}).Discover(within(t)); len(found) != 0 || err != nil {
		t.Errorf("Discover: %v, %v", found, err)
	}
}
