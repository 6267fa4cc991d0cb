package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"

	"idtap/config"
	"idtap/driver/watch"
	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/outbox"
	"idtap/publisher/vendorports"
	"idtap/reader"
	"idtap/reader/identity"
)

// daemon is the parts of a running idtap, in the order they are started.
type daemon struct {
	cfg config.Config
	o   Options

	zone    *time.Location
	queue   *outbox.Queue
	bus     *bus.Bus
	board   *desk.Board
	intake  *publisher.Intake
	slot    *vendorports.Slot // nil without vendor ports
	page    *desk.Server
	address string // of the page
	states  *states
	watched *watch.Readers
	pulse   reader.Pulse
	sink    *sink
	control *control
	started time.Time

	running  sync.WaitGroup
	cancel   context.CancelFunc
	failed   chan error
	stopping atomic.Bool
}

// start brings the parts up. What fails here is a mistake that waiting does not
// mend; readers and servers that are not there yet are not among it.
func (d *daemon) start(ctx context.Context) error {
	ctx, d.cancel = context.WithCancel(ctx)
	d.failed = make(chan error, 4)
	clock := d.o.clock()
	d.started, d.watched, d.states = clock.Now(), &watch.Readers{Clock: clock}, &states{}
	var err error
	if d.zone, err = time.LoadLocation(d.cfg.Desk.Timezone); err != nil {
		return &ConfigError{err}
	}
	if d.queue, err = outbox.Open(ctx, QueueOptions(d.cfg, d.o.Log)); err != nil {
		return err
	}
	refKey, err := refKey(d.cfg.Desk.RefKeyFile, d.queue.RefKey())
	if err != nil {
		return err
	}
	d.board = desk.NewBoard(desk.BoardOptions{DeskID: d.cfg.Desk.ID, DeskName: d.cfg.Desk.Name, Test: d.o.Demo,
		ClearAfter: time.Duration(d.cfg.DeskPage.ClearAfter), Zone: d.zone, Clock: clock, Today: d.today(ctx), Readers: labels(d.cfg.Readers)})
	answers := &answers{}
	if err := d.startBus(ctx, answers); err != nil {
		return err
	}
	d.intake = publisher.NewIntake(publisher.Options{
		Desk: publisher.DeskFacts{
			ID: d.cfg.Desk.ID, Division: d.cfg.Desk.Division, Unit: d.cfg.Desk.Unit, Role: d.cfg.Desk.Role,
			Operator: d.cfg.Desk.Operator, LegalBasis: d.cfg.Desk.LegalBasis, NoticeVersion: d.cfg.Desk.NoticeVersion,
			Test: d.o.Demo, EmbedPhoto: d.cfg.Policy.Photo == "embed", Zone: d.zone, RefKey: refKey,
		},
		SubjectHukou: d.cfg.NATS.SubjectHukou, Groups: groups(d.cfg.Policy.Groups), RefuseExpired: d.cfg.Policy.Expired == "refuse",
		Retain: time.Duration(d.cfg.Outbox.Retain), Queue: d.queue,
		Observers: append(d.slots(clock), append([]publisher.Observer{d.board, d.observer()}, d.o.Observers...)...),
		Clock:     clock, Log: d.o.Log.With().Str("part", "intake").Logger(),
	})
	monitor := newMonitor(d.states, d.queue, d.bus, d.zone, d.cfg.Desk.ID, d.o.Version)
	d.sink = &sink{Intake: d.intake, observe: monitor.tapped}
	if d.cfg.DeskPage.Listen != "" {
		if err := d.startPage(ctx, clock, monitor); err != nil {
			return err
		}
	}
	if err := d.startVendorPorts(ctx, clock, monitor); err != nil {
		return err
	}
	answers.from(monitor, d.examiner)
	if d.control, err = listenControl(d.cfg.Outbox.Dir, d.examiner, d.queue.Audit, d.o.Log); err != nil {
		d.o.Log.Warn().Err(err).Msg("idtap diag cannot ask this daemon")
	} else {
		d.running.Go(func() { d.control.serve(ctx) })
	}
	if err := WriteRuntime(d.o.RuntimeFile, d.runtime()); err != nil {
		return err
	}
	readers := reader.Set{Drivers: d.watched.Registry(d.o.Drivers), Readers: specs(d.cfg.Readers), Options: d.readerOptions(clock)}
	d.running.Go(func() { readers.Run(ctx) })
	d.running.Go(func() { watchQueue(ctx, d.queue, d.board) })
	d.running.Go(func() { d.watchdog(d.o.Manager).run(ctx) })
	return nil
}

func (d *daemon) startBus(ctx context.Context, a *answers) error {
	o, err := d.busOptions()
	if err != nil {
		return err
	}
	display := &busDisplay{board: d.board, stopping: &d.stopping, lang: d.o.Lang, log: d.o.Log}
	o.OnChange, o.Sources = display.show, a.sources()
	d.bus, err = bus.Start(ctx, o, d.queue)
	if file := (*bus.FileError)(nil); o.SigningKey != "" && errors.As(err, &file) && file.Path == o.SigningKey {
		return &ConfigError{fmt.Errorf("desk.signing_key: %w", err)}
	}
	return err
}

func (d *daemon) observer() *observer {
	return &observer{states: d.states, board: d.board, queue: d.queue, bus: d.bus, lang: d.o.Lang, log: d.o.Log,
		facts: publisher.DeskFacts{ID: d.cfg.Desk.ID, Division: d.cfg.Desk.Division, Zone: d.zone, Test: d.o.Demo}}
}

