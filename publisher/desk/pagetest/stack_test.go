package pagetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/driver"
	"idtap/driver/mock"
	"idtap/driver/sam"
	"idtap/driver/simcard"
	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader"
	"idtap/reader/identity"
)

// parts are what a stack is put together from.
type parts struct {
	reader func(context.Context) (driver.Device, error)
	queue  outbox.Options
	intake publisher.Options
	page   desk.Options
}

func defaultParts(dir string) parts {
	clock := clockwork.NewRealClock()
	return parts{
		queue: outbox.Options{Dir: dir, MinFree: 1, RepeatWindow: 5 * time.Minute, Log: zerolog.Nop()},
		intake: publisher.Options{Desk: publisher.DeskFacts{ID: "jinshui-wenhualu-03", Division: "410105", Role: "inflow", Test: true, Zone: zone,
			RefKey: []byte("synthetic key of at least 32 characters")}, Retain: time.Hour, Clock: clock, Log: zerolog.Nop()},
		page: desk.Options{Listen: "127.0.0.1:0", Mask: true, Clock: clock, Log: zerolog.Nop()},
	}
}

// stack is everything between a reader's bytes and the page: SAM client, reader,
// intake, queue on disk, board, server.
type stack struct {
	queue   *outbox.Queue
	board   *desk.Board
	server  *desk.Server
	reader  *reader.Reader
	running sync.WaitGroup
	url     string
}

func assemble(ctx context.Context, p parts) (*stack, error) {
	s := &stack{board: desk.NewBoard(desk.BoardOptions{DeskID: p.intake.Desk.ID, DeskName: "文化路街道便民服务中心", Test: true, Zone: zone})}
	var err error
	if s.queue, err = outbox.Open(ctx, p.queue); err != nil {
		return nil, err
	}
	p.intake.Queue, p.intake.Observers = s.queue, []publisher.Observer{s.board}
	intake := publisher.NewIntake(p.intake)
	p.page.Board, p.page.Decisions = s.board, intake
	if s.server, err = desk.NewServer(p.page); err != nil {
		return nil, err
	}
	addr, err := s.server.Listen(ctx)
	if err != nil {
		return nil, err
	}
	s.url = "http://" + addr.String()
	s.reader = reader.New(reader.Options{Name: "front", Sink: intake, Poll: 20 * time.Millisecond, Open: p.reader, Identity: identity.Options{DeskDivision: "410105"}})
	return s, nil
}

func (s *stack) run(ctx context.Context, failed func(error)) {
	s.running.Go(func() { s.reader.Run(ctx) })
	s.running.Go(func() {
		if err := s.server.Serve(ctx); err != nil {
			failed(err)
		}
	})
}

// simulated is a stack over a module in this process; the bus is left to the
// test.
type simulated struct {
	*stack
	t      *testing.T
	module *mock.Module
}

