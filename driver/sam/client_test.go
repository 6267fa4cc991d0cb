package sam

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"idtap/driver"
)

// read is a script's usual find, select, read and address.
func read(card driver.RawCard, address []byte) []step {
	return []step{
		{want: CmdFind, answer: answers(foundFrame)},
		{want: CmdSelect, answer: answers(selectedFrame)},
		{want: CmdReadText, answer: answers(cardFrame(card))},
		{want: CmdReadAddress, answer: answers(address)},
	}
}

func mustFind(t *testing.T, c *Client) {
	t.Helper()
	if ok, err := c.Find(context.Background()); !ok || err != nil {
		t.Fatalf("Find = %v, %v", ok, err)
	}
}

func mustRead(t *testing.T, c *Client, want driver.RawCard) {
	t.Helper()
	got, err := c.Read(context.Background())
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	if !equalCards(got, want) {
		t.Fatal("Read gave another card")
	}
}

// TestTrap21ReadCycle: find, select, read, address with nothing between, and a
// second read without the first two.
func TestTrap21ReadCycle(t *testing.T) {
	card := specimen(1)
	a, b := record('a'), record('b')
	blank := record(' ')
	addresses := Answer(0, 0, OK, bytes.Join([][]byte{a[:], b[:], blank[:]}, nil))
	steps := append(read(card, addresses),
		step{want: CmdReadText, answer: answers(cardFrame(card))},
		step{want: CmdReadAddress, answer: answers(addresses)},
		step{want: CmdFind, answer: answers(foundFrame)},
		step{want: CmdSelect, answer: answers(selectedFrame)},
		step{want: CmdReadText, answer: answers(cardFrame(card))},
		step{want: CmdReadAddress, answer: answers(noAddress)},
	)
	c := newScript(t, steps...).client(Options{})
	card.Addresses = [][addressSize]byte{a, b}
	mustFind(t, c)
	mustRead(t, c, card)
	mustRead(t, c, card)
	card.Addresses = nil
	mustFind(t, c)
	mustRead(t, c, card)
	if c.LineErrors() != 0 {
		t.Errorf("%d line errors on a clean line", c.LineErrors())
	}
}

// TestTrap01FindSuccessIs9F: 90 does not mean that a card was found, and 9F
// means nothing to the other commands.
func TestTrap01FindSuccessIs9F(t *testing.T) {
	wrong := step{want: CmdFind, answer: answers(status(OK))}
	c := newScript(t, wrong, wrong).client(Options{})
	if ok, err := c.Find(context.Background()); ok || !errors.Is(err, driver.ErrDialect) {
		t.Errorf("Find answered 90 = %v, %v, want false, %v", ok, err, driver.ErrDialect)
	}
	wrong = step{want: CmdSelfTest, answer: answers(status(CardFound))}
	c = newScript(t, wrong, wrong).client(Options{})
	if _, err := c.SelfTest(context.Background()); !errors.Is(err, driver.ErrDialect) {
		t.Errorf("SelfTest answered 9F: %v, want %v", err, driver.ErrDialect)
	}
}

// TestTrap02LengthAndXOR: length is big-endian and leaves the preamble and
// itself out, the XOR begins at the length.
func TestTrap02LengthAndXOR(t *testing.T) {
	f := cardFrame(specimen(1))
	if len(f) != 1295 || f[5] != 0x05 || f[6] != 0x08 || xor(f[5:]) != 0 {
		t.Errorf("frame of %d bytes, length field % X, XOR %02X", len(f), f[5:7], xor(f[5:]))
	}
}

// TestTrap03NonZeroIDs: find and select may carry any number.
func TestTrap03NonZeroIDs(t *testing.T) {
	card := specimen(2)
	c := newScript(t,
		step{want: CmdFind, answer: answers(Answer(0, 0, CardFound, []byte{1, 2, 3, 4}))},
		step{want: CmdSelect, answer: answers(Answer(0, 0, OK, []byte{1, 2, 3, 4, 5, 6, 7, 8}))},
		step{want: CmdReadText, answer: answers(cardFrame(card))},
		step{want: CmdReadAddress, answer: answers(noAddress)},
	).client(Options{})
	mustFind(t, c)
	mustRead(t, c, card)
}

