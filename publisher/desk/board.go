package desk

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/reader"
)

const (
	shownLast = 8    // last taps on the page
	shownTodo = 50   // to-do items in a snapshot
	keptTodo  = 1000 // to-do items on the board; the oldest fall off until the next start
)

// BoardOptions are what a board is told once.
type BoardOptions struct {
	DeskID   string
	DeskName string
	Test     bool     // a demo
	Readers  []Reader // the configured ones, in the order of their panels; others follow
	// ClearAfter is how long a result stays; its personal fields go after two
	// thirds of that. Default 30 s.
	ClearAfter time.Duration
	Zone       *time.Location  // of times and of midnight; default UTC
	Clock      clockwork.Clock // default the real one
	Today      Today           // today's counts so far, from the journal
}

// Reader is a configured reader as the page names it.
type Reader struct{ Name, Label string }

// Board holds what the page shows and tells subscribers what changes. It is a
// publisher.Observer; no call blocks on a subscriber.
type Board struct {
	o    BoardOptions
	boot string

	mu     sync.Mutex // guards all below
	rev    uint64
	panels []*panel // in the configuration's order, others in order of appearance
	queue  QueueState
	bus    BusState
	today  Today
	last   []*tap // newest first
	todo   []*tap // newest first
	subs   map[*subscription]struct{}
	timers map[*clearing]struct{}
	night  clockwork.Timer
	closed bool
}

// clearing is the two timers that clear one result.
type clearing struct{ person, result clockwork.Timer }

var _ publisher.Observer = (*Board)(nil)

// NewBoard makes an empty board. Close it to stop its timers.
func NewBoard(o BoardOptions) *Board {
	if o.ClearAfter <= 0 {
		o.ClearAfter = 30 * time.Second
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	b := &Board{o: o, boot: uuid.NewString()[:8], subs: map[*subscription]struct{}{}, timers: map[*clearing]struct{}{},
		bus: BusState{Mode: BusConnecting}}
	now := o.Clock.Now()
	b.today = Today{Date: b.day(now)}
	if o.Today.Date == b.today.Date {
		b.today = o.Today
	}
	b.night = o.Clock.AfterFunc(b.untilMidnight(now), b.midnight)
	return b
}

// Close stops the board's timers and ends every subscription.
func (b *Board) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.night.Stop()
	for c := range b.timers {
		c.person.Stop()
		c.result.Stop()
	}
	for s := range b.subs {
		s.end()
	}
}

// Reader implements publisher.Observer.
func (b *Board) Reader(s reader.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.panel(s.Reader)
	before := p.state.Phase
	p.state = s
	switch f := misread(s); {
	case f != "" && s.Phase != before:
		b.show(p, f, nil, b.o.Clock.Now())
	case s.Phase == reader.Found, s.Phase == reader.Ready && p.doubted, troubles[s.Phase] != "":
		p.clear()
	case s.Phase == reader.Reading && before != reader.Found && before != reader.Reading:
		p.doubted = true
	case s.Phase == reader.Held:
		p.doubted = false
	}
	b.publish(change{readers: []panel{*p}})
}

// Tapped implements publisher.Observer.
func (b *Board) Tapped(t publisher.Tapped) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rollover()
	v := newTap(t)
	if b.offeredAgain(v) {
		if !v.taken() {
			v.at = b.last[0].at // no news
		}
		b.last = b.last[1:]
		b.today.Failed--
	}
	b.count(t)
	b.last = slices.Insert(b.last, 0, v)
	b.last = b.last[:min(len(b.last), shownLast)]
	c := change{today: &b.today, last: &b.last}
	if v.open() {
		b.addTodo(v)
		c.todo = &b.todo
	}
	// A tap that a clerk released comes without a card: it takes the place of
	// the quarantined one, if that still shows.
	p := b.panel(t.Reader)
	if v.status != event.Unverified || t.Outcome != publisher.Accepted || p.tap != nil && p.tap.decided == released {
		b.show(p, faceOf(t), v, t.At)
		c.readers = []panel{*p}
	}
	b.publish(c)
}

