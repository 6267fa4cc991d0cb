package pcsc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"idtap/driver"
	"idtap/driver/sam"
)

// paged is a driver.Device for the profiles paged, uid and auto. A card's
// presence is the service's word, so a card that rests is not disturbed.
type paged struct {
	*place
	profile string // profileAuto until it is known
	events  uint32 // cards in and out, at the last read
}

var _ driver.Device = (*paged)(nil)

// Identify tells what the reader is. Readers without a module are
// driver.ErrNoSAM: those of profile uid always, those of profile auto while a
// card lies there that gave no page.
func (p *paged) Identify(ctx context.Context) (driver.Identity, error) {
	ctx, done, err := p.begin(ctx, "identify")
	if err != nil {
		return driver.Identity{}, err
	}
	defer done()
	s, err := p.idle(ctx)
	if err != nil {
		return driver.Identity{}, err
	}
	p.recognise(s)
	if p.profile == profileAuto && s.present {
		if _, err := p.read(ctx); err != nil && !ofCard(err) {
			return p.identity(p.profile), err
		}
	}
	id := p.identity(p.profile)
	switch p.profile {
	case profileUID:
		return id, p.error("identify", driver.ErrNoSAM, nil)
	case profileAuto:
		id.Detail += ", which the first card will tell"
	case profilePaged:
		id.Detail += ", no appended addresses"
	}
	return id, nil
}

