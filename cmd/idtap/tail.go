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
		Use: "tail", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			return t.run(cmd.Context(), cfg, server)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&server, "server", "", "")
	cmd.Flags().StringVar(&t.subject, "subject", "idtap.v1.>", "")
	cmd.Flags().StringVar(&t.keyFile, "decrypt-key", "", "")
	cmd.Flags().StringVar(&t.list, "trust", "", "")
	cmd.Flags().StringVar(&t.listBy, "trust-by", "", "")
	cmd.Flags().BoolVar(&t.asJSON, "json", false, "")
	return cmd
}

func (t *follower) run(ctx context.Context, cfg config.Config, url string) error {
	if !isSubject(t.subject) {
		return usage(texts.Errorf("want_subject", t.subject))
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
			return usage(texts.Errorf("trust_and_trust_by"))
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
	t.note("following_on_ctrl_c", t.subject, nc.ConnectedUrlRedacted())
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
				t.note("connection_lost_connecting_again")
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { t.note("connected_again") }),
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
		return nil, "", remedy(err, "login_refused_give_credentials")
	}
	return nil, "", texts.Errorf("about", redacted(server.URL), remedy(err, "cannot_reach_server_check"))
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
			return r, remedy(err, "run_this_as_user")
		case r.URL == "":
			return r, texts.Errorf("daemon_embedded_server_opens")
		}
		return r, nil
	}
	return daemon.Runtime{}, texts.Errorf("no_daemon_running_here")
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
		return remedy(err, "no_permission_read_use")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return texts.Errorf("with_remedy", err, texts.Say("about", stream, texts.Say("check_nats_stream_or")))
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return remedy(err, "this_server_or_account")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return remedy(err, "server_does_not_answer")
	}
	return err
}

// show prints one message. What is no idtap event is noted and passed over.
func (t *follower) show(header map[string][]string, subject string, data []byte) {
	env, err := event.ParseEnvelope(header, subject)
	if err != nil {
		t.note("passed_over", err)
		return
	}
	mark := t.signature(env, data)
	if env.Content == event.ContentJOSE && t.key != nil {
		opened, err := event.Open(data, env, *t.key)
		if err != nil {
			t.note("stays_sealed", env.ID, err)
		} else {
			env.Content, env.Suite, data = event.ContentJSON, "", opened
		}
	}
	line := ""
	if t.asJSON {
		whole, err := event.MarshalCloudEvent(env, data)
		if err != nil {
			t.note("its_data_no_json", env.ID)
			return
		}
		line = string(whole)
		if mark != "" {
			t.note("about", env.ID, mark)
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
		return t.say("not_signed")
	case errors.Is(err, event.ErrSigner):
		return t.say("wrong_signature_list_does")
	case err != nil:
		return t.say("wrong_signature_event_was")
	case t.trust == nil:
		return t.say("signer_not_checked")
	}
	return ""
}

// note tells the person something that is no result.
func (t *follower) note(key string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.err, "idtap:", t.say(key, args...))
}

// redacted is a server address without a password in it.
func redacted(url string) string {
	if at := strings.LastIndex(url, "@"); at >= 0 {
		scheme, _, _ := strings.Cut(url, "://")
		return scheme + "://…" + url[at:]
	}
	return url
}
