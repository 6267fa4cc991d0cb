// Package trace records what passes on a reader's line, takes the people out of
// it and plays it back.
//
// A trace is a text file: a header that names the reader, then one line for each
// run of bytes, with its time and direction. [Writer] makes one while it watches
// a line, [Blank] replaces whatever is personal, and [Playback] answers a client
// with it, strictly, so that a session with a reader in the field becomes a test.
// docs/simulator.md documents the format.
package trace

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
)

// Limits of a trace.
const (
	maxTraceLine  = 64 << 10
	maxTraceSteps = 1_000_000
)

// traceVersion is the format that docs/simulator.md documents.
const traceVersion = 1

// Header is the first line of a trace: what was on the other end.
type Header struct {
	Model    string // as printed on the reader
	Firmware string // as far as known
	Obtained string // who recorded it, when and how
	Driver   string // serial, tcp, ...
	Baud     int    // 0 where there is no line
	Blanked  bool   // personal fields were replaced, see Blank
	Kit      *Kit   // what `idtap diag --kit` adds; nil elsewhere
}

// Kit is what proves a reader model, beside its wire. Nothing in it is personal.
type Kit struct {
	Program string            `json:"program"` // idtap and its version
	System  string            `json:"system"`  // kernel and processor
	Module  string            `json:"module"`  // printed number of the security module; empty: it gave none
	Device  []string          `json:"device"`  // what the driver says of the device: ids, descriptors
	Parts   []Part            `json:"parts"`   // what the person did, in order
	Timings map[string]Timing `json:"timings"` // by command code in hex
}

// Part is a step of the kit.
type Part struct {
	Name string `json:"name"` // empty, card, lifted, again, lifted_again
	From int64  `json:"from_us"`
	Seen bool   `json:"seen"` // the wire showed what was asked for
}

// Timing is how long a command's answers took to begin.
type Timing struct {
	Count  int   `json:"count"`
	Min    int64 `json:"min_us"`
	Median int64 `json:"median_us"`
	Max    int64 `json:"max_us"`
}

// Step is bytes that passed in one direction at one time. It may hold a whole
// identity and prints masked.
type Step struct {
	At    time.Duration // since the trace began
	Sent  bool          // from the host to the reader
	Bytes []byte
}

// Format implements fmt.Formatter so that no verb prints card data.
func (Step) Format(f fmt.State, _ rune) { io.WriteString(f, "trace.Step(masked)") }

// MarshalJSON keeps a step out of structured logs.
func (Step) MarshalJSON() ([]byte, error) { return []byte(`"masked"`), nil }

// Trace is what passed on a line.
type Trace struct {
	Header Header
	Steps  []Step
}

// headerLine and stepLine are the lines of the file.
type headerLine struct {
	Version  int    `json:"idtap_trace"`
	Model    string `json:"model"`
	Firmware string `json:"firmware"`
	Obtained string `json:"obtained"`
	Driver   string `json:"driver"`
	Baud     int    `json:"baud"`
	Blanked  bool   `json:"blanked"`
	Kit      *Kit   `json:"kit,omitempty"`
}

type stepLine struct {
	Micros int64  `json:"t_us"`
	Dir    string `json:"dir"`
	Hex    string `json:"hex"`
}

const (
	dirSent     = "tx"
	dirReceived = "rx"
)

