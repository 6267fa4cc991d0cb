package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"idtap/config"
	"idtap/driver"
	"idtap/driver/watch"
	"idtap/publisher"
	"idtap/publisher/bus"
	"idtap/publisher/desk"
	"idtap/publisher/outbox"
	"idtap/reader"
	"idtap/reader/identity"
)

// daemon is the parts of a running idtap, in the order they are started.
type daemon struct {
	app  *app
	cfg  config.Config
	demo bool
	log  zerolog.Logger

	zone    *time.Location
	queue   *outbox.Queue
	bus     *bus.Bus
	board   *desk.Board
	intake  *publisher.Intake
	page    *desk.Server
	address string // of the page
	health  *health
	metrics *metrics
	watched *watch.Readers
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
	clock := clockwork.NewRealClock()
	d.started, d.watched = clock.Now(), &watch.Readers{Clock: clock}
	d.health = &health{daemon: d}
	d.metrics = newMetrics(d.health)
	var err error
	if d.zone, err = time.LoadLocation(d.cfg.Desk.Timezone); err != nil {
		return usage(err)
	}
	if d.queue, err = outbox.Open(ctx, queueOptions(d.cfg, d.log)); err != nil {
		return err
	}
	refKey, err := d.refKey()
	if err != nil {
		return err
	}
	d.board = desk.NewBoard(desk.BoardOptions{DeskID: d.cfg.Desk.ID, DeskName: d.cfg.Desk.Name, Test: d.demo,
		ClearAfter: time.Duration(d.cfg.DeskPage.ClearAfter), Zone: d.zone, Clock: clock, Today: d.today(ctx)})
	busOptions, err := d.busOptions()
	if err != nil {
		return err
	}
	busOptions.OnChange, busOptions.Sources = d.health.bus, d.health.sources()
	if d.bus, err = bus.Start(ctx, busOptions, d.queue); err != nil {
		return err
	}
	d.intake = publisher.NewIntake(publisher.Options{
		Desk: publisher.DeskFacts{
			ID: d.cfg.Desk.ID, Division: d.cfg.Desk.Division, Unit: d.cfg.Desk.Unit, Role: d.cfg.Desk.Role,
			Operator: d.cfg.Desk.Operator, LegalBasis: d.cfg.Desk.LegalBasis, NoticeVersion: d.cfg.Desk.NoticeVersion,
			Test: d.demo, EmbedPhoto: d.cfg.Policy.Photo == "embed", Zone: d.zone, RefKey: refKey,
		},
		SubjectHukou: d.cfg.NATS.SubjectHukou, RefuseExpired: d.cfg.Policy.Expired == "refuse",
		Retain: time.Duration(d.cfg.Outbox.Retain), Queue: d.queue,
		Observers: []publisher.Observer{d.board, d.health, &printer{app: d.app, desk: d.cfg.Desk}},
		Clock:     clock, Log: d.log.With().Str("part", "intake").Logger(),
	})
	d.sink = &sink{Intake: d.intake, observe: d.metrics.tapped}
	if d.cfg.DeskPage.Listen != "" {
		if err := d.startPage(ctx, clock); err != nil {
			return err
		}
	}
	if d.control, err = listenControl(d); err != nil {
		d.log.Warn().Err(err).Msg("idtap diag cannot ask this daemon")
	} else {
		d.running.Go(func() { d.control.serve(ctx) })
	}
	if err := bus.WriteRuntime(d.app.runtimeFile(d.cfg, d.demo), d.runtime()); err != nil {
		return err
	}
	readers := reader.Set{Drivers: d.watched.Registry(d.app.drivers()), Readers: specs(d.cfg.Readers), Options: d.readerOptions(clock)}
	d.running.Go(func() { readers.Run(ctx) })
	d.running.Go(func() { d.health.watch(ctx) })
	return nil
}

func (d *daemon) startPage(ctx context.Context, clock clockwork.Clock) error {
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
			Mask: p.Mask, Decoder: d.cfg.Photo.Decoder, Operator: d.cfg.Desk.Operator, Version: version,
			Board: d.board, Decisions: d.intake, Handlers: d.health.handlers(d.metrics), Clock: clock, Log: d.log.With().Str("part", "page").Logger(),
		})
		if err != nil {
			return usage(err)
		}
		if address, err = d.page.Listen(ctx); err == nil {
			break
		}
		if !errors.As(err, new(*net.OpError)) {
			return err
		}
		if !d.demo || try == demoPorts {
			return fmt.Errorf("%w: %s", err, d.app.say("请停用占用该端口的程序（也许是另一个 idtap），或把 desk_page.listen 改为别的端口",
				"stop the program that has the port (another idtap?), or set desk_page.listen to another one"))
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

// demoPorts is how many ports behind the usual one the demo's page tries.
const demoPorts = 100

func nextPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	if err != nil || n == 0 {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
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
			d.log.Error().Err(err).Msg("queue")
		}
	}
}

// removeRuntime removes the runtime file if it is this daemon's: another may
// have been running before, or have taken the demo's place since.
func (d *daemon) removeRuntime() {
	file := d.app.runtimeFile(d.cfg, d.demo)
	if r, err := bus.ReadRuntime(file); err == nil && r.PID == os.Getpid() {
		os.Remove(file)
	}
}

func (d *daemon) runtime() bus.Runtime {
	r := d.bus.Runtime()
	r.PID, r.Started, r.Page = os.Getpid(), d.started, d.address
	if d.control != nil {
		r.Control = d.control.l.Addr().String()
	}
	return r
}

