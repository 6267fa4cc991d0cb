package sam

import (
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
	var worst error
	for range probeRounds {
		for _, rate := range rates {
			if err := l.SetBaud(rate); err != nil {
				return 0, err
			}
			o.Baud = rate
			_, err := NewClient(l, o).exchange(ctx, cmdProbe)
			switch {
			case err == nil:
				return rate, nil
			case errors.Is(err, driver.ErrProtocol) || worst == nil:
				worst = err
			}
			if !errors.Is(err, driver.ErrProtocol) && !errors.Is(err, driver.ErrTimeout) {
				return 0, err
			}
		}
	}
	return 0, worst
}