// TestTrap04CardStatusWords: SW1 and SW2 may hold what the card said.
func TestTrap04CardStatusWords(t *testing.T) {
	for _, sw3 := range []byte{0x31, 0x41, 0x47, 0x81} {
		c := newScript(t,
			step{want: CmdFind, answer: answers(foundFrame)},
			step{want: CmdSelect, answer: answers(Answer(0x69, 0x85, sw3, nil))},
		).client(Options{})
		mustFind(t, c)
		_, err := c.Read(context.Background())
		var e *driver.Error
		if !errors.Is(err, driver.ErrCardLost) || !errors.As(err, &e) || !bytes.Equal(e.Status, []byte{0x69, 0x85, sw3}) {
			t.Errorf("%02X: %v", sw3, err)
		}
	}
}

// TestTrap05FingerprintForm: a module that answers 30 01 with the longer form
// is understood.
func TestTrap05FingerprintForm(t *testing.T) {
	for _, fingerprints := range []int{0, 512, 1024} {
		card := specimen(3)
		steps := read(card, noAddress)
		steps[2].answer = answers(Answer(0, 0, OK, cardData(card, fingerprints)))
		c := newScript(t, steps...).client(Options{})
		mustFind(t, c)
		mustRead(t, c, card)
	}
}

// TestTrap05WrongInnerLength: XOR right, lengths wrong: no answer and no damage
// of the line, but a form of the module's own; told once it came twice.
func TestTrap05WrongInnerLength(t *testing.T) {
	data := cardData(specimen(3), -1)
	steps := read(specimen(3), noAddress)[:3]
	steps[2].answer = answers(Answer(0, 0, OK, data[:len(data)-1]))
	s := newScript(t, append(steps, steps[2])...)
	c := s.client(Options{})
	mustFind(t, c)
	before := s.clock.Now()
	_, err := c.Read(context.Background())
	if !errors.Is(err, driver.ErrDialect) || !strings.Contains(err.Error(), "1283 bytes") {
		t.Errorf("Read: %v, want %v with its size", err, driver.ErrDialect)
	}
	if d := s.clock.Now().Sub(before); d > 2*defaultGap {
		t.Errorf("took %v, want %v at most", d, 2*defaultGap)
	}
	if n := c.LineErrors(); n != 0 {
		t.Errorf("%d line errors, want 0", n)
	}
}

// TestTrap12StatusIs11FF: the self-test is 11 FF and its failure is the
// reader's.
func TestTrap12StatusIs11FF(t *testing.T) {
	id := unhex(t, "05000100 5B033301 5AB31E00 00000000")
	c := newScript(t,
		step{want: CmdSAMID, answer: answers(Answer(0, 0, OK, id))},
		step{want: CmdSelfTest, answer: answers(status(SelfTestFailed))},
	).client(Options{Model: "test"})
	got, err := c.Identify(context.Background())
	if !errors.Is(err, driver.ErrFaulty) || got.Status != SelfTestFailed || got.SAM == "" || got.Model != "test" || got.Baud != 115200 {
		t.Errorf("Identify = %+v, %v", got, err)
	}
}

// TestTrap15DamagedAnswer: after a wrong XOR the command is sent again as soon as
// the line is silent.
func TestTrap15DamagedAnswer(t *testing.T) {
	card := specimen(4)
	bad := cardFrame(card)
	bad[700] ^= 0x40
	steps := read(card, noAddress)
	steps = append(steps[:2:2], append([]step{{want: CmdReadText, answer: split(bad, 7, time.Millisecond)}}, steps[2:]...)...)
	s := newScript(t, steps...)
	c := s.client(Options{})
	mustFind(t, c)
	before := s.clock.Now()
	mustRead(t, c, card)
	if d := s.clock.Now().Sub(before); d > 200*time.Millisecond+defaultGap {
		t.Errorf("read after %v", d)
	}
	if c.LineErrors() == 0 {
		t.Error("no line error was counted")
	}
}

