package main

import (
	"encoding/json"
	"fmt"
	"time"

	"idtap/config"
	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/reader"
)

// printer prints one masked line per accepted event.
type printer struct {
	app  *app
	desk config.Desk
}

var _ publisher.Observer = (*printer)(nil)

// Reader implements publisher.Observer.
func (p *printer) Reader(reader.State) {}

// Tapped implements publisher.Observer.
func (p *printer) Tapped(t publisher.Tapped) {
	if t.Outcome != publisher.Accepted {
		return
	}
	data, err := json.Marshal(t.Data)
	if err != nil {
		return
	}
	p.print(event.RecordedType, t.Data.Desk.Seq, t.Reader, t.Data.Timing.AcceptedAt.Time, data)
}

// FollowedUp implements publisher.Observer.
func (p *printer) FollowedUp(u publisher.FollowUp) {
	if u.Type != event.RecordedType {
		fmt.Fprintln(p.app.out, u.At.Format("15:04:05"), event.Token(u.Type), u.Refers)
	}
}

func (p *printer) print(ceType string, seq uint64, readerName string, at time.Time, data []byte) {
	env := event.Envelope{Type: ceType, Seq: seq, Source: event.Source(p.desk.ID, readerName), Time: at, Content: event.ContentJSON}
	fmt.Fprintln(p.app.out, event.Line(env, data, p.app.lang))
}
