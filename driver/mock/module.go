package mock

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/driver"
	"idtap/driver/sam"
	"idtap/driver/simcard"
)

// Options make a Module. The zero Options are a module that answers at once, on
// a line without pace, as plain firmware does.
type Options struct {
	Clock  clockwork.Clock // nil: the machine's
	Timing Timing
	Quirks Quirks
	Faults Faults
	ID     [16]byte // SAM id; zero: sam.SimulatorID, by which every client knows it
}

// Module is a simulated SAM with a card slot. Its methods may be called from any
// goroutine.
type Module struct {
	clock  clockwork.Clock
	timing Timing
	quirks Quirks
	id     [16]byte

	mu      sync.Mutex    // guards all below
	changed chan struct{} // closed and made anew at every change
	faults  *injector
	baud    int
	ready   time.Time // deaf until then: power-up
	busy    time.Duration
	state   State
	plug    int  // which plugging this is; odd: plugged in
	held    bool // a line has the module open

	slot    *simcard.Card
	found   bool // a find found the card that lies there
	chosen  bool // it was selected
	read    bool // its text was read since the last find
	done    bool // its text was read since it was placed
	tries   int  // reads tried since it was placed
	placing int  // which placing this is
}

// State is what a person beside the reader could know.
type State struct {
	Present  bool // a card lies there
	Reads    int  // whole 30 01 answers that left since it was placed
	Tried    int  // finds answered since it was placed
	Held     int  // 30 03 and 30 05 that met the card since the last read was heard
	Looks    int  // finds since the last read was heard
	Missed   int  // card commands since the last lifting that met no card
	Commands int  // requests heard since the Module was made
}

// NewModule makes a module that is plugged in and without a card.
func NewModule(o Options) *Module {
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.ID == [16]byte{} {
		o.ID = sam.SimulatorID
	}
	m := &Module{clock: o.Clock, timing: o.Timing, quirks: o.Quirks, id: o.ID,
		changed: make(chan struct{}), faults: newInjector(o.Faults), baud: o.Timing.Baud, plug: 1}
	m.ready = m.clock.Now().Add(o.Quirks.PowerUp)
	return m
}

// change lets waiters look again. m.mu is held.
func (m *Module) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Place lays a card on the reader, in the stead of one that lies there.
func (m *Module) Place(c simcard.Card) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lift()
	m.slot = &c
	m.placing++
	m.state.Present = true
	m.change()
}

// Lift takes the card away, if there is one.
func (m *Module) Lift() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lift()
	m.change()
}

func (m *Module) lift() {
	m.slot, m.done, m.tries = nil, false, 0
	m.forget()
	m.state.Present, m.state.Reads, m.state.Held, m.state.Looks, m.state.Tried, m.state.Missed = false, 0, 0, 0, 0, 0
}

// forget ends the session with the card.
func (m *Module) forget() { m.found, m.chosen, m.read = false, false, false }

// Unplug cuts the module off: every open line is gone for good.
func (m *Module) Unplug() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unplug()
}

func (m *Module) unplug() {
	if m.plug%2 == 0 {
		return
	}
	m.plug++
	m.held = false
	m.forget()
	m.change()
}

// Plug connects it again. It powers up as after any loss of power.
func (m *Module) Plug() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plug%2 == 1 {
		return
	}
	m.plug++
	m.powerUp()
	m.change()
}

func (m *Module) powerUp() {
	m.forget()
	m.done = false
	m.ready = m.clock.Now().Add(m.quirks.PowerUp)
}

// State tells how things are.
func (m *Module) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Busy is how long the module itself was busy with commands, the line's time not
// counted. A benchmark takes it off a measured cycle.
func (m *Module) Busy() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.busy
}

// Baud is the rate the module talks at: Timing.Baud until command 60 changes it.
func (m *Module) Baud() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.baud
}

// Injected counts the faults that happened, by name.
func (m *Module) Injected() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.faults.injected()
}