func newStack(t *testing.T, change ...func(*parts)) *simulated {
	t.Helper()
	p := defaultParts(t.TempDir())
	s := &simulated{t: t, module: mock.NewModule(mock.Options{})}
	p.reader = func(context.Context) (driver.Device, error) {
		line, err := s.module.Open()
		if err != nil {
			return nil, err
		}
		return sam.NewClient(line, sam.Options{Name: "front", Model: "simulated", Baud: 115200}), nil
	}
	for _, c := range change {
		c(&p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if s.stack, err = assemble(ctx, p); err != nil {
		t.Fatal(err)
	}
	s.board.Bus(desk.BusState{Mode: desk.BusConnected})
	s.run(ctx, func(err error) { t.Error(err) })
	t.Cleanup(func() {
		cancel()
		s.running.Wait()
		s.board.Close()
		if err := s.queue.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// lift takes the card away and waits until the reader has met the empty place
// often enough to know.
func (s *simulated) lift() {
	s.t.Helper()
	s.module.Lift()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.module.Await(ctx, func(m mock.State) bool { return m.Missed >= 20 }); err != nil {
		s.t.Fatalf("the reader does not look: %v", err)
	}
}

// specimen is the official specimen number with a synthetic holder.
func specimen(change func(*simcard.Card)) simcard.Card {
	c := simcard.Card{Kind: simcard.Resident, Name: "样本甲", Sex: "2", Ethnic: "01", Birth: "19491231", Address: "甘肃省白银市会宁县样本镇样本村一社", Number: "11010519491231002X",
		Authority: "会宁县公安局", ValidFrom: "20100101", ValidTo: "长期"}
	if change != nil {
		change(&c)
	}
	return c
}

func (s *simulated) events() []string {
	s.t.Helper()
	records, err := s.queue.Recent(s.t.Context(), time.Now().Add(-time.Hour), 100)
	if err != nil {
		s.t.Fatal(err)
	}
	var types []string
	for _, r := range records {
		types = append(types, event.Token(r.Type))
	}
	slices.Sort(types)
	return types
}

// A morning on the simulated reader: each card shows what it must, without a
// reload, from the bytes on the line to the page.
func TestSimulatedReader(t *testing.T) {
	s := newStack(t)
	b := newTab(t, s.url)
	eval[any](b, `window.notReloaded = true`)
	next := func(c simcard.Card, title string) {
		t.Helper()
		s.module.Place(c)
		b.face("front", title)
		s.lift()
	}
	b.face("front", "请放证件")
	next(specimen(nil), "已登记")
	b.wait(`document.querySelector(".person").innerText.includes("甘肃省白银市会宁县")`)
	next(specimen(nil), "刚刚刷过")
	next(specimen(func(c *simcard.Card) {
		c.NameUnits, c.Number = []uint16{0x6837, 0x672C, 0xE900}, "440308199901101512"
		c.Birth, c.Sex = "19990110", "1"
	}), "请核对")
	next(specimen(func(c *simcard.Card) { c.Number = "110105194912310021" }), "尚未登记，请核对") // read twice alike, check character wrong
	next(specimen(func(c *simcard.Card) { c.Refuse = sam.SelectFailed }), "请只放一张")
	next(specimen(func(c *simcard.Card) { c.Refuse = 0x41 }), "证件无法读取") // placed again, and still not one read
	next(specimen(func(c *simcard.Card) { c.Refuse = 0x40 }), "不是身份证")

	s.module.Unplug()
	b.face("front", "读卡器未连接")
	s.module.Plug()
	b.face("front", "请放证件")

	s.board.Bus(desk.BusState{Mode: desk.BusAway})
	next(specimen(func(c *simcard.Card) {
		c.Number, c.Name = "412723199010050012", "样本丁"
		c.Birth, c.Sex, c.ValidFrom, c.ValidTo = "19901005", "1", "20180101", "20380101"
	}), "已登记，待发送")
	s.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b.face("front", "已登记")

	// The to-do list holds the flagged record and the card read twice alike.
	b.wait(`document.querySelectorAll("#todo li").length === 2`)
	b.press("核对")
	b.confirm()
	b.wait(`document.querySelectorAll("#todo li").length === 1`)
	// The next one opens by itself.
	b.wait(`document.querySelector("dialog[open]").innerText.includes("110105194912310021")`)
	b.confirm()
	b.wait(`document.querySelectorAll("#todo li").length === 0`)
	if got := s.events(); !slices.Equal(got, []string{"confirmed", "recorded", "recorded", "recorded", "recorded"}) {
		t.Errorf("in the queue: %q", got)
	}
	if !eval[bool](b, `window.notReloaded === true`) {
		t.Error("the page was reloaded")
	}
}

func TestSimulatedReaderPlaceAgain(t *testing.T) {
	s := newStack(t)
	b := newTab(t, s.url)
	b.face("front", "请放证件")
	s.module.Place(specimen(func(c *simcard.Card) { c.Refuse = 0x41 }))
	b.face("front", "请重新放置")
	s.lift()
	s.module.Place(specimen(nil))
	b.face("front", "已登记")
}

// A full disk is said at the tap, and the card counts once.
func TestSimulatedReaderDiskFull(t *testing.T) {
	s := newStack(t, func(p *parts) { p.queue.MinFree = 1 << 60 })
	b := newTab(t, s.url)
	b.face("front", "请放证件")
	s.module.Place(specimen(nil))
	b.face("front", "磁盘已满")
	b.wait(`document.querySelector("[data-count=failed] dd").innerText === "1"`)
	if got := s.events(); len(got) != 0 {
		t.Errorf("in the queue: %q", got)
	}
}

func TestSimulatedReaderRefusesExpired(t *testing.T) {
	s := newStack(t, func(p *parts) { p.intake.RefuseExpired = true })
	b := newTab(t, s.url)
	b.face("front", "请放证件")
	s.module.Place(specimen(func(c *simcard.Card) { c.ValidFrom, c.ValidTo = "20040101", "20240101" }))
	b.face("front", "证件已过期")
}