// offeredAgain reports whether a tap is the last one, which the queue did not
// take: a reader offers the card it holds until that is settled. It counts once.
func (b *Board) offeredAgain(t *tap) bool {
	return len(b.last) > 0 && !b.last[0].taken() && b.last[0].reader == t.reader && b.last[0].found.Equal(t.found) && !t.found.IsZero()
}

// FollowedUp implements publisher.Observer.
func (b *Board) FollowedUp(u publisher.FollowUp) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rollover()
	decision := event.Token(u.Type)
	switch u.Type {
	case event.ConfirmedType:
		b.today.Confirmed++
	case event.CorrectedType:
		b.today.Corrected++
	case event.CancelledType:
		if u.ID != "" { // else a quarantined tap was dropped
			b.today.Cancelled++
		}
	case event.RecordedType:
		decision = released
	}
	b.settle(u.Refers, decision)
}

// Queue tells the board how the queue is.
func (b *Board) Queue(q QueueState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q == b.queue {
		return
	}
	b.queue = q
	b.publish(change{queue: true, readers: b.copyPanels()})
}

// Bus tells the board how the bus is.
func (b *Board) Bus(s BusState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s == b.bus {
		return
	}
	b.bus = s
	b.publish(change{bus: true, readers: b.copyPanels()})
}

// restore puts taps that wait for a clerk since before the start on the list.
func (b *Board) restore(taps []publisher.Tapped) {
	b.mu.Lock()
	defer b.mu.Unlock()
	taps = slices.SortedFunc(slices.Values(taps), func(a, b publisher.Tapped) int { return a.At.Compare(b.At) })
	for _, t := range taps {
		if v := newTap(t); v.open() && b.find(v.id) == nil {
			b.addTodo(v.impersonal())
		}
	}
	b.publish(change{todo: &b.todo})
}

// lookup gives a tap on the board by its id, or nil.
func (b *Board) lookup(id string) *tap {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.find(id)
}

func (b *Board) find(id string) *tap {
	for _, list := range [][]*tap{b.last, b.todo} {
		if i := slices.IndexFunc(list, func(t *tap) bool { return t.is(id) }); i >= 0 {
			return list[i]
		}
	}
	for _, p := range b.panels {
		if p.tap != nil && p.tap.is(id) {
			return p.tap
		}
	}
	return nil
}

func (b *Board) addTodo(t *tap) {
	b.todo = slices.Insert(b.todo, 0, t)
	b.todo = b.todo[:min(len(b.todo), keptTodo)]
}

// show puts a result on a panel and starts its clearing.
func (b *Board) show(p *panel, f Face, t *tap, since time.Time) {
	p.result, p.tap, p.at, p.doubted = f, t, since, false
	if b.closed {
		return
	}
	c := &clearing{}
	b.timers[c] = struct{}{}
	c.person = b.o.Clock.AfterFunc(b.o.ClearAfter*2/3, func() { b.clearPerson(t) })
	c.result = b.o.Clock.AfterFunc(b.o.ClearAfter, func() { b.clearResult(c, p, since) })
}

// clearPerson takes the personal fields of a tap off the board.
func (b *Board) clearPerson(t *tap) {
	if t == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replace(func(old *tap) bool { return old.person == t.person && t.person != nil }, (*tap).impersonal)
}

// clearResult takes a result off its panel unless a newer one is there.
func (b *Board) clearResult(c *clearing, p *panel, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.timers, c)
	if b.closed || p.result == "" || !p.at.Equal(since) {
		return
	}
	p.clear()
	b.publish(change{readers: []panel{*p}})
}

