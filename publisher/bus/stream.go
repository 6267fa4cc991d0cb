package bus

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// AllSubjects is what the stream takes: every registration event of every desk.
const AllSubjects = "idtap.v1.>"

const (
	minWindow         = 2 * time.Minute
	recommendedWindow = 2 * time.Hour
)

// RecommendedStream is the stream that an administrator makes once per cluster.
//
// Limits retention keeps events whether or not anybody listens; discard=new
// makes a full stream refuse (the desks keep the events) rather than throw the
// oldest away; allow_direct lets a desk resolve a lost acknowledgement. The
// server keeps an index entry per distinct subject: about 24 bytes of heap and
// some 100 us of compare-and-set for 600,000 of them (desks times hukou
// counties times event types), measured on 2.15.2; nats.subject_hukou: province
// or none keeps the number down.
func RecommendedStream(name string, replicas int, maxAge time.Duration, maxBytes int64) jetstream.StreamConfig {
	window := recommendedWindow
	if maxAge > 0 {
		window = min(window, maxAge)
	}
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:        name,
		Description: "idtap registration events",
		Subjects:    []string{AllSubjects},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    replicas,
		MaxAge:      maxAge,
		MaxBytes:    maxBytes,
		MaxMsgs:     -1,
		Duplicates:  window,
		AllowDirect: true,
		DenyPurge:   true, // an accidental purge; single messages can still be erased
	}
}

// Want is what a desk asks of a stream.
type Want struct {
	Subject  string // the desk's own filter
	Replicas int
}

// Preflight says what of a stream's configuration makes an acknowledgement
// mean less than "stored for good".
func Preflight(c jetstream.StreamConfig, want Want) []Problem {
	var found []Problem
	add := func(bad bool, code Code, format string, args ...any) {
		if bad {
			found = append(found, Problem{code, fmt.Sprintf(format, args...)})
		}
	}
	limited := c.MaxMsgs > 0 || c.MaxBytes > 0 || c.MaxMsgsPerSubject > 0
	add(c.Storage != jetstream.FileStorage, StreamMemory, "storage %s, want file", c.Storage)
	add(c.Retention != jetstream.LimitsPolicy, StreamRetention, "retention %s, want limits", c.Retention)
	add(c.Discard != jetstream.DiscardNew && limited, StreamDiscardOld, "discard old with max_msgs %d, max_bytes %d, max_msgs_per_subject %d", c.MaxMsgs, c.MaxBytes, c.MaxMsgsPerSubject)
	add(c.Discard == jetstream.DiscardNew && c.MaxMsgsPerSubject > 0 && !c.DiscardNewPerSubject, StreamDiscardOld, "max_msgs_per_subject %d", c.MaxMsgsPerSubject)
	add(c.NoAck, StreamNoAck, "no_ack")
	add(c.PersistMode == jetstream.AsyncPersistMode, StreamAsync, "persist_mode async")
	add(c.MaxMsgSize > 0 && c.MaxMsgSize < sureEvent, StreamMsgSize, "max_msg_size %d, want %d or more", c.MaxMsgSize, sureEvent)
	add(c.Replicas < want.Replicas, StreamReplicas, "num_replicas %d, want %d", c.Replicas, want.Replicas)
	add(c.Duplicates < minWindow && (c.MaxAge == 0 || c.Duplicates < c.MaxAge), StreamWindow, "duplicate_window %v, want %v or more", c.Duplicates, minWindow)
	add(!covers(c.Subjects, want.Subject), StreamSubjects, "subjects %s do not cover %s", strings.Join(c.Subjects, " "), want.Subject)
	add(c.Sealed || c.Mirror != nil, StreamReadOnly, "sealed or a mirror")
	add(!c.AllowDirect, StreamNoDirect, "allow_direct false")
	return found
}

// smallPayload is what is wrong with the server's limit of a message.
func smallPayload(nc *nats.Conn) []Problem {
	if n := nc.MaxPayload(); n > 0 && n < sureEvent {
		return []Problem{{SmallPayload, fmt.Sprintf("max_payload %d, want %d or more", n, sureEvent)}}
	}
	return nil
}

// covers reports whether one of the patterns takes every subject of filter.
func covers(patterns []string, filter string) bool {
	for _, p := range patterns {
		if subsumes(strings.Split(p, "."), strings.Split(filter, ".")) {
			return true
		}
	}
	return false
}

func subsumes(pattern, filter []string) bool {
	for i, p := range pattern {
		switch {
		case p == ">":
			return i < len(filter)
		case i >= len(filter) || filter[i] == ">":
			return false
		case p != "*" && p != filter[i]:
			return false
		}
	}
	return len(pattern) == len(filter)
}
