package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// getEvents is the live stream (Server-Sent Events): one `snapshot`, then a
// `change` for each step, a `beat` when nothing happened for a while. Event ids
// are <boot>-<revision>. A client that reconnects gets a snapshot, whatever id
// it saw last, and so does one that is too slow for the changes.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "too_many_streams")
		return
	}
	full := s.seesAll(callerOf(r))
	if full && callerOf(r).ticket == "" && !s.audited(w, r, "stream") { // a program that receives whole bodies
		return
	}
	out := http.NewResponseController(w)
	out.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	sub := s.o.Board.subscribe()
	defer sub.close()
	beat := s.o.Clock.NewTicker(beatEvery)
	defer beat.Stop()
	var buf bytes.Buffer
	buf.WriteString("retry: 1000\n\n")
	for {
		changes, err := sub.next(r.Context(), beat.Chan())
		if err != nil {
			return
		}
		if len(changes) == 0 {
			fmt.Fprintf(&buf, "event: beat\ndata: {}\n\n")
		}
		for _, ch := range changes {
			name := "change"
			if ch.all {
				name = "snapshot"
			}
			fmt.Fprintf(&buf, "id: %s-%d\nevent: %s\ndata: ", s.o.Board.boot, ch.rev, name)
			if err := json.NewEncoder(&buf).Encode(s.o.Board.state(ch, full)); err != nil {
				s.o.Log.Error().Err(err).Msg("desk page: stream")
				return
			}
			buf.WriteByte('\n')
		}
		out.SetWriteDeadline(time.Now().Add(writeWithin))
		if _, err := buf.WriteTo(w); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		buf.Reset()
	}
}
