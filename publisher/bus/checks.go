package bus

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"idtap/driver/diagnosis"
)

// What a check finds and a running bus does not tell apart.
const (
	ServerCertExpired Code = "bus_server_cert_expired" // the handshake fails by date
	Plaintext         Code = "bus_plaintext"           // refused before anything is sent
)

// checkWait bounds each question of the check.
const checkWait = 2500 * time.Millisecond

// Look is what the check asks of a server and its stream.
type Look struct {
	Server   Server
	Stream   string
	DeskID   string
	Filter   string // the desk's own, see event.Filter
	Replicas int
	Clock    clockwork.Clock
	// Options are for connections that the Server alone cannot make; tests.
	Options []nats.Option
}

// Check connects with the desk's own login and asks whether an event would be
// taken and kept. It stores nothing: the one message it publishes, empty, on the
// desk's own filter under the token "check", expects a stream that does not
// exist, which the server refuses after it has looked at the permission.
func Check(l Look) diagnosis.Check {
	return diagnosis.Check{Name: "bus", Group: diagnosis.Bus, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		c := checking{Look: l, s: s, link: &link{server: l.Server, log: zerolog.Nop(), changed: func() {}}}
		c.run(ctx)
	}}
}

// CheckApart asks with the desk's own login whether the stream shares the desk's
// account. What cannot be asked is not checked.
func CheckApart(l Look) diagnosis.Check {
	return diagnosis.Check{Name: "bus-account", Group: diagnosis.Bus, Run: func(ctx context.Context, s *diagnosis.Sheet) {
		c := checking{Look: l, s: &diagnosis.Sheet{}, link: &link{server: l.Server, log: zerolog.Nop(), changed: func() {}}}
		if l.Server.Check() != nil || !c.connect() {
			s.NotChecked(diagnosis.Say("没有连接", "no connection"))
			return
		}
		defer c.nc.Close()
		state, detail := askAccount(ctx, c.link, c.nc, checkWait)
		switch state {
		case AccountShared:
			s.Add(Found(Problem{StreamShared, detail}))
		case AccountUnchecked:
			s.NotChecked(diagnosis.Say("没有 $JS.API.INFO 的权限或没有答复", detail))
		default:
			s.Fact(diagnosis.Say("账户（apart：与流分开）", "account (apart: not the stream's)"), "%s", state)
		}
	}}
}

type checking struct {
	Look
	s    *diagnosis.Sheet
	link *link
	nc   *nats.Conn
}

func (c *checking) find(code Code, detail string) { c.s.Add(Found(Problem{code, detail})) }

func (c *checking) run(ctx context.Context) {
	var plain *PlaintextError
	switch err := c.Server.Check(); {
	case errors.As(err, &plain):
		c.find(Plaintext, plain.Host)
		return
	case err != nil:
		c.find(Unreachable, err.Error())
		return
	}
	now := c.Clock.Now()
	cert, _ := c.Server.certExpiry() // a file that cannot be read is the connection's error
	creds, _ := c.Server.credsExpiry()
	for _, p := range expiries(now, cert, time.Time{}, creds) {
		c.s.Add(Found(p))
	}
	if !c.connect() {
		return
	}
	defer c.nc.Close()
	for _, p := range expiries(now, time.Time{}, c.serverCert(), time.Time{}) {
		c.s.Add(Found(p))
	}
	c.s.Fact(diagnosis.Say("服务器", "server"), "%s", bare(c.nc.ConnectedUrlRedacted()))
	if rtt, err := c.nc.RTT(); err == nil {
		c.s.Fact(diagnosis.Say("往返", "round trip"), "%.1f ms", float64(rtt.Microseconds())/1000)
	}
	if c.stream(ctx) {
		c.publish(ctx)
	}
}

func (c *checking) connect() bool {
	opts, err := c.Server.options()
	if err == nil {
		opts = append(opts, nats.Name("idtap diag"), nats.Timeout(checkWait), nats.CustomInboxPrefix(Inbox(c.DeskID)), nats.NoReconnect(),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.link.asyncError(err) }))
		c.nc, err = nats.Connect(c.Server.URL, append(opts, c.Options...)...)
	}
	if err == nil {
		return true
	}
	var invalid x509.CertificateInvalidError
	code := connectCode(err)
	if errors.Is(err, nats.ErrNoServers) {
		err = c.noServer(err)
	}
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		code = ServerCertExpired
	}
	c.find(code, err.Error())
	return false
}

// noServer says what the client library keeps to itself: why the first address
// does not answer.
func (c *checking) noServer(err error) error {
	urls, bad := c.Server.urls()
	if bad != nil || len(urls) == 0 {
		return err
	}
	address := urls[0].Host
	if urls[0].Port() == "" {
		address = net.JoinHostPort(urls[0].Hostname(), strconv.Itoa(nats.DefaultPort))
	}
	conn, dialed := net.DialTimeout("tcp", address, checkWait)
	if dialed != nil {
		return dialed
	}
	conn.Close()
	return fmt.Errorf("%s takes the connection, but no NATS server answers", address)
}