// Error is a mistake in a trace. It never quotes the line.
type Error struct {
	Line int // 1-based
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("trace line %d: %v", e.Line, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Read reads a trace. A mistake is a [Error].
func Read(r io.Reader) (Trace, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTraceLine)
	var t Trace
	n := 0
	for lines.Scan() {
		n++
		var err error
		if n == 1 {
			t.Header, err = parseHeader(lines.Bytes())
		} else {
			err = t.parseStep(lines.Bytes())
		}
		if err != nil {
			return Trace{}, &Error{n, err}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return Trace{}, &Error{n + 1, fmt.Errorf("longer than %d bytes", maxTraceLine)}
	case err != nil:
		return Trace{}, err
	case n == 0:
		return Trace{}, &Error{1, errors.New("empty; want a header line")}
	}
	return t, nil
}

// decodeLine decodes one JSON object. Its errors are ours: those of package json
// quote what they stumble over.
func decodeLine(line []byte, into any, keys string) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || d.More() {
		return fmt.Errorf("want one JSON object with %s", keys)
	}
	return nil
}

func parseHeader(line []byte) (Header, error) {
	var h headerLine
	if err := decodeLine(line, &h, "idtap_trace, model, firmware, obtained, driver, baud, blanked"); err != nil {
		return Header{}, err
	}
	if h.Version != traceVersion {
		return Header{}, fmt.Errorf("idtap_trace is %d; this program reads %d", h.Version, traceVersion)
	}
	return Header{h.Model, h.Firmware, h.Obtained, h.Driver, h.Baud, h.Blanked, h.Kit}, nil
}

func (t *Trace) parseStep(line []byte) error {
	var l stepLine
	if err := decodeLine(line, &l, "t_us, dir, hex"); err != nil {
		return err
	}
	p, err := hex.DecodeString(l.Hex)
	at := time.Duration(l.Micros) * time.Microsecond
	switch {
	case l.Dir != dirSent && l.Dir != dirReceived:
		return fmt.Errorf("dir: want %q (to the reader) or %q (from it)", dirSent, dirReceived)
	case err != nil || len(p) == 0:
		return errors.New("hex: want at least one byte in hexadecimal")
	case l.Micros < 0 || at/time.Microsecond != time.Duration(l.Micros):
		return errors.New("t_us: want microseconds since the trace began")
	case len(t.Steps) > 0 && at < t.Steps[len(t.Steps)-1].At:
		return errors.New("t_us: earlier than the line before")
	case len(t.Steps) == maxTraceSteps:
		return fmt.Errorf("more than %d lines", maxTraceSteps)
	}
	t.Steps = append(t.Steps, Step{at, l.Dir == dirSent, p})
	return nil
}

// Write writes the trace in the form that Read reads.
func (t Trace) Write(w io.Writer) error {
	if err := writeHeader(w, t.Header); err != nil {
		return err
	}
	for _, s := range t.Steps {
		if err := writeStep(w, s); err != nil {
			return err
		}
	}
	return nil
}

func writeHeader(w io.Writer, h Header) error {
	return json.NewEncoder(w).Encode(headerLine{traceVersion, h.Model, h.Firmware, h.Obtained, h.Driver, h.Baud, h.Blanked, h.Kit})
}

func writeStep(w io.Writer, s Step) error {
	dir := dirReceived
	if s.Sent {
		dir = dirSent
	}
	return json.NewEncoder(w).Encode(stepLine{s.At.Microseconds(), dir, hex.EncodeToString(s.Bytes)})
}

// Writer writes down what passes on a line. Calls come from the line's
// owner; the first error stops it and comes out of Close.
type Writer struct {
	w       io.Writer
	clock   clockwork.Clock
	began   time.Time
	blanker *blanker // nil: nothing is blanked
	err     error
}

var _ driver.WireObserver = (*Writer)(nil)

// NewWriter begins a trace. With blank, personal fields are replaced before
// they reach w, as [Blank] does; lines then come out once the frame that they
// belong to is whole. A nil clock is the machine's.
func NewWriter(w io.Writer, clock clockwork.Clock, h Header, blank bool) *Writer {
	if clock == nil {
		clock = clockwork.NewRealClock()
	}
	h.Blanked = blank
	t := &Writer{w: w, clock: clock, began: clock.Now()}
	if blank {
		t.blanker = newBlanker()
	}
	t.err = writeHeader(w, h)
	return t
}

// Sent implements driver.WireObserver.
func (t *Writer) Sent(p []byte) { t.note(p, true) }

// Received implements driver.WireObserver.
func (t *Writer) Received(p []byte) { t.note(p, false) }

func (t *Writer) note(p []byte, sent bool) {
	if len(p) == 0 {
		return
	}
	s := Step{t.clock.Since(t.began), sent, bytes.Clone(p)}
	if t.blanker == nil {
		t.write([]Step{s})
		return
	}
	t.write(t.blanker.add(s))
}

func (t *Writer) write(steps []Step) {
	for _, s := range steps {
		if t.err == nil {
			t.err = writeStep(t.w, s)
		}
	}
}

// Close writes what is outstanding and reports the first error. It does not close
// the underlying writer.
func (t *Writer) Close() error {
	if t.blanker != nil {
		t.write(t.blanker.flush())
	}
	return t.err
}
