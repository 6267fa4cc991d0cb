package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that also reads whole days: 400d.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return wrong("not_days", s)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return wrong("not_duration", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	if v > 0 && v%(24*time.Hour) == 0 && v > 7*24*time.Hour {
		return fmt.Appendf(nil, "%dd", v/(24*time.Hour)), nil
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// Bytes is a size with a binary unit: 256MiB.
type Bytes int64

var units = []struct {
	suffix string
	size   int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Bytes) UnmarshalText(b []byte) error {
	s := string(b)
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.size {
			break
		}
		*v = Bytes(n * u.size)
		return nil
	}
	return wrong("not_size", s)
}

// MarshalText implements encoding.TextMarshaler.
func (v Bytes) MarshalText() ([]byte, error) {
	for _, u := range units {
		if v > 0 && int64(v)%u.size == 0 {
			return fmt.Appendf(nil, "%d%s", int64(v)/u.size, u.suffix), nil
		}
	}
	return []byte("0"), nil
}

// Baud is a line speed in bits per second; 0 means find out (auto).
type Baud int

// Bauds are the speeds a SAM module can be set to [SDTC, SDTH].
var Bauds = []int{115200, 57600, 38400, 19200, 9600}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Baud) UnmarshalText(b []byte) error {
	if string(b) == "auto" || len(b) == 0 {
		*v = 0
		return nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || !slices.Contains(Bauds, n) {
		return wrong("not_baud", b)
	}
	*v = Baud(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (v Baud) MarshalText() ([]byte, error) {
	if v == 0 {
		return []byte("auto"), nil
	}
	return strconv.AppendInt(nil, int64(v), 10), nil
}
