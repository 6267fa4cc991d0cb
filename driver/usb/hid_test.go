package usb

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/stream"
)

// deviceReports is a double of an open HID collection, whichever system's.
type deviceReports struct {
	t      *testing.T
	in     chan []byte
	answer func(report []byte) [][]byte
	once   sync.Once
	gone   chan struct{}
}

func (d *deviceReports) read(p []byte) (int, error) {
	select {
	case r := <-d.in:
		return copy(p, r), nil
	case <-d.gone:
		return 0, io.ErrUnexpectedEOF
	}
}

func (d *deviceReports) write(p []byte) error {
	if len(p) != reportSize {
		d.t.Errorf("a report of %d bytes, want %d", len(p), reportSize)
	}
	for _, r := range d.answer(p) {
		d.in <- r
	}
	return nil
}

func (d *deviceReports) SetWriteDeadline(time.Time) error { return nil }

func (d *deviceReports) Close() error {
	d.once.Do(func() { close(d.gone) })
	return nil
}

// TestHIDExchange: answers of up to 37 reports, padded with anything, come through
// as frames and nothing else; an unplugged reader is gone.
func TestHIDExchange(t *testing.T) {
	for name, tt := range map[string]struct {
		framing framing
		reports func(frame []byte) [][]byte
	}{
		formBare:   {&bare{}, func(f []byte) [][]byte { return reportsOf(f, 0xA5) }},
		formMiaxis: {&miaxis{}, miaxisReportsOf},
	} {
		t.Run(name, func(t *testing.T) {
			list := answers()
			d := &deviceReports{t: t, in: make(chan []byte, 200), gone: make(chan struct{})}
			next := 0
			d.answer = func([]byte) [][]byte { next++; return tt.reports(list[next-1]) }
			tr := stream.New(newHID(d, tt.framing), "left")
			defer tr.Close()
			for i, want := range list {
				if err := tr.Write(t.Context(), sam.CmdFind.Frame()); err != nil {
					t.Fatal(err)
				}
				var got []byte
				for buf := make([]byte, 4096); len(got) < len(want); {
					n, err := tr.Read(t.Context(), buf)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, buf[:n]...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("answer %d: %d bytes, want %d", i, len(got), len(want))
				}
			}
			d.Close()
			if _, err := tr.Read(t.Context(), make([]byte, 64)); !errors.Is(err, driver.ErrGone) {
				t.Errorf("Read of an unplugged reader = %v, want %v", err, driver.ErrGone)
			}
		})
	}
}
