package pagetest

import (
	"testing"
	"time"

	"idtap/driver"
	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/publisher/outbox"
	"idtap/reader"
)

// state is one large state of a panel and how it comes about.
type state struct {
	shot    string
	zh, en  string
	provoke func(r *rig)
}

// states are all that the panel of the reader front can show.
func states() []state {
	expired := person("样本丙")
	expired.Document.Status = "expired"
	return []state{
		{"ready", "请放证件", "Ready", func(r *rig) { r.phase("front", reader.Ready) }},
		{"found", "已感应到证件", "Card found", func(r *rig) { r.phase("front", reader.Found) }},
		{"reading", "正在读取", "Reading", func(r *rig) { r.phase("front", reader.Reading) }},
		{"accepted", "已登记", "Recorded", func(r *rig) { r.tap(accepted("a1", "样本甲")) }},
		{"kept", "已登记，待发送", "Recorded, not yet sent", func(r *rig) {
			r.board.Bus(desk.BusState{Mode: desk.BusAway})
			r.board.Queue(desk.QueueState{Waiting: 3, Oldest: r.clock.Now()})
			r.tap(accepted("a1", "样本甲"))
		}},
		{"repeat", "刚刚刷过", "Just tapped", func(r *rig) {
			r.tap(publisher.Tapped{Outcome: publisher.Repeat, Earlier: r.clock.Now().Add(-90 * time.Second), Data: person("样本甲")})
		}},
		{"check", "请核对", "Please check", func(r *rig) { r.tap(accepted("a1", "样本䶮", "name_private_use")) }},
		{"compare", "尚未登记，请核对", "Not recorded, please check", func(r *rig) {
			r.tap(publisher.Tapped{ID: "q1", Outcome: publisher.Refused, Quarantined: true, Verified: true, Data: person("样本乙", "number_check")})
		}},
		{"refused", "读取有误", "Read with errors", func(r *rig) {
			r.tap(publisher.Tapped{ID: "q1", Outcome: publisher.Refused, Quarantined: true, Data: person("样本乙", "number_check")})
		}},
		{"expired", "证件已过期", "Card expired", func(r *rig) {
			r.tap(publisher.Tapped{Outcome: publisher.Refused, Data: expired})
		}},
		{"place-again", "请重新放置", "Lift and place again", func(r *rig) {
			r.phase("front", reader.Found)
			r.phase("front", reader.PlaceAgain, &driver.Error{Op: "read text", Status: []byte{0, 0, 0x41}, Err: driver.ErrCardLost})
		}},
		{"two-cards", "请只放一张", "One card only", func(r *rig) {
			r.phase("front", reader.Found)
			r.phase("front", reader.PlaceAgain, &driver.Error{Op: "select", Status: []byte{0, 0, 0x81}, Err: driver.ErrCardLost})
		}},
		{"not-an-id-card", "不是身份证", "Not an ID card", func(r *rig) { r.phase("front", reader.NotID) }},
		{"unreadable", "证件无法读取", "Card unreadable", func(r *rig) { r.phase("front", reader.Unreadable) }},
		{"reader-away", "读卡器未连接", "Reader away", func(r *rig) { r.phase("front", reader.Away) }},
		{"reader-busy", "读卡器被占用", "Reader in use", func(r *rig) { r.phase("front", reader.Busy) }},
		{"disk-full", "磁盘已满", "Disk full", func(r *rig) {
			r.tap(publisher.Tapped{Outcome: publisher.Full, Err: outbox.ErrFull, Data: person("样本甲")})
			r.board.Queue(desk.QueueState{Full: true})
		}},
		{"failed", "未能保存", "Not saved", func(r *rig) {
			r.tap(publisher.Tapped{Outcome: publisher.Failed, Err: outbox.ErrDamaged, Data: person("样本甲")})
		}},
	}
}

// Every large state is provoked and told by role and text in both languages.
func TestStates(t *testing.T) {
	connected := desk.BusState{Mode: desk.BusConnected}
	for _, test := range states() {
		t.Run(test.shot, func(t *testing.T) {
			r := newRig(t)
			r.board.Bus(connected)
			r.phase("front", reader.Ready)
			b := newTab(t, r.url)
			b.scheme("light")
			b.face("front", "请放证件")
			test.provoke(r)
			b.face("front", test.zh)
			b.shoot(test.shot)
			b.press("Switch to English")
			b.face("front", test.en)
		})
	}
}