// TestTrap15DamagedHead: an answer that nothing marks as a frame any more is
// noticed by its size.
func TestTrap15DamagedHead(t *testing.T) {
	card := specimen(4)
	bad := cardFrame(card)
	bad[3] ^= 0x01
	steps := read(card, noAddress)
	steps = append(steps[:2:2], append([]step{{want: CmdReadText, answer: answers(bad)}}, steps[2:]...)...)
	s := newScript(t, steps...)
	c := s.client(Options{})
	mustFind(t, c)
	before := s.clock.Now()
	mustRead(t, c, card)
	if d := s.clock.Now().Sub(before); d > 2*defaultGap {
		t.Errorf("read after %v", d)
	}
}

// TestTrap15ForeignTrafficBeforeAnswer: what the board says before the module
// does costs nothing but is counted.
func TestTrap15ForeignTrafficBeforeAnswer(t *testing.T) {
	for name, junk := range map[string][]byte{
		"STX ETX":   {0x02, 0x00, 0x03, 0x10, 0x20, 0x30, 0x03},
		"CCID-like": {0x80, 0x02, 0, 0, 0, 0, 0x11, 0, 0, 0, 0x90, 0x00},
		"ASCII":     []byte("D&C00040101"),
		"AA":        {0xAA, 0xAA, 0xAA},
	} {
		t.Run(name, func(t *testing.T) {
			card := specimen(5)
			steps := read(card, noAddress)
			for i := range steps {
				steps[i].answer = append([]piece{{0, junk}, {350 * time.Millisecond, steps[i].answer[0].bytes[:3]}},
					piece{90 * time.Millisecond, steps[i].answer[0].bytes[3:]})
			}
			c := newScript(t, steps...).client(Options{})
			mustFind(t, c)
			mustRead(t, c, card)
			if c.LineErrors() != 4 {
				t.Errorf("%d line errors, want 4", c.LineErrors())
			}
		})
	}
}

// TestTrap15VendorTimeoutAnswer: the malformed time-out answer ends each of two
// attempts after the inter-byte time, not after the whole wait.
func TestTrap15VendorTimeoutAnswer(t *testing.T) {
	late := step{want: CmdFind, answer: answers(vendorTimeout)}
	s := newScript(t, late, late)
	c := s.client(Options{})
	before := s.clock.Now()
	if _, err := c.Find(context.Background()); !errors.Is(err, driver.ErrProtocol) {
		t.Errorf("Find: %v", err)
	}
	if d := s.clock.Now().Sub(before); d != 2*defaultGap {
		t.Errorf("took %v, want the inter-byte time twice", d)
	}
}

// TestBytesAtTheDeadline: what has arrived counts, although the time to wait for
// it is over.
func TestBytesAtTheDeadline(t *testing.T) {
	card := specimen(11)
	steps := read(card, noAddress)
	steps[2].answer = split(cardFrame(card), 600, defaultGap)
	c := newScript(t, steps...).client(Options{})
	mustFind(t, c)
	mustRead(t, c, card)
	if n := c.LineErrors(); n != 0 {
		t.Errorf("%d line errors", n)
	}
}

// TestTrap14TimeoutsScale: at every rate the whole of the largest answer may
// come as slowly as the line carries it.
func TestTrap14TimeoutsScale(t *testing.T) {
	for _, baud := range append([]int{0}, Rates...) {
		rate := baud
		if rate == 0 {
			rate = slowest
		}
		card := specimen(6)
		frame := Answer(0, 0, OK, cardData(card, 1024))
		steps := read(card, noAddress)
		answer := split(frame, 11, wireTime(11, rate)) // 2321 bytes are 211 such pieces
		answer[0].after += waitRead - time.Millisecond
		steps[2].answer = answer
		s := newScript(t, steps...)
		c := s.client(Options{})
		c.o.Baud = baud
		mustFind(t, c)
		mustRead(t, c, card)
	}
}