// Given marks to whom a tap's data went, for the clerk to see. An origin counts
// once.
func (b *Board) Given(id, origin string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.find(id); id == "" || t == nil || slices.Contains(t.given, origin) {
		return
	}
	b.replace(func(t *tap) bool { return t.is(id) }, func(t *tap) *tap {
		c := *t
		c.given = append(slices.Clone(t.given), origin)
		return &c
	})
}

// settle marks what a clerk decided about a tap, wherever it shows.
func (b *Board) settle(id, decision string) {
	b.todo = slices.DeleteFunc(slices.Clone(b.todo), func(t *tap) bool { return t.is(id) })
	for _, p := range b.panels {
		if p.tap == nil || !p.tap.is(id) {
			continue
		}
		switch decision {
		case "cancelled":
			p.result = FaceCancelled
		case released, "confirmed", "corrected":
			p.result = FaceAccepted
		}
	}
	b.replace(func(t *tap) bool { return t.is(id) }, func(t *tap) *tap {
		t = t.settled(decision)
		if decision == "corrected" {
			t = t.impersonal() // what was read is no longer what is recorded
		}
		return t
	})
}

// replace puts changed copies of the taps that match wherever they show and
// publishes it all.
func (b *Board) replace(match func(*tap) bool, with func(*tap) *tap) {
	swap := func(list []*tap) []*tap {
		list = slices.Clone(list)
		for i, t := range list {
			if match(t) {
				list[i] = with(t)
			}
		}
		return list
	}
	b.last, b.todo = swap(b.last), swap(b.todo)
	for _, p := range b.panels {
		if p.tap != nil && match(p.tap) {
			p.tap = with(p.tap)
		}
	}
	b.publish(change{today: &b.today, last: &b.last, todo: &b.todo, readers: b.copyPanels()})
}

// panel finds or makes the panel of a reader.
func (b *Board) panel(name string) *panel {
	for _, p := range b.panels {
		if p.state.Reader == name {
			return p
		}
	}
	p := &panel{state: reader.State{Reader: name}, label: b.label(name)}
	b.panels = append(b.panels, p)
	slices.SortStableFunc(b.panels, func(x, y *panel) int { return b.rank(x.state.Reader) - b.rank(y.state.Reader) })
	return p
}

// rank is a reader's place in the configuration; those not in it come last.
func (b *Board) rank(name string) int {
	if i := slices.IndexFunc(b.o.Readers, func(r Reader) bool { return r.Name == name }); i >= 0 {
		return i
	}
	return len(b.o.Readers)
}

func (b *Board) label(name string) string {
	if i := b.rank(name); i < len(b.o.Readers) {
		return b.o.Readers[i].Label
	}
	return ""
}

func (b *Board) copyPanels() []panel {
	ps := make([]panel, 0, len(b.panels))
	for _, p := range b.panels {
		ps = append(ps, *p)
	}
	return ps
}

func (b *Board) count(t publisher.Tapped) {
	switch t.Outcome {
	case publisher.Accepted:
		b.today.Accepted++
		if t.Data.Quality.Status != event.Clean {
			b.today.Flagged++
		}
	case publisher.Repeat:
		b.today.Repeat++
	case publisher.Refused:
		b.today.Refused++
	case publisher.Full, publisher.Failed:
		b.today.Failed++
	}
}

func (b *Board) day(t time.Time) string { return t.In(b.o.Zone).Format(time.DateOnly) }

func (b *Board) untilMidnight(now time.Time) time.Duration {
	y, m, d := now.In(b.o.Zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, b.o.Zone).Sub(now)
}

// rollover starts a new day's counts. The clock may have been set while the
// timer of midnight slept, so every count looks for itself.
func (b *Board) rollover() bool {
	if day := b.day(b.o.Clock.Now()); day != b.today.Date {
		b.today = Today{Date: day}
		return true
	}
	return false
}

func (b *Board) midnight() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.rollover() {
		b.publish(change{today: &b.today})
	}
	b.night = b.o.Clock.AfterFunc(b.untilMidnight(b.o.Clock.Now()), b.midnight)
}
