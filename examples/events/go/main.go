// Every event about a place that its desk signed, opened, one masked line each:
//
//	go run ./examples/events/go -url tls://bus.example.cn:4222 -creds registry.creds -key registry.key \
//		-trust desks.trust -by ABXM7RLG... -subject 'idtap.v1.*.*.*.*.*.62.>'
//
// The durable consumer keeps the place in the stream while the program is away.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/event"
)

func main() {
	url := flag.String("url", "nats://127.0.0.1:4222", "server")
	creds := flag.String("creds", "registry.creds", "credentials that may read the stream")
	subject := flag.String("subject", "idtap.v1.>", "events to take")
	keyFile := flag.String("key", "registry.key", "private key that opens sealed events")
	trustFile := flag.String("trust", "desks.trust", "list of the desks' signing keys")
	by := flag.String("by", "", "public nkey of the administrator who signed the list")
	flag.Parse()
	r, err := newRegistry(*keyFile, *trustFile, *by)
	if err != nil {
		log.Fatal(err)
	}
	if err := r.run(*url, *creds, *subject); err != nil {
		log.Fatal(err)
	}
}

// registry takes what is signed by a desk of its list and sealed to its key.
type registry struct {
	key   event.PrivateKey
	trust event.Trust
}

func newRegistry(keyFile, trustFile, by string) (r registry, err error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return r, err
	}
	if r.key, err = event.ParsePrivateKey(text); err != nil {
		return r, fmt.Errorf("%s: %w", keyFile, err)
	}
	if text, err = os.ReadFile(trustFile); err != nil {
		return r, err
	}
	if r.trust, err = event.ParseTrust(text, by); err != nil {
		return r, fmt.Errorf("%s: %w", trustFile, err)
	}
	return r, nil
}

func (r registry) run(url, creds, subject string) error {
	nc, err := nats.Connect(url, nats.UserCredentials(creds))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	consumer, err := js.CreateOrUpdateConsumer(ctx, "REGISTRATIONS", jetstream.ConsumerConfig{
		Durable: "example", FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(r.take)
	if err != nil {
		return err
	}
	defer consuming.Stop()
	<-ctx.Done()
	return nil
}

// take stores one message by its id, and acknowledges what is stored. What is no
// event of a trusted desk never becomes one: it is not asked for again.
func (r registry) take(m jetstream.Msg) {
	env, data, err := r.open(m)
	if err != nil {
		log.Printf("%s: passed over: %v", m.Subject(), err)
		m.Term()
		return
	}
	if err := upsert(env, data); err != nil {
		log.Printf("%s: %v", env.ID, err)
		m.NakWithDelay(10 * time.Second)
		return
	}
	m.Ack()
}

func (r registry) open(m jetstream.Msg) (event.Envelope, []byte, error) {
	env, err := event.ParseEnvelope(m.Headers(), m.Subject())
	if err != nil {
		return env, nil, err
	}
	if env.Content != event.ContentJOSE {
		return env, m.Data(), event.Verify(env, m.Data(), r.trust)
	}
	data, err := event.Open(m.Data(), env, r.key, r.trust)
	if err != nil {
		return env, nil, err
	}
	env.Content, env.Suite = event.ContentJSON, ""
	return env, data, nil
}

// upsert is where a registry writes: INSERT ... ON CONFLICT (id) DO NOTHING.
func upsert(env event.Envelope, data []byte) error {
	_, err := fmt.Println(event.Line(env, data, "zh"))
	return err
}