// TestTimeout: silence ends a command at its deadline as a time-out.
func TestTimeout(t *testing.T) {
	s := newScript(t, step{want: CmdFind})
	c := s.client(Options{})
	before := s.clock.Now()
	if _, err := c.Find(context.Background()); !errors.Is(err, driver.ErrTimeout) || errors.Is(err, driver.ErrProtocol) {
		t.Errorf("Find: %v", err)
	}
	if d := s.clock.Now().Sub(before); d < waitFind || d > waitFind+10*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

// TestTrap19FirstFindFails: one 80 is asked again, two are a no.
func TestTrap19FirstFindFails(t *testing.T) {
	c := newScript(t,
		step{want: CmdFind, answer: answers(status(NoCard))},
		step{want: CmdFind, answer: answers(foundFrame)},
	).client(Options{})
	mustFind(t, c)
	c = newScript(t,
		step{want: CmdFind, answer: answers(status(NoCard))},
		step{want: CmdFind, answer: answers(status(NoCard))},
	).client(Options{})
	if ok, err := c.Find(context.Background()); ok || err != nil {
		t.Errorf("Find = %v, %v; want a plain no", ok, err)
	}
}

// TestTrap20PowerUp: the module's number is asked for until it comes.
func TestTrap20PowerUp(t *testing.T) {
	id := unhex(t, "05000100 5B033301 5AB31E00 00000000")
	s := newScript(t,
		step{want: CmdSAMID}, // silent
		step{want: CmdSAMID, answer: []piece{{0, []byte{0xFF, 0x00, 0xFE}}}},
		step{want: CmdSAMID},
		step{want: CmdSAMID, answer: answers(Answer(0, 0, OK, id))},
		step{want: CmdSelfTest, answer: answers(status(OK))},
		step{want: CmdMaxRF, data: []byte{0x50}, answer: answers(status(OK))},
		step{want: CmdSAMID, answer: answers(Answer(0, 0, OK, id))},
		step{want: CmdSelfTest, answer: answers(status(OK))},
	)
	c := s.client(Options{MaxRFBytes: 0x50})
	for range 2 { // 61 FF goes out once
		got, err := c.Identify(context.Background())
		if err != nil || got.SAM != "05.01-20120411-0002011994-0000000000" || got.Status != OK {
			t.Errorf("Identify = %+v, %v", got, err)
		}
	}
}

// TestTrap20PowerUpEnds: a module that never answers is given up in time.
func TestTrap20PowerUpEnds(t *testing.T) {
	var steps []step
	for range 5 {
		steps = append(steps, step{want: CmdSAMID})
	}
	s := newScript(t, steps...)
	c := s.client(Options{})
	before := s.clock.Now()
	if _, err := c.Identify(context.Background()); !errors.Is(err, driver.ErrTimeout) {
		t.Errorf("Identify: %v", err)
	}
	if d := s.clock.Now().Sub(before); d > powerUp+waitStatus+powerUpPoll {
		t.Errorf("took %v", d)
	}
}

// TestTrap18Presence: 90 and 91 mean present, other statuses absent, and a bad
// frame, a broken module or a misheard request say nothing.
func TestTrap18Presence(t *testing.T) {
	a := record('a')
	damaged := bytes.Clone(noAddress)
	damaged[8] ^= 0x01
	for _, c := range []struct {
		name   string
		answer []byte
		want   bool
		err    error
	}{
		{"addresses", Answer(0, 0, OK, a[:]), true, nil},
		{"none", noAddress, true, nil},
		{"no card", status(NoCard), false, nil},
		{"read failed", Answer(0x6A, 0x82, ReadFailed, nil), false, nil},
		{"select failed", status(SelectFailed), false, nil},
		{"refused", status(CardRefusedSAM), false, nil},
		{"random number", status(NoRandomNumber), false, nil},
		{"damaged", damaged, false, driver.ErrProtocol},
		{"nothing", nil, false, driver.ErrTimeout},
		{"self-test", status(SelfTestFailed), false, driver.ErrFaulty},
		{"not authorised", status(NotAuthorised), false, driver.ErrFaulty},
		{"misheard", status(BadChecksum), false, driver.ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := step{want: CmdReadAddress}
			if c.answer != nil {
				st.answer = answers(c.answer)
			}
			steps := []step{st}
			if errors.Is(c.err, driver.ErrProtocol) { // asked once more
				steps = append(steps, st)
			}
			got, err := newScript(t, steps...).client(Options{}).Present(context.Background())
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("Present = %v, %v; want %v, %v", got, err, c.want, c.err)
			}
		})
	}
	for sw3, want := range map[byte]bool{OK: true, NoCard: false, BadCommand: false} {
		answer := status(sw3)
		if sw3 == OK {
			answer = Answer(0, 0, OK, make([]byte, 28))
		}
		c := newScript(t,
			step{want: CmdReadAddress, answer: answers(status(BadCommand))},
			step{want: CmdReadManagement, answer: answers(answer)},
		).client(Options{})
		if got, err := c.Present(context.Background()); got != want || err != nil {
			t.Errorf("Present by the management block, %02X: %v, %v", sw3, got, err)
		}
	}
}