// Await blocks until the state satisfies ok, or returns the context's error.
func (m *Module) Await(ctx context.Context, ok func(State) bool) error {
	for {
		m.mu.Lock()
		good, changed := ok(m.state), m.changed
		m.mu.Unlock()
		if good {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attach opens the module for one line.
func (m *Module) attach() (plug int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.plug%2 == 0:
		return 0, &driver.Error{Op: "open", Err: driver.ErrGone}
	case m.held:
		return 0, &driver.Error{Op: "open", Err: driver.ErrBusy}
	}
	m.held = true
	return m.plug, nil
}

// detach gives the module back, unless it was unplugged meanwhile.
func (m *Module) detach(plug int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plug == plug {
		m.held = false
		m.change()
	}
}

// watch tells whether the plugging still holds and gives a channel that closes at
// the next change.
func (m *Module) watch(plug int) (here bool, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.plug == plug, m.changed
}

// job is a request on its way through the module.
type job struct {
	body    sam.Body // nil for a damaged request
	status  byte     // what a damaged request is answered
	placing int      // the card that lay there when the request was heard
	delay   time.Duration
}

func (j job) code() sam.Code {
	if len(j.body) < 2 {
		return 0
	}
	return j.body.Code()
}

// hear takes a request in. It reports false where the module is deaf.
func (m *Module) hear(j job, now time.Time) (job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.ready) {
		return j, false
	}
	m.state.Commands++
	j.placing = m.placing
	j.delay = m.timing.of(j.code())
	if j.code() == sam.CmdReadText || j.code() == readAll {
		m.state.Held, m.state.Looks = 0, 0
	}
	if j.code() == sam.CmdFind && m.slot == nil {
		j.delay = m.timing.Miss
	}
	m.busy += j.delay
	m.change()
	return j, true
}

// answer executes a request: what the module says once its delay is over, as the
// line's faults let it through.
func (m *Module) answer(j job) []piece {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.faults.strikes(faultLift, j.code()) {
		m.lift()
		m.change()
	}
	sw3, data := m.execute(j)
	if item := j.code() == sam.CmdReadAddress || j.code() == sam.CmdReadManagement; item && (sw3 == sam.OK || sw3 == sam.NoSuchItem) {
		m.state.Held++
	}
	if area := byte(j.code() >> 8); m.slot == nil && (area == 0x20 || area == 0x30) {
		m.state.Missed++
	}
	var sw1, sw2 byte
	if m.quirks.CardWords && (sw3 == sam.ReadFailed || sw3 == sam.SelectFailed || sw3 == sam.CardRefusedSAM || sw3 == sam.NoRandomNumber) {
		sw1, sw2 = 0x69, 0x88
	}
	pieces := m.faults.damage(j.code(), sam.Answer(sw1, sw2, sw3, data))
	if sw3 == sam.OK && (j.code() == sam.CmdReadText || j.code() == readAll) && len(pieces) > 0 {
		pieces[len(pieces)-1].ends = j.placing
	}
	m.change()
	return pieces
}

// left notes that a whole text answer left for the host.
func (m *Module) left(placing int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slot != nil && m.placing == placing {
		m.state.Reads++
		m.change()
	}
}

// Requests that a simulated module knows and idtap never sends.
const (
	readAll sam.Code = 0x3010 // text, photo and fingerprints
	setBaud byte     = 0x60   // in the high byte; the low one is the rate
)

// execute gives SW3 and the data of the answer. m.mu is held.
func (m *Module) execute(j job) (sw3 byte, data []byte) {
	switch {
	case m.quirks.SelfTestFailed:
		return sam.SelfTestFailed, nil
	case m.quirks.Unauthorised:
		return sam.NotAuthorised, nil
	case j.body == nil:
		return j.status, nil
	}
	wantLength := 2
	if j.code() == sam.CmdMaxRF {
		wantLength = 3
	}
	if len(j.body) != wantLength {
		return sam.BadLength, nil
	}
	switch code := j.code(); code {
	case sam.CmdReset:
		m.powerUp()
		return sam.OK, nil
	case sam.CmdSelfTest:
		return sam.OK, nil
	case sam.CmdSAMID:
		return sam.OK, m.id[:]
	case sam.CmdMaxRF:
		if j.body[2] < 24 { // legal range 24..255 [DELPHI, VB]
			return sam.BadCommand, nil
		}
		return sam.OK, nil
	case sam.CmdFind:
		return m.find()
	case sam.CmdSelect:
		return m.choose(j)
	case sam.CmdReadText, readAll:
		return m.readCard(j)
	case sam.CmdReadAddress, sam.CmdReadManagement:
		return m.readItem(j)
	default:
		if byte(code>>8) == setBaud && int(byte(code)) < len(sam.Rates) {
			if m.baud != 0 {
				m.baud = sam.Rates[byte(code)]
			}
			return sam.OK, nil
		}
		return sam.BadCommand, nil
	}
}

func (m *Module) find() (byte, []byte) {
	if m.slot == nil {
		m.forget()
		return sam.NoCard, nil
	}
	m.state.Tried++
	m.state.Looks++
	if m.quirks.FirstFindFails && m.state.Tried == 1 || m.done && !m.quirks.Refinds {
		return sam.NoCard, nil
	}
	m.forget()
	m.found = true
	return sam.CardFound, m.number(0x20, 4)
}

// number is a chip number: zero in every published answer, yet not promised to be.
func (m *Module) number(from byte, n int) []byte {
	b := make([]byte, n)
	if m.quirks.ChipNumbers {
		for i := range b {
			b[i] = from + byte(i)
		}
	}
	return b
}

func (m *Module) choose(j job) (byte, []byte) {
	if !m.lies(j) || !m.found || m.slot.Refuse == sam.SelectFailed {
		m.forget()
		return sam.SelectFailed, nil
	}
	if m.slot.Refuse == sam.WrongCardType {
		m.forget()
		return sam.WrongCardType, nil
	}
	m.chosen = true
	return sam.OK, m.number(0x30, 8)
}

// lies reports whether the card that lay there when the request was heard still
// does.
func (m *Module) lies(j job) bool { return m.slot != nil && m.placing == j.placing }

func (m *Module) readCard(j job) (byte, []byte) {
	if !m.lies(j) || !m.chosen && !(m.found && m.quirks.MergedSelect) {
		m.forget()
		return sam.ReadFailed, nil
	}
	m.tries++
	switch {
	case m.slot.Refuse != 0:
		m.forget()
		return m.slot.Refuse, nil
	case m.quirks.FirstReadFails && m.tries == 1:
		m.forget()
		return sam.ReadFailed, nil
	case m.quirks.ReadsOnce && m.read:
		return sam.BadCommand, nil
	}
	m.chosen, m.read, m.done = true, true, true
	text, photo := m.slot.Text(), m.slot.Photo()
	data := binary.BigEndian.AppendUint16(nil, uint16(len(text)))
	data = binary.BigEndian.AppendUint16(data, uint16(len(photo)))
	if j.code() == readAll {
		data = binary.BigEndian.AppendUint16(data, uint16(m.slot.Fingerprint))
	}
	data = append(append(data, text[:]...), photo...)
	if j.code() == readAll {
		data = append(data, m.slot.Fingerprints()...)
	}
	return sam.OK, data
}

// readItem answers 30 03 and 30 05. After a read they need no new find; before
// one they need find and select [QT].
func (m *Module) readItem(j job) (byte, []byte) {
	switch {
	case !m.lies(j) || !m.chosen:
		m.forget()
		return sam.ReadFailed, nil
	case j.code() == sam.CmdReadAddress && m.quirks.NoAddress, j.code() == sam.CmdReadManagement && m.quirks.NoManagement:
		return sam.BadCommand, nil
	case j.code() == sam.CmdReadManagement: // 4 bytes IIN, 8 SN, 16 DN
		return sam.OK, append(append(m.number(0x20, 4), m.number(0x30, 8)...), m.slot.DN()...)
	case len(m.slot.Appended) == 0:
		return sam.NoSuchItem, nil
	}
	var data []byte
	for _, a := range m.slot.Addresses() {
		data = append(data, a[:]...)
	}
	return sam.OK, data
}
