package sam

import (
	"context"
	"errors"
	"testing"
	"unicode"

	"idtap/driver"
)

// statuses is the published table: 20 values, what a caller does about each,
// and what a find, read or presence check with it comes to. Card problems are
// lost cards until they are believed.
var statuses = []struct {
	sw3   byte
	class Class
	err   error
}{
	{0x90, Success, nil},
	{0x9F, Success, nil},
	{0x91, Normal, nil},
	{0x10, CallerBug, driver.ErrProtocol},
	{0x11, CallerBug, driver.ErrProtocol},
	{0x21, CallerBug, driver.ErrProtocol},
	{0x23, CallerBug, driver.ErrProtocol},
	{0x24, Transient, driver.ErrCardLost},
	{0x31, Transient, driver.ErrCardLost},
	{0x32, CardProblem, driver.ErrNotID},
	{0x33, Transient, driver.ErrCardLost},
	{0x37, Transient, driver.ErrCardLost},
	{0x3F, CallerBug, driver.ErrProtocol},
	{0x40, CardProblem, driver.ErrNotID},
	{0x41, Transient, driver.ErrCardLost},
	{0x47, Transient, driver.ErrCardLost},
	{0x60, ReaderFault, driver.ErrFaulty},
	{0x66, ReaderFault, driver.ErrFaulty},
	{0x80, Transient, driver.ErrNoCard},
	{0x81, Transient, driver.ErrCardLost},
}

func TestStatusTable(t *testing.T) {
	known := make(map[byte]bool)
	for _, c := range statuses {
		known[c.sw3] = true
		m := Status{SW3: c.sw3}.Meaning()
		if m.SW3 != c.sw3 || m.Class != c.class || m.Err != c.err || m.Card != about[c.sw3] {
			t.Errorf("%02X: %s, %v; want %s, %v", c.sw3, m.Class, m.Err, c.class, c.err)
		}
		han := false
		for _, r := range m.Text().Zh {
			han = han || unicode.Is(unicode.Han, r)
		}
		if !han || m.Text().En == "" {
			t.Errorf("%02X: texts %q and %q", c.sw3, m.Text().Zh, m.Text().En)
		}
	}
	if got := len(Meanings()); got != len(statuses) {
		t.Errorf("%d meanings for %d published statuses", got, len(statuses))
	}
	for v := range 256 {
		if m := (Status{SW3: byte(v)}).Meaning(); !known[byte(v)] && (m.Class != Unknown || m.Err != driver.ErrProtocol || m.SW3 != byte(v)) {
			t.Errorf("%02X is in no table and means %s, %v", v, m.Class, m.Err)
		}
	}
}

// about lists the statuses that speak of a card.
var about = map[byte]bool{0x9F: true, 0x91: true, 0x31: true, 0x32: true, 0x33: true, 0x37: true, 0x3F: true, 0x40: true,
	0x41: true, 0x47: true, 0x80: true, 0x81: true}

// TestEveryStatusFromEveryCommand: a refusal keeps its bytes and unwraps to its
// sentinel whichever command it answers; a success of another command's shape
// is no answer.
func TestEveryStatusFromEveryCommand(t *testing.T) {
	ctx := context.Background()
	call := map[string]func(*Client) error{
		"find":   func(c *Client) error { _, err := c.Find(ctx); return err },
		"select": func(c *Client) error { _, err := c.Read(ctx); return err },
		"test":   func(c *Client) error { _, err := c.SelfTest(ctx); return err },
		"block":  func(c *Client) error { _, err := c.Management(ctx); return err },
	}
	code := map[string]Code{"find": CmdFind, "select": CmdSelect, "test": CmdSelfTest, "block": CmdReadManagement}
	for name, do := range call {
		for _, st := range statuses {
			if st.err == nil || name == "find" && st.sw3 == NoCard {
				continue
			}
			steps := []step{{want: code[name], answer: answers(Answer(0x6A, 0x82, st.sw3, nil))}}
			if misheard(Status{SW3: st.sw3}) { // it is asked once more
				steps = append(steps, steps[0])
			}
			s := newScript(t, steps...)
			err := do(s.client(Options{}))
			want := st.err
			if name == "test" && about[st.sw3] {
				if statusOf(err) != 0 || !errors.Is(err, driver.ErrProtocol) {
					t.Errorf("%s answered %02X: %v, want no answer", name, st.sw3, err)
				}
				continue
			}
			if name == "select" && st.class == CardProblem {
				want = driver.ErrCardLost
			}
			var e *driver.Error
			if !errors.Is(err, want) || !errors.As(err, &e) {
				t.Errorf("%s answered %02X: %v, want %v", name, st.sw3, err, want)
				continue
			}
			if string(e.Status) != string([]byte{0x6A, 0x82, st.sw3}) || e.Reader != "front" {
				t.Errorf("%s answered %02X: status % X, reader %q", name, st.sw3, e.Status, e.Reader)
			}
		}
		wrong := step{want: code[name], answer: answers(Answer(0, 0, OK, make([]byte, 77)))}
		s := newScript(t, wrong, wrong)
		if err := do(s.client(Options{})); !errors.Is(err, driver.ErrDialect) {
			t.Errorf("%s answered with 77 bytes: %v, want %v", name, err, driver.ErrDialect)
		}
	}
}