// TestTrap23ReaderFault: 60 and 66 from any command are the reader's fault.
func TestTrap23ReaderFault(t *testing.T) {
	for _, sw3 := range []byte{SelfTestFailed, NotAuthorised} {
		c := newScript(t, step{want: CmdFind, answer: answers(status(sw3))}).client(Options{})
		if _, err := c.Find(context.Background()); !errors.Is(err, driver.ErrFaulty) || statusOf(err) != sw3 {
			t.Errorf("Find: %v", err)
		}
		c = newScript(t, step{want: CmdSAMID, answer: answers(status(sw3))}).client(Options{})
		if id, err := c.Identify(context.Background()); !errors.Is(err, driver.ErrFaulty) || id.Status != sw3 {
			t.Errorf("Identify: %+v, %v", id, err)
		}
	}
}

// TestTrap24NoAddress: 91 and firmware without the command give a card without
// addresses after one request; anything else fails the read, a misheard request
// after the second.
func TestTrap24NoAddress(t *testing.T) {
	for _, c := range statuses {
		if c.sw3 == OK || c.sw3 == CardFound {
			continue
		}
		card := specimen(7)
		steps := read(card, status(c.sw3))
		if c.sw3 == BadChecksum || c.sw3 == BadLength {
			steps = append(steps, steps[3])
		}
		client := newScript(t, steps...).client(Options{})
		mustFind(t, client)
		switch c.sw3 {
		case NoSuchItem, BadCommand, NotPermitted:
			mustRead(t, client, card)
		default:
			if _, err := client.Read(context.Background()); !errors.Is(err, c.err) {
				t.Errorf("address answered %02X: %v, want %v", c.sw3, err, c.err)
			}
		}
	}
}

// TestLostAddress: a damaged or missing address answer, or a request that
// arrived damaged, is asked for once more; then the read has failed, and the
// next one begins at 30 01.
func TestLostAddress(t *testing.T) {
	a := record('a')
	good := Answer(0, 0, OK, a[:])
	bad := bytes.Clone(good)
	bad[20] ^= 0x04
	card := specimen(8)
	want := card
	want.Addresses = [][addressSize]byte{a}
	for _, lost := range [][]piece{answers(bad), nil, answers(status(BadChecksum))} {
		steps := read(card, nil)
		steps[3].answer = lost
		again := step{want: CmdReadAddress, answer: answers(good)}

		c := newScript(t, append(steps, again)...).client(Options{})
		mustFind(t, c)
		mustRead(t, c, want)

		c = newScript(t, append(steps, steps[3], step{want: CmdReadText, answer: answers(cardFrame(card))}, again)...).client(Options{})
		mustFind(t, c)
		if _, err := c.Read(context.Background()); err == nil {
			t.Fatal("the address was lost in silence")
		}
		mustRead(t, c, want)
	}
}