// diagnosed is this desk as a diagnosis looks at it.
func (d *daemon) diagnosed() *diagnosed {
	g := newDiagnosed(d.app, d.cfg)
	g.daemon, g.watched = d, d.watched
	return g
}

// announce prints where everything is.
func (d *daemon) announce() {
	a := d.app
	server := d.cfg.NATS.URL
	if server == "" {
		server = d.bus.Health().Listen
	}
	if server == "" {
		server = a.say("内置，不开端口", "embedded, no port")
	}
	page := d.address
	if page == "" {
		page = a.say("关闭", "off")
	}
	fmt.Fprintf(a.out, "%s %s\n%s %s\n%s %s\n", a.say("页面", "page  "), page, a.say("总线", "server"), server, a.say("数据", "data  "), d.cfg.Outbox.Dir)
}

func (d *daemon) readerOptions(clock clockwork.Clock) reader.Options {
	return reader.Options{
		Sink: d.sink, Poll: time.Duration(d.cfg.Policy.Poll), Verify: reader.Verify(d.cfg.Policy.VerifyReads),
		ComparePhoto: d.cfg.Policy.Photo == "embed", Clock: clock,
		Identity: identity.Options{DeskDivision: d.cfg.Desk.Division, Groups: groups(d.cfg.Policy.Groups), ClockFloor: builtAt()},
	}
}

func (d *daemon) busOptions() (bus.Options, error) {
	n := d.cfg.NATS
	recipients, err := recipients(n.EncryptTo)
	if err != nil {
		return bus.Options{}, usage(err)
	}
	return bus.Options{
		DeskID: d.cfg.Desk.ID, DeskDivision: d.cfg.Desk.Division, Version: version,
		Server: busServer(n),
		Embedded: bus.Embedded{Dir: filepath.Join(d.cfg.Outbox.Dir, "nats"), Key: d.queue.EmbeddedStoreKey(),
			MaxAge: time.Duration(d.cfg.Outbox.Retain), Listen: n.Embedded.Listen, NextPort: d.demo, Config: n.Embedded.Config},
		Stream: n.Stream, CreateStream: n.CreateStream, Replicas: n.Replicas, Strict: n.Strict, Recipients: recipients,
		Log: d.log.With().Str("part", "bus").Logger(),
	}, nil
}

func queueOptions(cfg config.Config, log zerolog.Logger) outbox.Options {
	o := cfg.Outbox
	return outbox.Options{Dir: o.Dir, KeyFile: o.KeyFile, MaxBytes: int64(o.MaxBytes), Retain: time.Duration(o.Retain),
		KeepCounts: time.Duration(o.KeepCounts), RepeatWindow: time.Duration(cfg.Policy.RepeatWindow),
		Log: log.With().Str("part", "queue").Logger()}
}

// today are the counts since midnight that the journal remembers.
func (d *daemon) today(ctx context.Context) desk.Today {
	now := time.Now().In(d.zone)
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, d.zone)
	n, err := d.queue.Counts(ctx, midnight, now)
	if err != nil {
		d.log.Warn().Err(err).Msg("today's counts begin at zero")
	}
	return desk.Today{Date: midnight.Format(time.DateOnly), Accepted: n["accepted"], Flagged: n["flagged"], Repeat: n["repeat"],
		Refused: n["refused"], Failed: n["failed"] + n["full"], Confirmed: n["confirmed"], Corrected: n["corrected"], Cancelled: n["cancelled"]}
}

func busServer(n config.NATS) bus.Server {
	return bus.Server{URL: n.URL, Creds: n.Creds, NKey: n.NKey, User: n.User, PasswordFile: n.PasswordFile,
		CA: n.TLS.CA, Cert: n.TLS.Cert, Key: n.TLS.Key, AllowPlaintext: n.AllowPlaintext}
}

// refKey is the key of person.ref: the deployment's, or this desk's own.
func (d *daemon) refKey() ([]byte, error) {
	if d.cfg.Desk.RefKeyFile == "" {
		return d.queue.RefKey(), nil
	}
	b, err := os.ReadFile(d.cfg.Desk.RefKeyFile)
	if err != nil {
		return nil, usage(fmt.Errorf("desk.ref_key_file: %w", err))
	}
	key := strings.TrimSpace(string(b))
	if len(key) < 32 {
		return nil, usage(fmt.Errorf("desk.ref_key_file %s: want at least 32 characters of key", d.cfg.Desk.RefKeyFile))
	}
	return []byte(key), nil
}

// makeToken makes the page's token file if it is not there.
func makeToken(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("page token: %w", err)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	_, err = fmt.Fprintln(f, hex.EncodeToString(secret))
	return errors.Join(err, f.Close())
}

func specs(list []config.Reader) []driver.Spec {
	specs := make([]driver.Spec, 0, len(list))
	for _, r := range list {
		header, _ := hex.DecodeString(strings.ReplaceAll(r.APDUHeader, " ", "")) // validated
		specs = append(specs, driver.Spec{Name: r.Name, Driver: r.Driver, Port: r.Port, Baud: int(r.Baud), Profile: r.Profile,
			APDUHeader: header, EscapeCode: r.EscapeCode, MaxRFBytes: r.MaxRFBytes})
	}
	return specs
}

func groups(list []config.Group) []identity.Group {
	groups := make([]identity.Group, 0, len(list))
	for _, g := range list {
		group := identity.Group{Name: g.Name, Sex: g.Sex}
		if g.MinAge != nil {
			group.MinAge = *g.MinAge
		}
		if g.MaxAge != nil {
			group.MaxAge, group.HasMax = *g.MaxAge, true
		}
		groups = append(groups, group)
	}
	return groups
}