func (d *daemon) startPage(ctx context.Context, clock clockwork.Clock, m *monitor) error {
	p := d.cfg.DeskPage
	if p.TokenFile == "" {
		p.TokenFile = filepath.Join(d.cfg.Outbox.Dir, "page.token")
		if err := makeToken(p.TokenFile); err != nil {
			return err
		}
	}
	var address net.Addr
	for try := 0; ; try++ {
		var err error
		d.page, err = desk.NewServer(desk.Options{
			Listen: p.Listen, Origins: p.Origins, TokenFile: p.TokenFile, PINFile: p.PINFile, CertFile: p.TLS.Cert, KeyFile: p.TLS.Key,
			Mask: p.Mask, Decoder: d.cfg.Photo.Decoder, Operator: d.cfg.Desk.Operator, Version: d.o.Version,
			Board: d.board, Decisions: d.intake, Handlers: m.handlers(), Clock: clock, Log: d.o.Log.With().Str("part", "page").Logger(),
		})
		if err != nil {
			return &ConfigError{err}
		}
		if address, err = d.page.Listen(ctx); err == nil {
			break
		}
		if !errors.As(err, new(*net.OpError)) {
			return err
		}
		if !d.o.Demo || try == demoPorts {
			return texts.Errorf("port_taken", err)
		}
		p.Listen = nextPort(p.Listen)
	}
	scheme := "http"
	if p.TLS.Cert != "" {
		scheme = "https"
	}
	d.address = scheme + "://" + address.String() + "/"
	d.running.Go(func() {
		if err := d.page.Serve(ctx); err != nil && ctx.Err() == nil {
			d.failed <- err
		}
	})
	return nil
}

// wait returns when the context ends or a part fails for good.
func (d *daemon) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-d.failed:
		return err
	}
}

// stop ends the parts in reverse: no new taps, then no deliveries, then the queue.
func (d *daemon) stop() {
	d.stopping.Store(true)
	d.cancel()
	d.running.Wait()
	if d.bus != nil {
		d.bus.Stop()
	}
	if d.board != nil {
		d.board.Close()
	}
	if d.queue != nil {
		if err := d.queue.Close(); err != nil {
			d.o.Log.Error().Err(err).Msg("queue")
		}
	}
}

// removeRuntime removes the runtime file if it is this daemon's: another may
// have been running before, or have taken the demo's place since.
func (d *daemon) removeRuntime() {
	if r, err := ReadRuntime(d.o.RuntimeFile); err == nil && r.PID == os.Getpid() {
		os.Remove(d.o.RuntimeFile)
	}
}

func (d *daemon) runtime() Runtime {
	r := Runtime{PID: os.Getpid(), Started: d.started, Access: d.bus.Access(), Page: d.address}
	if d.control != nil {
		r.Control = d.control.l.Addr().String()
	}
	return r
}

func (d *daemon) addresses() Address {
	a := Address{Page: d.address, Server: d.cfg.NATS.URL, Data: d.cfg.Outbox.Dir}
	if a.Server == "" {
		a.Server = d.bus.Health().Listen
	}
	return a
}

// examiner looks at this desk from inside.
func (d *daemon) examiner() *Examiner {
	g := NewExaminer(d.cfg, d.o)
	g.watched = d.watched
	g.live = &live{started: d.started, page: d.address, bus: d.bus, states: d.states, sink: d.sink}
	return g
}

func (d *daemon) readerOptions(clock clockwork.Clock) reader.Options {
	return reader.Options{
		Sink: d.sink, Poll: time.Duration(d.cfg.Policy.Poll), Verify: reader.Verify(d.cfg.Policy.VerifyReads),
		ComparePhoto: d.cfg.Policy.Photo == "embed", Clock: clock, Pulse: &d.pulse,
		Identity: identity.Options{DeskDivision: d.cfg.Desk.Division, Groups: groups(d.cfg.Policy.Groups), ClockFloor: d.o.Floor},
	}
}

func (d *daemon) busOptions() (bus.Options, error) {
	n := d.cfg.NATS
	recipients, err := recipients(n.EncryptTo)
	if err != nil {
		return bus.Options{}, &ConfigError{err}
	}
	return bus.Options{
		DeskID: d.cfg.Desk.ID, DeskDivision: d.cfg.Desk.Division, Version: d.o.Version,
		Server: BusServer(n),
		Embedded: bus.Embedded{Dir: filepath.Join(d.cfg.Outbox.Dir, "nats"), Key: d.queue.EmbeddedStoreKey(),
			MaxAge: time.Duration(d.cfg.Outbox.Retain), Listen: n.Embedded.Listen, NextPort: d.o.Demo, Config: n.Embedded.Config},
		Stream: n.Stream, CreateStream: n.CreateStream, Replicas: n.Replicas, Strict: n.Strict, Recipients: recipients, SigningKey: d.cfg.Desk.SigningKey,
		Log: d.o.Log.With().Str("part", "bus").Logger(),
	}, nil
}

// today are the counts since midnight that the journal remembers.
func (d *daemon) today(ctx context.Context) desk.Today {
	now := d.o.clock().Now().In(d.zone)
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, d.zone)
	n, err := d.queue.Counts(ctx, midnight, now)
	if err != nil {
		d.o.Log.Warn().Err(err).Msg("today's counts begin at zero")
	}
	return desk.Today{Date: midnight.Format(time.DateOnly), Accepted: n["accepted"], Flagged: n["flagged"], Repeat: n["repeat"],
		Refused: n["refused"], Failed: n["failed"] + n["full"], Confirmed: n["confirmed"], Corrected: n["corrected"], Cancelled: n["cancelled"]}
}

// labels are the configured readers as the page shows them.
func labels(readers []config.Reader) []desk.Reader {
	var out []desk.Reader
	for _, r := range readers {
		out = append(out, desk.Reader{Name: r.Name, Label: r.Label})
	}
	return out
}
