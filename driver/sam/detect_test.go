package sam

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"idtap/driver"
)

// rated is a script's line with a rate: the module understands its own only.
type rated struct {
	*script
	module int    // its rate
	answer []byte // to 11 FF
	noise  []byte // what comes at another rate
	rate   int
	tried  []int
}

func (r *rated) SetBaud(baud int) error {
	r.rate = baud
	r.tried = append(r.tried, baud)
	r.steps = []step{{want: CmdSelfTest}}
	switch {
	case baud == r.module:
		r.steps[0].answer = answers(r.answer)
	case r.noise != nil:
		r.steps[0].answer = answers(r.noise)
	}
	return nil
}

// TestTrap13BaudProbe: any valid frame is an answer, also of a broken module,
// and the last good rate goes first.
func TestTrap13BaudProbe(t *testing.T) {
	for _, c := range []struct {
		name   string
		module int
		last   int
		answer []byte
		noise  []byte
		tried  []int
	}{
		{"commonest", 115200, 0, status(OK), nil, []int{115200}},
		{"slowest", 9600, 0, status(OK), nil, []int{115200, 57600, 38400, 19200, 9600}},
		{"noise at wrong rates", 38400, 0, status(OK), []byte{0xFF, 0x00, 0xAA, 0x13}, []int{115200, 57600, 38400}},
		{"last", 19200, 19200, status(OK), nil, []int{19200}},
		{"last is wrong", 115200, 19200, status(OK), nil, []int{19200, 115200}},
		{"unusual last", 230400, 230400, status(OK), nil, []int{230400}},
		{"self-test failed", 57600, 0, status(SelfTestFailed), nil, []int{115200, 57600}},
		{"not authorised", 57600, 0, status(NotAuthorised), nil, []int{115200, 57600}},
		{"data", 57600, 0, Answer(0, 0, OK, make([]byte, 9)), nil, []int{115200, 57600}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rated{script: newScript(t), module: c.module, answer: c.answer, noise: c.noise}
			got, err := Detect(context.Background(), r, c.last, Options{Clock: r.clock})
			if err != nil || got != c.module || r.rate != c.module {
				t.Errorf("Detect = %d, %v with the line at %d", got, err, r.rate)
			}
			if !slices.Equal(r.tried, c.tried) {
				t.Errorf("tried %v, want %v", r.tried, c.tried)
			}
		})
	}
}

// TestDetectNothing: silence and noise are told apart, and both end in time.
func TestDetectNothing(t *testing.T) {
	for _, c := range []struct {
		noise []byte
		want  error
	}{
		{nil, driver.ErrTimeout},
		{[]byte{0xFF, 0x00, 0x12}, driver.ErrProtocol},
		{CmdSelfTest.Frame(), driver.ErrProtocol}, // an echo is no module
	} {
		r := &rated{script: newScript(t), noise: c.noise}
		start := r.clock.Now()
		got, err := Detect(context.Background(), r, 0, Options{Clock: r.clock, Name: "front"})
		if got != 0 || !errors.Is(err, c.want) {
			t.Errorf("Detect = %d, %v; want %v", got, err, c.want)
		}
		if d := r.clock.Now().Sub(start); d > 4*time.Second {
			t.Errorf("took %v", d)
		}
	}
}

// TestDetectCancelled: the caller's end is at once.
func TestDetectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := &rated{script: newScript(t)}
	if _, err := Detect(ctx, r, 0, Options{Clock: r.clock}); !errors.Is(err, context.Canceled) || len(r.tried) != 1 {
		t.Errorf("Detect under a context that is over: %v after %v", err, r.tried)
	}
}
