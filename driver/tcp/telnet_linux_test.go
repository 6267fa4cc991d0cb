package tcp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/driver/tcp"
)

// module is a simulated reader with a card whose photo holds bytes FF.
func module(t *testing.T) *mock.Module {
	t.Helper()
	m := mock.NewModule(mock.Options{})
	m.Place(simcard.SampleResident())
	return m
}

// ser2net runs the serial server of that name between a pseudo terminal with the
// module and a TCP port, and returns the port's address.
func ser2net(t *testing.T, accepter string) string {
	t.Helper()
	s, err := mock.OpenPTY(module(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { s.Serve(ctx); close(served) }()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	file := filepath.Join(t.TempDir(), "ser2net.yaml")
	text := fmt.Sprintf("connection: &c1\n  accepter: %s,tcp,127.0.0.1,%d\n  connector: serialdev(nouucplock=true),%s,115200n81,local\n  options:\n    kickolduser: true\n",
		accepter, port, s.Address())
	if accepter == "tcp" {
		text = fmt.Sprintf("connection: &c1\n  accepter: tcp,127.0.0.1,%d\n  connector: serialdev(nouucplock=true),%s,115200n81,local\n  options:\n    kickolduser: true\n", port, s.Address())
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.CommandContext(ctx, "/usr/sbin/ser2net", "-n", "-c", file)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatalf("ser2net (Debian package of that name): %v", err)
	}
	t.Cleanup(func() {
		stop()
		server.Wait()
		<-served
		if t.Failed() {
			t.Logf("ser2net said: %s", &log)
		}
	})
	awaitListener(t, address)
	return address
}

// awaitListener waits until an address takes connections.
func awaitListener(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("nothing listens on %s: %v", address, err)
		}
	}
}

// session opens the reader, finds and reads its card.
func session(t *testing.T, address string) (driver.RawCard, uint64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dev, err := tcp.Driver{}.Open(ctx, driver.Spec{Name: "front", Port: address, Baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if _, err = dev.Identify(ctx); err != nil {
		return driver.RawCard{}, driver.LineErrors(dev), err
	}
	if found, err := dev.Find(ctx); !found || err != nil {
		return driver.RawCard{}, driver.LineErrors(dev), err
	}
	raw, err := dev.Read(ctx)
	return raw, driver.LineErrors(dev), err
}

// TestSerialServers: a server that passes bytes on is read through; one that
// speaks telnet is named as that, with its remedy, and not as a noisy line.
func TestSerialServers(t *testing.T) {
	for accepter, want := range map[string]error{"tcp": nil, "telnet": driver.ErrTelnet, "telnet(rfc2217)": driver.ErrTelnet} {
		t.Run(accepter, func(t *testing.T) {
			raw, _, err := session(t, ser2net(t, accepter))
			if !errors.Is(err, want) {
				t.Fatalf("session = %v, want %v", err, want)
			}
			if want == nil {
				if got := simcard.SampleResident().Text(); raw.Text != got {
					t.Error("another card was read than lies there")
				}
				return
			}
			if f, ok := sam.Explain("front", err); !ok || f.Code != "sam_telnet" {
				t.Errorf("Explain = %s, %v, want sam_telnet", f.Code, ok)
			}
		})
	}
}

// doubling is a connection on which every byte FF that comes is doubled, as by a
// telnet server that was not asked for anything and negotiates nothing.
type doubling struct {
	net.Conn
	text bool // CR is followed by NUL, too
}

func (d doubling) Write(p []byte) (int, error) {
	q := bytes.ReplaceAll(p, []byte{0xFF}, []byte{0xFF, 0xFF})
	if d.text {
		q = bytes.ReplaceAll(q, []byte{'\r'}, []byte{'\r', 0})
	}
	if _, err := d.Conn.Write(q); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TestDoubledBytes: without negotiation the answers alone show what the server
// does to them: text and photo are whole but for doubled bytes.
func TestDoubledBytes(t *testing.T) {
	for _, text := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		m := module(t)
		go func() {
			defer close(ended)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.Serve(t.Context(), doubling{conn, text}, nil)
		}()
		_, errs, err := session(t, l.Addr().String())
		l.Close()
		<-ended
		if !errors.Is(err, driver.ErrTelnet) {
			t.Errorf("text %v: session = %v with %d line errors, want %v", text, err, errs, driver.ErrTelnet)
		}
	}
}

var _ io.ReadWriteCloser = doubling{}