// TestMuteCommands: firmware that never answers 30 03 and 30 05 is asked three
// times each; then cards are read without, and presence is left to others at
// once.
func TestMuteCommands(t *testing.T) {
	card := specimen(9)
	text := step{want: CmdReadText, answer: answers(cardFrame(card))}
	address, management := step{want: CmdReadAddress}, step{want: CmdReadManagement}
	steps := append(read(card, nil)[:3], address, address, text, address, management, management, management, text)
	s := newScript(t, steps...)
	c := s.client(Options{})
	mustFind(t, c)
	if _, err := c.Read(context.Background()); !errors.Is(err, driver.ErrTimeout) {
		t.Fatalf("two silences: %v", err)
	}
	mustRead(t, c, card)
	for range 4 {
		if _, err := c.Present(context.Background()); !errors.Is(err, driver.ErrTimeout) {
			t.Fatalf("Present: %v", err)
		}
	}
	mustRead(t, c, card)
}

// TestStallIsNotMute: a module that has answered 30 03 once has it.
func TestStallIsNotMute(t *testing.T) {
	card := specimen(10)
	text := step{want: CmdReadText, answer: answers(cardFrame(card))}
	steps := read(card, noAddress)
	for i := range muteSilences {
		steps = append(steps, text, step{want: CmdReadAddress})
		if i == 0 { // see patience
			steps = append(steps, step{want: CmdSelfTest})
		}
		steps = append(steps, step{want: CmdReadAddress})
	}
	c := newScript(t, steps...).client(Options{})
	mustFind(t, c)
	mustRead(t, c, card)
	for range muteSilences {
		if _, err := c.Read(context.Background()); !errors.Is(err, driver.ErrTimeout) {
			t.Fatalf("the address was lost in silence: %v", err)
		}
	}
}

// TestForeignCard: 32 and 40 are believed the third time in a row.
func TestForeignCard(t *testing.T) {
	for _, sw3 := range []byte{SAMRefusedCard, WrongCardType} {
		var steps []step
		for range foreignCards {
			steps = append(steps, step{want: CmdFind, answer: answers(foundFrame)}, step{want: CmdSelect, answer: answers(status(sw3))})
		}
		c := newScript(t, steps...).client(Options{})
		for i := range foreignCards {
			mustFind(t, c)
			want := driver.ErrCardLost
			if i == foreignCards-1 {
				want = driver.ErrNotID
			}
			if _, err := c.Read(context.Background()); !errors.Is(err, want) || statusOf(err) != sw3 {
				t.Errorf("%02X, time %d: %v, want %v", sw3, i+1, err, want)
			}
		}
	}
}

// TestSimulatorIsTold: the number of a simulated module says that it is none; no
// other number does.
func TestSimulatorIsTold(t *testing.T) {
	real := SimulatorID
	real[12] = 1
	for _, tt := range []struct {
		id   ID
		want bool
	}{{SimulatorID, true}, {real, false}, {ID{}, false}} {
		c := newScript(t,
			step{want: CmdSAMID, answer: answers(Answer(0, 0, OK, tt.id[:]))},
			step{want: CmdSelfTest, answer: answers(status(OK))},
		).client(Options{})
		if got, err := c.Identify(context.Background()); err != nil || got.Simulated != tt.want {
			t.Errorf("Identify of %v = simulated %v, %v, want %v", tt.id, got.Simulated, err, tt.want)
		}
	}
}
