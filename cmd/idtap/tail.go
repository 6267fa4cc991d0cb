package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"idtap/cmd/internal/daemon"
	"idtap/config"
	"idtap/publisher/bus"
	"idtap/publisher/event"
)

// tailWait bounds every question that tail asks the server.
const tailWait = 5 * time.Second

// follower shows published events on somebody's screen.
type follower struct {
	*app
	subject string
	asJSON  bool
	keyFile string
	list    string // of the desks' signing keys
	listBy  string // public nkey of who signed the list

	key    *event.PrivateKey
	trust  *event.Trust
	denied context.CancelCauseFunc // ends questions with a refusal, which requests do not see

	mu sync.Mutex // guards out: messages and connection notes come from several goroutines
}

func (a *app) tailCommand() *cobra.Command {
	var file, server string
	t := &follower{app: a}
	cmd := &cobra.Command{
		Use: "tail", Short: "Follow the published events", Args: cobra.NoArgs,
		Long: "Follows events as they are stored, one masked line each; --json prints them whole, one JSON line each.\n" +
			"Without --server it looks where the running daemon publishes. Logins come from the configuration's nats\n" +
			"section, a daemon's own server needs none. Sealed events stay sealed without --decrypt-key.\n" +
			"Each line says where an event is not signed, or not by a key that --trust names for its desk.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			return t.run(cmd.Context(), cfg, server)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&server, "server", "", "NATS server, e.g. nats://127.0.0.1:4222; none: where the running daemon publishes")
	cmd.Flags().StringVar(&t.subject, "subject", "idtap.v1.>", "subjects to follow; idtap.status.v1.> for the readers' states")
	cmd.Flags().StringVar(&t.keyFile, "decrypt-key", "", "private key file that opens sealed events")
	cmd.Flags().StringVar(&t.list, "trust", "", "list of the desks' signing keys (idtap bus trust) / 各服务台签名公钥的清单")
	cmd.Flags().StringVar(&t.listBy, "trust-by", "", "public nkey of the administrator who signed the list / 清单签名者的公钥")
	cmd.Flags().BoolVar(&t.asJSON, "json", false, "whole events, personal data included, one JSON line each")
	return cmd
}

func (t *follower) run(ctx context.Context, cfg config.Config, url string) error {
	if !isSubject(t.subject) {
		return usage(fmt.Errorf("--subject %q: %s", t.subject, t.say("不是主题：各段以点分隔，不能为空，> 只能在末尾", "no subject: tokens between dots, none empty, > only at the end")))
	}
	if t.keyFile != "" {
		text, err := os.ReadFile(t.keyFile)
		if err != nil {
			return usage(fmt.Errorf("--decrypt-key: %w", err))
		}
		key, err := event.ParsePrivateKey(text)
		if err != nil {
			return usage(fmt.Errorf("--decrypt-key %s: %w", t.keyFile, err))
		}
		t.key = &key
	}
	if t.list != "" || t.listBy != "" {
		if t.list == "" || t.listBy == "" {
			return usage(errors.New(t.say("--trust 与 --trust-by 要一起使用", "--trust and --trust-by go together")))
		}
		trust, err := t.readTrust(t.list, t.listBy)
		if err != nil {
			return usage(fmt.Errorf("--trust: %w", err))
		}
		t.trust = &trust
	}
	asking, denied := context.WithCancelCause(ctx)
	defer denied(nil)
	t.denied = denied
	nc, stream, err := t.connect(cfg, url)
	if err != nil {
		return err
	}
	defer nc.Close()
	stop, err := t.follow(asking, nc, stream)
	if err != nil {
		return err
	}
	defer stop()
	t.note("正在跟踪 %s（%s），Ctrl-C 结束", "following %s on %s; Ctrl-C ends", t.subject, nc.ConnectedUrlRedacted())
	<-ctx.Done()
	return nil
}

// isSubject reports whether the server takes s as a subject to subscribe.
func isSubject(s string) bool {
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		if token == "" || strings.ContainsAny(token, " \t\r\n\x00") || token == ">" && i < len(tokens)-1 {
			return false
		}
	}
	return true
}

// connect finds the server: the one given, the configured one, or that of a
// daemon running here.
func (t *follower) connect(cfg config.Config, url string) (nc *nats.Conn, stream string, err error) {
	server, stream := daemon.BusServer(cfg.NATS), cfg.NATS.Stream
	options := []nats.Option{
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				t.denied(err)
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				t.note("连接中断，正在重连", "the connection is lost; connecting again")
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { t.note("已重新连接", "connected again") }),
	}
	switch {
	case url != "":
		server.URL = url
	case server.URL == "":
		r, err := t.runningDaemon(cfg)
		if err != nil {
			return nil, "", err
		}
		login := nats.Option(nil)
		server, login = r.Access.Server()
		options, stream = append(options, login), r.Stream
	}
	if err := server.Check(); err != nil {
		return nil, "", usage(err)
	}
	if nc, err = bus.Dial(server, "idtap tail", options...); err == nil {
		return nc, stream, nil
	}
	var file *bus.FileError
	switch {
	case errors.As(err, &file):
		return nil, "", usage(err)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return nil, "", fmt.Errorf("%w: %s", err, t.say("登录被拒绝：请在配置的 nats 一节给出可读取事件的凭据",
			"the login is refused: give credentials that may read events in the configuration's nats section"))
	}
	return nil, "", fmt.Errorf("%s: %w: %s", redacted(server.URL), err, t.say("连不上服务器：请确认地址、端口、防火墙，以及 idtap run 是否在运行",
		"cannot reach the server: check address, port and firewall, and that idtap run is running"))
}

