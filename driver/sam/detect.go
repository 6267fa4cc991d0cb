package sam

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"idtap/driver"
)

// Rates are those a module can be set to, commonest first [SDTC, SDTH].
var Rates = []int{115200, 57600, 38400, 19200, 9600}

// probeRounds is how often all rates are tried: at a wrong rate a module may
// have taken noise for the beginning of a request.
const probeRounds = 2

// Line is a Transport whose rate can be set.
type Line interface {
	driver.Transport
	SetBaud(baud int) error
}

// Detect finds the rate at which a module answers, trying last (unless 0) and
// then Rates, and leaves the line at it. Any frame counts as an answer, also
// one that says the module is broken. It takes 4 s at most, and ends in
// driver.ErrTimeout where nothing came at any rate, driver.ErrProtocol where
// something came that is no frame.
func Detect(ctx context.Context, l Line, last int, o Options) (int, error) {
	rates := slices.Clone(Rates)
	if last != 0 {
		rates = slices.DeleteFunc(rates, func(r int) bool { return r == last })
		rates = slices.Insert(rates, 0, last)
	}
	found, worst := 0, error(nil)
	for range probeRounds {
		err := probe(ctx, l, rates, o, func(rate int, err error) (stop bool) {
			switch {
			case err == nil:
				found = rate
			case errors.Is(err, driver.ErrProtocol) || worst == nil:
				worst = err
			}
			return err == nil
		})
		if found != 0 || err != nil {
			return found, err
		}
	}
	return 0, worst
}

// Heard is what came at one rate.
type Heard struct {
	Baud   int
	Answer string // "sam", "other" for bytes that are no frame, "" for nothing
}

// Probe asks a line for a module at every rate, twice over unless one answers:
// at a wrong rate a module may have taken noise for the beginning of a request.
// It sends self-tests only. rate is 0 where no module answered; else the line is
// left at it.
func Probe(ctx context.Context, l Line, o Options) (all []Heard, rate int, err error) {
	for round := 0; round < probeRounds && rate == 0; round++ {
		at := 0
		err := probe(ctx, l, Rates, o, func(baud int, err error) (stop bool) {
			if round == 0 {
				all = append(all, Heard{Baud: baud})
			}
			switch {
			case err == nil:
				all[at].Answer = "sam"
				rate = cmp.Or(rate, baud)
			case errors.Is(err, driver.ErrProtocol) && all[at].Answer == "":
				all[at].Answer = "other"
			}
			at++
			return false
		})
		if err != nil {
			return all, 0, err
		}
	}
	if rate != 0 {
		err = l.SetBaud(rate)
	}
	return all, rate, err
}

// probe asks the line at one rate after the other and shows each outcome: nil,
// driver.ErrTimeout or driver.ErrProtocol. Any other error ends it, and so does
// the answer true.
func probe(ctx context.Context, l Line, rates []int, o Options, heard func(rate int, err error) (stop bool)) error {
	for _, rate := range rates {
		if err := l.SetBaud(rate); err != nil {
			return err
		}
		o.Baud = rate
		_, err := NewClient(l, o).attempt(ctx, cmdProbe, cmdProbe.wait)
		if err != nil && !errors.Is(err, driver.ErrProtocol) && !errors.Is(err, driver.ErrTimeout) {
			return err
		}
		if heard(rate, err) {
			return nil
		}
	}
	return nil
}
