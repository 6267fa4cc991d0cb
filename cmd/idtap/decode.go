package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/trace"
	"idtap/publisher"
	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
	"idtap/reader/identity/division"
)

func (a *app) decodeCommand() *cobra.Command {
	var desk, at string
	cmd := &cobra.Command{
		Use:  "decode [FILE|-]",
		Args: maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := &decoder{app: a, out: bufio.NewWriterSize(a.out, 64<<10), progress: a.newProgress("cards")}
			if err := d.configure(desk, at); err != nil {
				return usage(err)
			}
			in := a.in
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return interruptible(cmd.Context(), func() error { return d.run(cmd.Context(), in) })
		},
	}
	cmd.Flags().StringVar(&desk, "division", "", "")
	cmd.Flags().StringVar(&at, "at", "", "")
	return cmd
}

// decoder turns captured bytes into registrations.
type decoder struct {
	*app
	options  identity.Options
	out      *bufio.Writer
	progress *progress

	open    *driver.RawCard // read, but its addresses may follow
	cards   int
	skipped int // answers without card data
	failed  bool
}

func (d *decoder) configure(desk, at string) error {
	if desk != "" {
		if _, ok := division.Lookup(desk); !ok {
			return texts.Errorf("want_division", desk)
		}
		d.options.DeskDivision = desk
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return err
	}
	d.options.Now, d.options.ClockFloor = time.Now().In(zone), builtAt()
	if at != "" {
		day, err := time.ParseInLocation("2006-01-02", at, zone)
		if err != nil {
			return texts.Errorf("want_day", at)
		}
		d.options.Now, d.options.ClockFloor = day.Add(12*time.Hour), time.Time{}
	}
	return nil
}

// sniffed is how much of the input decides on its form.
const sniffed = 4 << 10

func (d *decoder) run(ctx context.Context, in io.Reader) error {
	r := unmarked(bufio.NewReaderSize(in, lineLimit))
	head, err := r.Peek(sniffed)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case len(head) == 0:
		return texts.Errorf("input_empty")
	case isTrace(head):
		err = d.trace(r)
	case isText(head):
		err = d.lines(ctx, r)
	case sam.HasFrame(head):
		err = d.stream(ctx, r)
	default:
		err = d.blocks(ctx, r)
	}
	if err == nil {
		err = d.finish()
	}
	if flushErr := d.flush(); err == nil {
		err = flushErr
	}
	if err == nil && d.cards == 0 && !d.failed {
		err = texts.Errorf("no_card_in_input", d.skipped)
	}
	if err == nil && d.failed {
		return &exitError{Code: exitFailed}
	}
	return err
}

func (d *decoder) flush() error {
	d.progress.clear()
	return d.out.Flush()
}

