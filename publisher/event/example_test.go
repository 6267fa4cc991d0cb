package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/event"
)

// A registry takes every event about its county, once, whatever happens to it
// or to the network meanwhile.
func Example_consumer() {
	nc, err := nats.Connect("tls://bus.example:4222", nats.UserCredentials("registry.creds"))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile("registry.key")
	if err != nil {
		log.Fatal(err)
	}
	key, err := event.ParsePrivateKey(text)
	if err != nil {
		log.Fatal(err)
	}
	if text, err = os.ReadFile("desks.trust"); err != nil {
		log.Fatal(err)
	}
	trust, err := event.ParseTrust(text, "ABXM7RLGJNBQ7Z6DJDW2XQHW5XGSG3CGGZBOC3SOO2ZOLSXVHWI2QNXO")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	consumer, err := js.CreateOrUpdateConsumer(ctx, "REGISTRATIONS", jetstream.ConsumerConfig{
		Durable: "huining", FilterSubject: "idtap.v1.*.*.*.*.*.62.6204.620422", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		log.Fatal(err)
	}
	upsert := func(id string, data any) error { return nil } // INSERT ... ON CONFLICT (id) DO NOTHING
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		env, err := event.ParseEnvelope(m.Headers(), m.Subject())
		if err != nil {
			m.Term() // no event of idtap: it will never be one
			return
		}
		data := m.Data()
		if env.Content == event.ContentJOSE {
			data, err = event.Open(data, env, key, trust)
		} else {
			err = event.Verify(env, data, trust)
		}
		if err != nil {
			m.Term() // not sealed to this registry, or not sent by the desk that it names
			return
		}
		registration, err := event.Decode(env.Type, data)
		if err != nil {
			m.Term()
			return
		}
		if err := upsert(env.ID, registration); err != nil {
			m.NakWithDelay(10 * time.Second)
			return
		}
		m.Ack()
	})
	if err != nil {
		log.Fatal(err)
	}
	defer consuming.Stop()
	<-ctx.Done()
}

// A sealed body opens with its own message only.
func ExampleOpen() {
	key, err := event.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	place := event.Place{DeskDivision: "410105", DeskID: "jinshui-wenhualu-03", HukouDivision: "620422"}
	env := event.Envelope{
		ID: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Type: event.RecordedType, Source: event.Source(place.DeskID, "front"),
		Time: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC), Seq: 1841, Epoch: "e7f3b2a19c",
		Subject: event.Subject(event.RecordedType, place), Content: event.ContentJOSE,
	}
	data, err := json.Marshal(map[string]string{"source": "chip"})
	if err != nil {
		log.Fatal(err)
	}
	body, err := event.Seal(data, env, []event.Recipient{{Key: key.Public()}})
	if err != nil {
		log.Fatal(err)
	}
	opened, err := event.Open(body, env, key)
	fmt.Println(string(opened), err)

	env.Seq++
	_, err = event.Open(body, env, key)
	fmt.Println(errors.Is(err, event.ErrRebound))
	// Output:
	// {"source":"chip"} <nil>
	// true
}
