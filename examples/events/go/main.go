// Every event about a place, opened, one masked line each:
//
//	go run ./examples/events/go nats://127.0.0.1:4222 registry.creds registry.key 'idtap.v1.*.*.*.*.*.62.>'
//
// The durable consumer keeps the place in the stream while the program is away.
package main

import (
	"context"
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
	if len(os.Args) != 5 {
		log.Fatal("usage: go URL CREDENTIALS KEY SUBJECT")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}

func run(url, credentials, keyFile, subject string) error {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	key, err := event.ParsePrivateKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	nc, err := nats.Connect(url, nats.UserCredentials(credentials))
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
	consuming, err := consumer.Consume(func(m jetstream.Msg) { take(m, key) })
	if err != nil {
		return err
	}
	defer consuming.Stop()
	<-ctx.Done()
	return nil
}

// take stores one message by its id, and acknowledges what is stored. What is no
// event never becomes one: it is not asked for again.
func take(m jetstream.Msg, key event.PrivateKey) {
	env, data, err := open(m, key)
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

func open(m jetstream.Msg, key event.PrivateKey) (event.Envelope, []byte, error) {
	env, err := event.ParseEnvelope(m.Headers(), m.Subject())
	if err != nil || env.Content != event.ContentJOSE {
		return env, m.Data(), err
	}
	data, err := event.Open(m.Data(), env, key)
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