// ofCard reports whether an error speaks of the card that lies there and not of
// the reader.
func ofCard(err error) bool {
	for _, kind := range []error{driver.ErrNoCard, driver.ErrCardLost, driver.ErrNotID, driver.ErrProtocol} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// recognise looks the reader up in the table of models.
func (p *paged) recognise(s state) {
	if m := modelOf(p.reader, s.atr); m.name != "" {
		p.model = m.name
		if p.profile == profileAuto {
			p.profile = m.profile
		}
	}
}

// Find reports whether a card lies there.
func (p *paged) Find(ctx context.Context) (bool, error) {
	ctx, done, err := p.begin(ctx, "find")
	if err != nil {
		return false, err
	}
	defer done()
	s, err := p.idle(ctx)
	return s.present, err
}

// Present reports whether the card read still lies there and none was put in or
// taken out since.
func (p *paged) Present(ctx context.Context) (bool, error) {
	ctx, done, err := p.begin(ctx, "look")
	if err != nil {
		return false, err
	}
	defer done()
	s, err := p.state(ctx)
	return s.present && s.events == p.events, err
}

// Read reads the pages. What is put in or taken out meanwhile fails it.
func (p *paged) Read(ctx context.Context) (driver.RawCard, error) {
	ctx, done, err := p.begin(ctx, "read")
	if err != nil {
		return driver.RawCard{}, err
	}
	defer done()
	before, err := p.idle(ctx)
	if err != nil {
		return driver.RawCard{}, err
	}
	if !before.present {
		return driver.RawCard{}, wrap("read", p.who, codeNoCard)
	}
	p.recognise(before)
	card, err := p.read(ctx)
	if err != nil {
		return driver.RawCard{}, err
	}
	after, err := p.state(ctx)
	if err != nil {
		return driver.RawCard{}, err
	}
	if !after.present || after.events != before.events {
		return driver.RawCard{}, wrap("read", p.who, codeRemoved)
	}
	p.events = after.events
	return card, nil
}

// resets is how often a read begins anew because another program has reset the
// card.
const resets = 2

// read makes one session with the card.
func (p *paged) read(ctx context.Context) (driver.RawCard, error) {
	if p.profile == profileUID {
		return driver.RawCard{}, p.error("read", driver.ErrNoSAM, nil)
	}
	s, err := p.open(ctx, false)
	if err != nil {
		return driver.RawCard{}, err
	}
	defer s.close()
	for tries := 0; ; tries++ {
		card, err := p.pages(ctx, s)
		if !errors.Is(err, codeReset) || tries == resets {
			return card, err
		}
		if err := s.reconnect(ctx); err != nil {
			return driver.RawCard{}, err
		}
	}
}

// pageSize is how much of a card one page holds [READINFO].
const pageSize = 256

// pages reads page after page until there is what the lengths at the beginning
// of the first say. Each answer's own status words are cut off; padding of the
// last page is left out.
func (p *paged) pages(ctx context.Context, s *session) (driver.RawCard, error) {
	var data []byte
	want := pageSize
	for page := byte(0); len(data) < want; page++ {
		body, sw, err := p.page(ctx, s, page, min(want-len(data), pageSize))
		if err != nil {
			return driver.RawCard{}, err
		}
		if page == 0 && p.profile == profileAuto {
			if err := p.learn(ctx, s, body, sw); err != nil {
				return driver.RawCard{}, err
			}
		}
		if sw != swOK && sw != swShort {
			return driver.RawCard{}, p.refused(sw)
		}
		data = append(data, body...)
		if page == 0 {
			if want = inner(data); want == 0 {
				return driver.RawCard{}, p.error("read page", driver.ErrProtocol, errors.New("the first page does not begin with lengths"))
			}
		}
		if len(body) != pageSize && len(data) < want {
			return driver.RawCard{}, p.error("read page", driver.ErrProtocol, fmt.Errorf("page %d has %d bytes", page, len(body)))
		}
	}
	card, err := sam.ParseCard(data[:want])
	if err != nil {
		return driver.RawCard{}, p.error("read page", driver.ErrProtocol, err)
	}
	return card, nil
}

// inner is the length of the data that a first page begins, its two length
// fields included; 0 if they are none of an ID card.
func inner(page []byte) int {
	if len(page) < 4 {
		return 0
	}
	text, photo := int(binary.BigEndian.Uint16(page)), int(binary.BigEndian.Uint16(page[2:]))
	if text != 256 || photo != 0 && photo != 1024 {
		return 0
	}
	return 4 + text + photo
}

// Status words: ISO/IEC 7816-4 section 5.6.
const (
	swOK    = 0x9000
	swShort = 0x6282 // the end came before Le bytes
)

// page reads one page. Where the reader insists on the exact length (6C), it
// gets it, if that is what is expected.
func (p *paged) page(ctx context.Context, s *session, page byte, want int) (body []byte, sw int, err error) {
	for le := byte(0); ; le = byte(want) {
		body, sw, err = transmit(ctx, s, "read page", []byte{0xFF, 0xB0, page, 0, le})
		if err != nil || sw>>8 != 0x6C || le != 0 || want == pageSize {
			return body, sw, err
		}
	}
}

// transmit sends an APDU and splits the answer. One without status words is no
// answer: a card that was pulled gives it.
func transmit(ctx context.Context, s *session, op string, apdu []byte) (body []byte, sw int, err error) {
	answer, err := call(ctx, s, op, apduTime, func() ([]byte, error) { return s.card.transmit(apdu) })
	if err != nil {
		return nil, 0, err
	}
	n := len(answer) - 2
	if n < 0 {
		return nil, 0, &driver.Error{Op: op, Reader: s.who, Err: driver.ErrCardLost, Cause: fmt.Errorf("an answer of %d bytes", len(answer))}
	}
	return answer[:n], int(binary.BigEndian.Uint16(answer[n:])), nil
}

// learn decides the profile of a reader by its answer to the first page: an ID
// card's lengths, and nothing else, mean paged. Where a card gives its chip's
// number instead, the reader has no module. The number is not kept: it marks a
// person for life.
func (p *paged) learn(ctx context.Context, s *session, body []byte, sw int) error {
	if (sw == swOK || sw == swShort) && inner(body) != 0 {
		p.profile = profilePaged
		p.d.learn(p.reader, p.profile)
		return nil
	}
	_, uid, err := transmit(ctx, s, "read chip number", []byte{0xFF, 0xCA, 0, 0, 0})
	switch {
	case err != nil:
		return err
	case uid == swOK:
		return p.error("read", driver.ErrNoSAM, errors.New("the reader gives a chip number and no page"))
	}
	return p.refused(sw)
}

// refused is the error of a page that was not given. That the reader does not
// know the command for this card means another kind of card; everything else
// may pass.
func (p *paged) refused(sw int) error {
	kind := driver.ErrCardLost
	switch sw {
	case 0x6A81, 0x6D00, 0x6E00: // function, instruction, class not supported
		kind = driver.ErrNotID
	}
	return &driver.Error{Op: "read page", Reader: p.who, Status: binary.BigEndian.AppendUint16(nil, uint16(sw)), Err: kind}
}

func (p *paged) error(op string, kind, cause error) error {
	return &driver.Error{Op: op, Reader: p.who, Err: kind, Cause: cause}
}

// Close gives the reader back.
func (p *paged) Close() error {
	p.close(func() {})
	return nil
}
