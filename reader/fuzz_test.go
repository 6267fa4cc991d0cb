package reader

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/reader/card"
	"idtap/reader/identity"
)

// told is a Transport whose answers are told by fuzz input, one operation per
// read:
//
//	00          silence until the caller gives up
//	01..3F      that many bytes as they follow
//	40..7F      the right answer; the low bit picks the card
//	80..9F      a bare status, SW3 follows
//	A0..BF      the right answer with two flips of one bit column (two positions and a bit follow)
//	C0..DF      the right answer with one flip (a position and a bit follow)
//	E0..EF      the right answer in two pieces, the second after the caller gave up
//	F0..FF      unplugged
//
// After the input comes silence.
type told struct {
	input   []byte
	command sam.Code
	late    []byte
	over    chan struct{} // closed once the input is used up
	sent    []byte        // everything that went over the line
}

func (f *told) Write(_ context.Context, frame []byte) error {
	f.command = sam.Code(binary.BigEndian.Uint16(frame[7:]))
	return nil
}

func (f *told) Read(ctx context.Context, buf []byte) (int, error) {
	if ctx.Err() != nil { // a drain takes what came late
		n := copy(buf, f.late)
		f.late = f.late[n:]
		f.sent = append(f.sent, buf[:n]...)
		return n, ctx.Err()
	}
	out, err := f.answer()
	if err != nil {
		return 0, err
	}
	if len(out) == 0 {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	n := copy(buf, out)
	f.sent = append(f.sent, buf[:n]...)
	return n, nil
}

func (f *told) Close() error { return nil }

func (f *told) take() byte {
	if len(f.input) == 0 {
		select {
		case <-f.over:
		default:
			close(f.over)
		}
		return 0
	}
	b := f.input[0]
	f.input = f.input[1:]
	return b
}

func (f *told) answer() ([]byte, error) {
	op := f.take()
	frame := f.right(op)
	switch {
	case op < 0x40:
		n := min(int(op), len(f.input))
		out := f.input[:n]
		f.input = f.input[n:]
		return out, nil
	case op < 0x80:
	case op < 0xA0:
		return sam.Answer(0, 0, f.take(), nil), nil
	case op < 0xC0:
		i, j, bit := 7+int(f.take())%(len(frame)-7), 7+int(f.take())%(len(frame)-7), byte(1)<<(f.take()%8)
		frame[i] ^= bit
		frame[j] ^= bit
	case op < 0xE0:
		i, bit := int(f.take())%len(frame), byte(1)<<(f.take()%8)
		frame[i] ^= bit
	case op < 0xF0:
		f.late = frame[len(frame)/2:]
		frame = frame[:len(frame)/2]
	default:
		return nil, &driver.Error{Op: "read", Err: driver.ErrGone}
	}
	return frame, nil
}

// right is the answer that a well module with a card gives.
func (f *told) right(op byte) []byte {
	c := cards[op%2]
	switch f.command {
	case sam.CmdSAMID:
		return sam.Answer(0, 0, sam.OK, make([]byte, 16))
	case sam.CmdFind:
		return sam.Answer(0, 0, sam.CardFound, make([]byte, 4))
	case sam.CmdSelect:
		return sam.Answer(0, 0, sam.OK, make([]byte, 8))
	case sam.CmdReadText:
		data := append([]byte{1, 0, 4, 0}, c.Text[:]...)
		return sam.Answer(0, 0, sam.OK, append(data, c.Photo...))
	case sam.CmdReadAddress:
		return sam.Answer(0, 0, sam.NoSuchItem, nil)
	}
	return sam.Answer(0, 0, sam.OK, nil)
}

// answered counts every text block that stands in the stream as a good answer,
// wherever it begins: more than a reader can have seen, never less.
func answered(stream []byte) map[[256]byte]int {
	texts := map[[256]byte]int{}
	for i := range stream {
		if !bytes.HasPrefix(stream[i:], []byte{0xAA, 0xAA, 0x96, 0x69}) || len(stream) < i+6 {
			continue
		}
		end := i + 6 + int(binary.BigEndian.Uint16(stream[i+4:]))
		if end > len(stream) || end-i < 11 {
			continue
		}
		xor := byte(0)
		for _, b := range stream[i+4 : end] {
			xor ^= b
		}
		if raw, err := sam.ParseCard(bytes.Clone(stream[i+9 : end-1])); err == nil && xor == 0 && stream[i+8] == sam.OK {
			texts[raw.Text]++
		}
	}
	return texts
}

// FuzzReader runs the whole reader on answers that fuzz input tells. Whatever
// comes, it neither hangs nor panics, and it hands on nothing that the line did
// not carry: once if nothing spoke against it, else twice.
func FuzzReader(f *testing.F) {
	const (
		yes, other, no, flip, pair = 0x40, 0x41, 0x80, 0xC0, 0xA0
		lifted                     = 0x41 // status
		absent                     = 0x80
	)
	greet := []byte{yes, yes}
	f.Add(false, join(greet, []byte{yes, yes, yes, yes, yes, yes}))
	f.Add(true, join(greet, []byte{yes, yes, yes, yes, yes, yes, yes, no, lifted, no, lifted, no, absent, no, absent}))
	f.Add(false, join(greet, []byte{yes, yes, pair, 7, 9, 0, yes, flip, 20, 1, yes, yes, yes}))
	f.Add(false, join(greet, []byte{no, absent, no, absent, yes, yes, yes, yes, no, lifted, no, lifted, other, other, other, other, other, other}))
	f.Add(false, join(greet, []byte{flip, 3, 3, yes, yes, yes, yes, 0xE0, 0xE0, yes, yes, 0xF0}, greet, []byte{yes, yes, yes, yes}))
	f.Add(false, []byte{0x05, 0xAA, 0xAA, 0x96, 0x69, 0x0F, 0, yes, yes, no, 0x60, no, 0x66})
	f.Fuzz(func(t *testing.T, always bool, input []byte) {
		if len(input) > 4096 {
			return
		}
		bubble(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			line := &told{input: input, over: make(chan struct{})}
			sink := &record{}
			o := Options{Sink: sink, Open: func(context.Context) (driver.Device, error) {
				return sam.NewClient(line, sam.Options{Baud: 115200}), nil
			}}
			if always {
				o.Verify = VerifyAlways
			}
			ended := make(chan struct{})
			go func() {
				New(o).Run(ctx)
				close(ended)
			}()
			select { // fake time
			case <-line.over:
				time.Sleep(5 * time.Second)
			case <-time.After(5 * time.Minute):
			}
			stop()
			select {
			case <-ended:
			case <-time.After(2 * time.Second):
				t.Fatal("the reader did not end within 2 s")
			}
			texts := answered(line.sent)
			for _, tap := range sink.taps {
				most := 0
				for text, n := range texts {
					if textOnly(tap.Checked) == textOnly(identity.Check(card.Parse(driver.RawCard{Text: text}), identity.Options{Now: time.Now()})) {
						most = max(most, n)
					}
				}
				switch {
				case most == 0:
					t.Error("a tap of a card that the line never carried")
				case most == 1 && (tap.Verified || always || tap.Checked.Suspect() || tap.Checked.Worst() == identity.Error):
					t.Error("a tap that wants two equal reads had one")
				}
			}
			if sink.last().Counts.Taps != uint64(len(sink.taps)) {
				t.Error("taps miscounted")
			}
		})
	})
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// textOnly are the fields that the text block alone decides.
func textOnly(c identity.Checked) [12]any {
	return [12]any{c.Kind, c.Number, c.Name, c.NameEn, c.Sex, c.Ethnic, c.Birth, c.PrintedAddress, c.Authority, c.ValidFrom, c.ValidTo, c.Nationality}
}