// runningDaemon reads what a daemon here has left for others: the configured
// one or else the demo.
func (t *follower) runningDaemon(cfg config.Config) (daemon.Runtime, error) {
	for _, demo := range []bool{false, true} {
		path := t.runtimeFile(cfg, demo)
		r, err := daemon.ReadRuntime(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return r, fmt.Errorf("%w: %s", err, t.say("请用运行守护进程的用户执行", "run this as the user that runs the daemon"))
		case r.URL == "":
			return r, errors.New(t.say("守护进程的内置服务器没有开端口：设置 nats.embedded.listen: 127.0.0.1:4222 后重启，或用 --server",
				"the daemon's embedded server opens no port: set nats.embedded.listen: 127.0.0.1:4222 and restart it, or use --server"))
		}
		return r, nil
	}
	return daemon.Runtime{}, errors.New(t.say("没有正在运行的守护进程：先执行 idtap run（或 idtap run --demo），或用 --server 指定服务器",
		"no daemon is running here: start idtap run (or idtap run --demo), or name a server with --server"))
}

// follow begins with what is stored from now on. A lost connection is picked up
// where it broke off.
func (t *follower) follow(ctx context.Context, nc *nats.Conn, streamName string) (stop func(), err error) {
	ctx, done := context.WithTimeout(ctx, tailWait)
	defer done()
	if strings.HasPrefix(t.subject, "idtap.status.") {
		return t.followStatus(ctx, nc)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, streamName)
	if err != nil {
		return nil, t.explain(ctx, streamName, err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{t.subject},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    stream.CachedInfo().State.LastSeq + 1,
	})
	if err != nil {
		return nil, t.explain(ctx, streamName, err)
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) { t.show(m.Headers(), m.Subject(), m.Data()) })
	if err != nil {
		return nil, t.explain(ctx, streamName, err)
	}
	return consuming.Stop, nil
}

// followStatus follows readers' states, which are not stored.
func (t *follower) followStatus(ctx context.Context, nc *nats.Conn) (stop func(), err error) {
	sub, err := nc.Subscribe(t.subject, func(m *nats.Msg) { t.show(m.Header, m.Subject, m.Data) })
	if err == nil {
		err = nc.FlushWithContext(ctx)
	}
	if err == nil && errors.Is(nc.LastError(), nats.ErrPermissionViolation) {
		err = nc.LastError() // came before the flush's answer
	}
	if err != nil {
		return nil, t.explain(ctx, "", err)
	}
	return func() { sub.Unsubscribe() }, nil
}

// explain says what, why and what to do. A refusal reaches the connection, not
// the request; it has ended ctx then.
func (t *follower) explain(ctx context.Context, stream string, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		err = cause
	}
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		return fmt.Errorf("%w: %s", err, t.say("没有读取的权限：请使用可创建消费者的凭据；服务台的凭据只能发布",
			"no permission to read: use credentials that may create consumers; a desk's own may only publish"))
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: %s: %s", err, stream, t.say("请检查 nats.stream，或请管理员执行 idtap bus init",
			"check nats.stream, or have an administrator run idtap bus init"))
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: %s", err, t.say("这台服务器没有启用 JetStream", "this server or account has no JetStream"))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("%w: %s", err, t.say("服务器没有答复：请稍后再试，并检查凭据的权限", "the server does not answer: try again, and check what the credentials may do"))
	}
	return err
}

// show prints one message. What is no idtap event is noted and passed over.
func (t *follower) show(header map[string][]string, subject string, data []byte) {
	env, err := event.ParseEnvelope(header, subject)
	if err != nil {
		t.note("忽略一条外来消息：%v", "passed over: %v", err)
		return
	}
	mark := t.signature(env, data)
	if env.Content == event.ContentJOSE && t.key != nil {
		opened, err := event.Open(data, env, *t.key)
		if err != nil {
			t.note("%s 无法解密：%v", "%s stays sealed: %v", env.ID, err)
		} else {
			env.Content, env.Suite, data = event.ContentJSON, "", opened
		}
	}
	line := ""
	if t.asJSON {
		whole, err := event.MarshalCloudEvent(env, data)
		if err != nil {
			t.note("%s 的数据不是 JSON", "%s: its data is no JSON", env.ID)
			return
		}
		line = string(whole)
		if mark != "" {
			t.note("%s：%s", "%s: %s", env.ID, mark)
		}
	} else {
		shown := env
		shown.Time = env.Time.Local()
		line = event.Line(shown, data, t.lang)
		if mark != "" {
			line += "  [" + mark + "]"
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.out, line)
}

// signature returns what is to be said of an event's signature; nothing if a key on
// the list signed it. body is as received.
func (t *follower) signature(env event.Envelope, body []byte) string {
	err := env.CheckSignature(body)
	if err == nil && t.trust != nil {
		err = event.Verify(env, body, *t.trust)
	}
	switch {
	case errors.Is(err, event.ErrUnsigned):
		return t.say("未签名", "not signed")
	case errors.Is(err, event.ErrSigner):
		return t.say("签名错误：签名者不在该服务台此时的清单中", "wrong signature: the list does not name the signer for this desk then")
	case err != nil:
		return t.say("签名错误：事件被改动", "wrong signature: the event was changed")
	case t.trust == nil:
		return t.say("签名者未核对", "signer not checked")
	}
	return ""
}

// note tells the person something that is no result.
func (t *follower) note(zh, en string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.err, "idtap: "+t.say(zh, en)+"\n", args...)
}

// redacted is a server address without a password in it.
func redacted(url string) string {
	if at := strings.LastIndex(url, "@"); at >= 0 {
		scheme, _, _ := strings.Cut(url, "://")
		return scheme + "://…" + url[at:]
	}
	return url
}