func (c *checking) serverCert() time.Time {
	state, err := c.nc.TLSConnectionState()
	if err != nil || len(state.PeerCertificates) == 0 {
		return time.Time{}
	}
	return state.PeerCertificates[0].NotAfter
}

// stream looks at the stream and reports whether it is worth asking whether it
// takes events.
func (c *checking) stream(ctx context.Context) bool {
	js, err := c.Server.jetStream(c.nc)
	if err != nil {
		c.find(StreamDown, err.Error())
		return false
	}
	asked, done := c.link.expect(ctx, c.Server.api()+".STREAM.INFO."+c.Stream, checkWait)
	defer done()
	stream, err := js.Stream(asked, c.Stream)
	var api *jetstream.APIError
	switch err = because(asked, err); {
	case errors.Is(err, errDenied):
		c.find(StreamUnseen, "no permission for "+c.Server.api()+".STREAM.INFO."+c.Stream)
		return true
	case errors.Is(err, jetstream.ErrStreamNotFound):
		c.find(NoStream, c.Stream)
		return false
	case errors.As(err, &api), errors.Is(err, nats.ErrNoResponders):
		c.find(StreamDown, err.Error())
		return false
	case err != nil:
		c.find(NoAnswer, fmt.Sprintf("nothing is said about stream %s within %v", c.Stream, checkWait))
		return false
	}
	info := stream.CachedInfo()
	c.s.Fact(diagnosis.Say("流", "stream"), "%s, %d replicas", info.Config.Name, info.Config.Replicas)
	if skew := c.Clock.Now().Sub(info.TimeStamp); !info.TimeStamp.IsZero() && skew.Abs() > diagnosis.MaxSkew {
		c.s.Find(diagnosis.ClockWrong, "", fmt.Sprintf("%s from the server's", skew.Round(time.Second)))
	}
	for _, p := range append(Preflight(info.Config, Want{Subject: c.Filter, Replicas: max(c.Replicas, 1)}), smallPayload(c.nc)...) {
		c.s.Add(Found(p))
	}
	if info.Config.AllowDirect {
		if _, err := lastStored(ctx, c.link, c.nc, c.Stream, c.Filter, checkWait, 0); errors.Is(err, errDenied) {
			c.find(DirectDenied, "no permission for "+c.Server.api()+".DIRECT.GET."+c.Stream+"."+c.Filter)
		}
	}
	return covers(info.Config.Subjects, c.Filter)
}

// noSuchStream is what the check's message expects, so that no stream keeps it.
const noSuchStream = "idtap-diag-keeps-nothing"

func (c *checking) publish(ctx context.Context) {
	subject := checkSubject(c.Filter)
	asked, done := c.link.expect(ctx, subject, checkWait)
	defer done()
	_, err := c.nc.RequestMsgWithContext(asked, &nats.Msg{Subject: subject, Header: nats.Header{jetstream.ExpectedStreamHeader: {noSuchStream}}})
	switch err = because(asked, err); {
	case err == nil: // refused for the stream's name: the permission is there
	case errors.Is(err, errDenied):
		c.find(PublishDenied, "no permission to publish on "+c.Filter)
	case errors.Is(err, nats.ErrNoResponders):
		c.find(StreamSubjects, "no stream takes "+c.Filter)
	default:
		c.find(NoAnswer, fmt.Sprintf("nothing is said to an event within %v", checkWait))
	}
}

// checkSubject fills in a desk's filter, idtap.v1.*.<desk tokens>.>.
func checkSubject(filter string) string {
	b := []byte(filter)
	for i, ch := range b {
		if ch == '*' {
			return string(b[:i]) + "check" + string(b[i+1:len(b)-1]) + "_._._"
		}
	}
	return filter
}

// interruptedFor is how long an interrupted chain is nobody's business.
const interruptedFor = time.Minute

// Told is what a running bus says of itself, as findings.
//
// An interrupted chain is resolved by the next attempt; only one that lasts is
// worth telling.
func Told(h Health, now time.Time) []diagnosis.Finding {
	var found []diagnosis.Finding
	if h.Code != "" && (h.Code != ChainInterrupted || now.Sub(h.Since) > interruptedFor) {
		found = append(found, Found(Problem{h.Code, h.Detail}))
	}
	for _, p := range h.Warnings() {
		found = append(found, Found(p))
	}
	return found
}

// Found makes a problem a finding.
func Found(p Problem) diagnosis.Finding {
	for _, e := range Entries() {
		if e.Code == string(p.Code) {
			return diagnosis.NewFinding(e, "", p.Detail)
		}
	}
	return diagnosis.NewFinding(diagnosis.Entry{Code: string(p.Code), Level: diagnosis.Warning, Who: diagnosis.Administrator}, "", p.Detail)
}
