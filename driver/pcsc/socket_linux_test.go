//go:build !nopcsc

package pcsc

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// pcscd is the other end of the socket, as far as a test plays it: it gets the
// body of each request and gives the answer, or nil to hang up.
func pcscd(t *testing.T, answer func(command uint32, body []byte) []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "comm")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv(socketEnv, path)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					var header [2]uint32
					if binary.Read(c, binary.NativeEndian, &header) != nil {
						return
					}
					body := make([]byte, header[0])
					if _, err := io.ReadFull(c, body); err != nil {
						return
					}
					out := answer(header[1], body)
					if out == nil {
						return
					}
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
}

func words(list ...uint32) []byte {
	var b []byte
	for _, w := range list {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// TestVersions meets the versions of pcscd that there are: see facts of
// pcsc-lite's ChangeLog in docs/decisions/pcsc-backends.md.
func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		speak func(minor uint32) []byte // what the offer 4:minor is answered
		want  error
	}{
		{"1.8.24 to 2.2", func(minor uint32) []byte { return words(4, minor, refuse(minor != 4)) }, nil},
		{"2.3.0 to 2.4.0", func(minor uint32) []byte { return words(4, 5, refuse(minor != 5)) }, nil},
		{"2.5", func(minor uint32) []byte { return words(4, minor, 0) }, nil},
		{"a later protocol", func(uint32) []byte { return words(5, 0, 0) }, codeNoService},
		{"one that refuses both", func(uint32) []byte { return words(4, 9, uint32(codeServiceStopped)) }, codeServiceStopped},
		{"hangs up", func(uint32) []byte { return nil }, codeNoService},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pcscd(t, func(command uint32, body []byte) []byte {
				switch command {
				case cmdVersion:
					return tt.speak(binary.NativeEndian.Uint32(body[4:]))
				case cmdEstablish:
					return words(scopeSystem, 7, 0)
				case cmdRelease:
					return words(7, 0)
				}
				t.Errorf("command %d", command)
				return nil
			})
			s, err := socket{}.establish()
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err == nil {
				if err := s.release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func refuse(yes bool) uint32 {
	if yes {
		return uint32(codeServiceStopped)
	}
	return 0
}

// TestRefusedByPolkit has pcscd drop the connection with the request unread, as
// it does to users that may not.
func TestRefusedByPolkit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "comm")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv(socketEnv, path)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1)) // something is there, and is left unread
			c.Close()
		}
	}()
	d := &Driver{way: socket{}}
	if v := d.Survey(t.Context()); v.Service != Refused {
		t.Errorf("%+v", v)
	}
}

// TestHostileAnswers has pcscd say what it never says.
func TestHostileAnswers(t *testing.T) {
	for name, size := range map[string]uint32{"too long": maxAnswer + 1, "endless": 0xFFFFFFFF} {
		pcscd(t, func(command uint32, body []byte) []byte {
			switch command {
			case cmdVersion:
				return words(4, 4, 0)
			case cmdTransmit:
				return append(words(1, 2, 16, 5, 3, 16, size, 0), 1, 2, 3)
			case cmdReaders: // a name without an end, an ATR longer than its room
				all := make([]byte, maxReaders*184)
				for i := range 184 {
					all[i] = 0xFF
				}
				return all
			}
			return nil
		})
		conn, err := net.Dial("unix", os.Getenv(socketEnv))
		if err != nil {
			t.Fatal(err)
		}
		s := &socketService{conn: conn}
		if err := s.agree(); err != nil {
			t.Fatal(err)
		}
		names, err := s.readers()
		if err != nil || len(names) != 1 || len(names[0]) != nameSize {
			t.Errorf("readers: %d, %v", len(names), err)
		}
		if states, err := s.states(names); err != nil || len(states) != 1 || states[0].atr != nil {
			t.Errorf("states: %+v, %v", states, err)
		}
		if _, err := (&socketCard{s: s, protocol: protocolT1}).transmit([]byte{1}); !errors.Is(err, codeCommError) {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
}
