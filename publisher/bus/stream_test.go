package bus

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

func TestPreflight(t *testing.T) {
	want := Want{Subject: event.Filter(division, "d1"), Replicas: 3}
	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   Code
	}{
		"recommended":            {func(*jetstream.StreamConfig) {}, ""},
		"more replicas":          {func(s *jetstream.StreamConfig) { s.Replicas = 5 }, ""},
		"memory":                 {func(s *jetstream.StreamConfig) { s.Storage = jetstream.MemoryStorage }, StreamMemory},
		"interest":               {func(s *jetstream.StreamConfig) { s.Retention = jetstream.InterestPolicy }, StreamRetention},
		"work queue":             {func(s *jetstream.StreamConfig) { s.Retention = jetstream.WorkQueuePolicy }, StreamRetention},
		"discard old, limit":     {func(s *jetstream.StreamConfig) { s.Discard, s.MaxMsgs = jetstream.DiscardOld, 10 }, StreamDiscardOld},
		"discard old, by age":    {func(s *jetstream.StreamConfig) { s.Discard, s.MaxAge = jetstream.DiscardOld, time.Hour }, ""},
		"few per subject":        {func(s *jetstream.StreamConfig) { s.MaxMsgsPerSubject = 1 }, StreamDiscardOld},
		"no ack":                 {func(s *jetstream.StreamConfig) { s.NoAck = true }, StreamNoAck},
		"async":                  {func(s *jetstream.StreamConfig) { s.PersistMode = jetstream.AsyncPersistMode }, StreamAsync},
		"one replica":            {func(s *jetstream.StreamConfig) { s.Replicas = 1 }, StreamReplicas},
		"small messages":         {func(s *jetstream.StreamConfig) { s.MaxMsgSize = 600 }, StreamMsgSize},
		"small messages, enough": {func(s *jetstream.StreamConfig) { s.MaxMsgSize = 64 << 10 }, ""},
		"short window":           {func(s *jetstream.StreamConfig) { s.Duplicates = time.Second }, StreamWindow},
		"window as long as age":  {func(s *jetstream.StreamConfig) { s.Duplicates, s.MaxAge = time.Minute, time.Minute }, ""},
		"other subjects":         {func(s *jetstream.StreamConfig) { s.Subjects = []string{"idtap.v1.recorded.>"} }, StreamSubjects},
		"own subjects":           {func(s *jetstream.StreamConfig) { s.Subjects = []string{"idtap.v1.*.41.>"} }, ""},
		"sealed":                 {func(s *jetstream.StreamConfig) { s.Sealed = true }, StreamReadOnly},
		"no direct":              {func(s *jetstream.StreamConfig) { s.AllowDirect = false }, StreamNoDirect},
	} {
		t.Run(name, func(t *testing.T) {
			config := RecommendedStream(stream, 3, 0, 0)
			c.change(&config)
			got := Preflight(config, want)
			if c.want == "" && len(got) != 0 || c.want != "" && (len(got) != 1 || got[0].Code != c.want || got[0].Detail == "") {
				t.Fatalf("%+v, want %q", got, c.want)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	for pattern, want := range map[string]bool{
		"idtap.v1.>": true, ">": true, "idtap.v1.*.41.4101.410105.d1.>": true, "idtap.v1.*.*.*.*.*.>": true,
		"idtap.v1.*.41.4101.410105.d1.*.*.*": false, "idtap.v1.recorded.>": false, "idtap.v2.>": false, "idtap.v1.*.42.>": false, "idtap.v1": false,
	} {
		if covers([]string{"other.>", pattern}, event.Filter(division, "d1")) != want {
			t.Errorf("%s: want %v", pattern, want)
		}
	}
}

func TestReconcile(t *testing.T) {
	r := outbox.Record{Stamp: outbox.Stamp{ID: "id-7", Epoch: "e1", Seq: 7}}
	again := r
	again.Requeued = 2
	at := outbox.ChainState{LastSequence: 100}
	for name, c := range map[string]struct {
		r                outbox.Record
		known, same, own bool
		last             stored
		want             verdict
	}{
		"nothing stored":                     {r, true, true, false, stored{}, carryOn},
		"this event":                         {r, true, true, true, stored{Seq: 101, ID: "id-7", MsgID: "id-7", Epoch: "e1", Desk: 7}, isStored},
		"this event, new queue":              {r, false, false, true, stored{Seq: 101, ID: "id-7", MsgID: "id-7", Epoch: "e1", Desk: 7}, isStored},
		"nothing moved":                      {r, true, true, false, stored{Seq: 100, ID: "id-6", MsgID: "id-6", Epoch: "e1", Desk: 6}, carryOn},
		"messages erased":                    {r, true, true, false, stored{Seq: 90, ID: "id-5", MsgID: "id-5", Epoch: "e1", Desk: 5}, carryOn},
		"erased, foreign before":             {r, true, true, false, stored{Seq: 90, ID: "x", MsgID: "x", Epoch: "e0", Desk: 5}, carryOn},
		"in our journal":                     {r, true, true, true, stored{Seq: 101, ID: "id-8", MsgID: "id-8", Epoch: "e1", Desk: 8}, carryOn},
		"in our journal, older epoch":        {r, true, true, true, stored{Seq: 101, ID: "id-3", MsgID: "id-3", Epoch: "e0", Desk: 3}, carryOn},
		"re-imaged desk":                     {r, false, false, false, stored{Seq: 101, ID: "x", MsgID: "x", Epoch: "e0", Desk: 50}, adopt},
		"foreign epoch":                      {r, true, true, false, stored{Seq: 101, ID: "x", MsgID: "x", Epoch: "e0", Desk: 50}, foreign},
		"foreign epoch, stream made anew":    {r, true, false, false, stored{Seq: 5, ID: "x", MsgID: "x", Epoch: "e0", Desk: 50}, foreign},
		"ours, journal begun anew":           {r, false, false, false, stored{Seq: 101, ID: "id-6", MsgID: "id-6", Epoch: "e1", Desk: 6}, carryOn},
		"clone, same number":                 {r, true, true, false, stored{Seq: 101, ID: "x", MsgID: "x", Epoch: "e1", Desk: 7}, foreign},
		"clone, ahead":                       {r, true, true, false, stored{Seq: 101, ID: "x", MsgID: "x", Epoch: "e1", Desk: 9}, foreign},
		"no idtap message":                   {r, true, true, false, stored{Seq: 101, Stranger: true}, carryOn},
		"requeued, stored under its first":   {again, true, true, true, stored{Seq: 101, ID: "id-7", MsgID: "id-7", Epoch: "e1", Desk: 7}, carryOn},
		"requeued, stored under this number": {again, true, true, true, stored{Seq: 101, ID: "id-7", MsgID: "id-7.r2", Epoch: "e1", Desk: 7}, isStored},
	} {
		t.Run(name, func(t *testing.T) {
			if got := reconcile(c.r, at, c.known, c.same, c.own, c.last); got != c.want {
				t.Fatalf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestWrongLast(t *testing.T) {
	for text, want := range map[string]uint64{"wrong last sequence: 17": 17, "wrong last sequence: 0": 0, "wrong last sequence": 0, "": 0, "wrong last sequence: x": 0} {
		if got := wrongLast(&jetstream.APIError{Description: text}); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestExpiries(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	for name, c := range map[string]struct {
		cert, server, creds time.Time
		want                string
	}{
		"none":         {want: "[]"},
		"far":          {day(15), day(15), day(15), "[]"},
		"soon":         {day(13), day(13), day(13), "[bus_cert_expires bus_server_cert_soon bus_creds_expire]"},
		"over":         {cert: day(-1), creds: now, want: "[bus_cert_expired bus_creds_expired]"},
		"server's own": {server: day(1), want: "[bus_server_cert_soon]"},
	} {
		t.Run(name, func(t *testing.T) {
			codes := []Code{}
			for _, p := range expiries(now, c.cert, c.server, c.creds) {
				codes = append(codes, p.Code)
			}
			if got := fmt.Sprint(codes); got != c.want {
				t.Fatalf("%s, want %s", got, c.want)
			}
		})
	}
}