// isText reports whether the input is lines of hex: a text block in binary has
// zero bytes from its second byte on, a frame has bytes beyond ASCII.
func isText(head []byte) bool {
	for _, c := range head {
		if c >= 0x7F || c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// isTrace reports whether the input is a recording: objects of JSON, not bytes in
// the braces of a programming language.
func isTrace(head []byte) bool {
	inner, ok := bytes.CutPrefix(head, []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimSpace(inner), []byte(`"`))
}

// lines decodes hex: an answer or block a line, or one over several lines. Empty
// lines and lines that begin with # are comments and end what came before.
func (d *decoder) lines(ctx context.Context, r *bufio.Reader) error {
	h := &hexLines{d: d}
	err := eachLine(ctx, r, h.line, d.flush)
	return errors.Join(err, h.end())
}

// trace decodes what a reader sent in a recorded session.
func (d *decoder) trace(r io.Reader) error {
	t, err := trace.Read(r)
	if err != nil {
		return err
	}
	var sniffer sam.Sniffer
	for i, step := range t.Steps {
		// A host that goes on has given up what was outstanding.
		where := d.say("trace_line", i+2)
		if !step.Sent {
			sniffer.Write(step.Bytes)
		}
		if err := d.frames(&sniffer, where, step.Sent || i == len(t.Steps)-1); err != nil {
			return err
		}
	}
	return nil
}

// stream decodes frames out of a binary capture, whatever stands between them.
func (d *decoder) stream(ctx context.Context, r io.Reader) error {
	var sniffer sam.Sniffer
	buf := make([]byte, 32<<10)
	for at := int64(0); ctx.Err() == nil; {
		n, err := r.Read(buf)
		sniffer.Write(buf[:n])
		if fErr := d.frames(&sniffer, d.from(at), err == io.EOF); fErr != nil {
			return fErr
		}
		at += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// frames takes what the sniffer has; last tells that nothing follows.
func (d *decoder) frames(s *sam.Sniffer, where string, last bool) error {
	before, found := s.Stats(), 0
	for {
		body, ok := s.Next()
		if !ok {
			if !last || !s.Pending() {
				break
			}
			s.Silence()
			continue
		}
		found++
		if err := d.answer(body, where); err != nil {
			return err
		}
	}
	switch after := s.Stats(); {
	case after.BadXOR > before.BadXOR:
		d.reject(where, "answer_checksum_wrong")
	case after.Cut > before.Cut:
		d.reject(where, "answer_cut_short")
	case found == 0 && last && after.Skipped > before.Skipped:
		d.reject(where, "no_answer_module_and")
	}
	return nil
}

// answer takes one answer. An answer does not say which command it is to: cards
// are told by their inner lengths, addresses by their size; others hold no card.
func (d *decoder) answer(body sam.Body, where string) error {
	data := body.Data()
	if raw, err := sam.ParseCard(data); err == nil {
		return d.card(raw)
	}
	list, ok := sam.ParseAddresses(data)
	if !ok {
		d.skipped++
		return nil
	}
	if d.open == nil {
		d.reject(where, "answer_with_addresses_but")
		return nil
	}
	// Each answer has all records; asking again is how presence is watched.
	d.open.Addresses = list
	return nil
}

// blocks decodes bare text blocks in binary, with what may stand around each: its
// lengths before it, the photo after it.
func (d *decoder) blocks(ctx context.Context, r *bufio.Reader) error {
	for at := int64(0); ctx.Err() == nil; {
		size := len(driver.RawCard{}.Text)
		if head, _ := r.Peek(size + len(photoHead)); len(head) > 4 && bytes.HasPrefix(head, dataHead) {
			size = cardData
		} else if len(head) > size && bytes.HasPrefix(head[size:], photoHead) {
			size = cardData - len(dataHead)
		}
		data := make([]byte, size)
		n, err := io.ReadFull(r, data)
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if err := d.block(data[:n], d.from(at)); err != nil {
			return err
		}
		at += int64(n)
	}
	return ctx.Err()
}

// card keeps a card until the next one or the end shows that no addresses
// follow.
func (d *decoder) card(raw driver.RawCard) error {
	err := d.finish()
	d.open = &raw
	return err
}

// finish prints the card that is open.
func (d *decoder) finish() error {
	if d.open == nil {
		return nil
	}
	raw := *d.open
	d.open = nil
	tap := reader.Tap{Reader: "decode", FoundAt: d.options.Now, Checked: identity.Check(card.Parse(raw), d.options)}
	reg := publisher.NewRegistration(tap, publisher.DeskFacts{Division: d.options.DeskDivision, Zone: d.options.Now.Location()})
	reg.Timing.AcceptedAt = reg.Timing.FoundAt
	line, err := json.Marshal(reg)
	if err != nil {
		return err
	}
	d.cards++
	d.failed = d.failed || tap.Checked.Worst() == identity.Error
	d.progress.step()
	_, err = d.out.Write(append(line, '\n'))
	return err
}

// from names a place in binary input.
func (d *decoder) from(at int64) string {
	return d.say("from_byte", at)
}

// reject says what could not be read; it never repeats input.
func (d *decoder) reject(where, key string, args ...any) {
	d.failed = true
	d.progress.clear()
	fmt.Fprintf(d.err, "idtap: decode: %s: %s\n", where, d.say(key, args...))
}
