package main

import (
	"bufio"
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"idtap/reader/identity"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:  "check [-] [NUMBER...]",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c := newNumberCheck(a)
			return interruptible(cmd.Context(), func() error { return c.run(cmd.Context(), args) })
		},
	}
}

// verdict is one line of check's output.
type verdict struct {
	Number     string             `json:"number"`
	Kind       string             `json:"kind"`
	Valid      bool               `json:"valid"`
	Normalized *string            `json:"normalized"`
	BirthDate  *string            `json:"birth_date"`
	Sex        *string            `json:"sex"`
	Division   *string            `json:"division"`
	Findings   []identity.Finding `json:"findings"`
}

// numberCheck judges numbers one after the other.
type numberCheck struct {
	*app
	today    identity.Date
	out      *bufio.Writer
	enc      *json.Encoder
	progress *progress
	failed   bool
}

func newNumberCheck(a *app) *numberCheck {
	c := &numberCheck{app: a, out: bufio.NewWriterSize(a.out, 64<<10), progress: a.newProgress("lines")}
	if now := time.Now(); !now.Before(builtAt()) {
		c.today = identity.DateOf(now)
	}
	c.enc = json.NewEncoder(c.out)
	c.enc.SetEscapeHTML(false)
	return c
}

// run answers arguments in their order; - or no argument is standard input.
func (c *numberCheck) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"-"}
	}
	for _, arg := range args {
		var err error
		if arg == "-" {
			err = eachLine(ctx, bufio.NewReaderSize(c.in, lineLimit), func(l inputLine) error { return c.answer(string(l.text)) }, c.flush)
		} else {
			err = c.answer(arg)
		}
		if err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	if c.failed {
		return &exitError{Code: exitFailed}
	}
	return nil
}

func (c *numberCheck) flush() error {
	c.progress.clear()
	return c.out.Flush()
}

// echoLimit is how much of an absurdly long input is repeated in its verdict.
const echoLimit = 256

func (c *numberCheck) answer(number string) error {
	n := identity.CheckNumber(number, c.today)
	if len(number) > echoLimit {
		number = number[:echoLimit]
		for !utf8.ValidString(number) && len(number) > echoLimit-utf8.UTFMax {
			number = number[:len(number)-1]
		}
	}
	v := verdict{Number: number, Kind: string(n.Kind), Valid: n.Valid(), Normalized: known(n.Normalized),
		BirthDate: known(n.Birth.String()), Sex: known(n.Sex), Division: known(n.Division), Findings: n.Findings}
	if v.Findings == nil {
		v.Findings = []identity.Finding{}
	}
	c.failed = c.failed || !v.Valid
	c.progress.step()
	return c.enc.Encode(v)
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
