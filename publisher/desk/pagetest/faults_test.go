package pagetest

import (
	"strings"
	"testing"

	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/reader"

	"github.com/chromedp/chromedp"
)

// The daemon is restarted in the middle of a tap: the page says that it is not
// served, comes back by itself and shows what is so then, the to-do list of
// before included; its buttons work without a reload.
func TestDaemonRestartsMidTap(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	b.scheme("light")
	r.tap(accepted("a1", "样本䶮", "name_private_use"))
	b.face("front", "请核对")
	r.phase("front", reader.Found)
	r.phase("front", reader.Reading)
	b.face("front", "正在读取")
	listen := strings.TrimPrefix(r.url, "http://")
	r.stop()
	b.face("front", "服务未响应")
	b.shoot("offline")
	r.start(listen)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.phase("front", reader.Ready)
	b.face("front", "请放证件")
	b.wait(`document.querySelectorAll("#todo li").length === 1`)
	b.press("核对")
	b.confirm()
	b.wait(`!document.querySelector("dialog") && document.querySelectorAll("#todo li").length === 0`)
	r.tap(accepted("a2", "样本甲"))
	b.face("front", "已登记")
}

func TestReloadMidTap(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.phase("front", reader.Ready)
	b := newTab(t, r.url)
	r.phase("front", reader.Found)
	r.phase("front", reader.Reading)
	b.face("front", "正在读取")
	b.do(chromedp.Reload())
	b.face("front", "正在读取")
	b.wait(`document.querySelector("main").getAttribute("aria-busy") === "false"`)
	r.board.Tapped(publisher.Tapped{ID: "a1", Outcome: publisher.Accepted, Reader: "front", At: r.clock.Now(), Data: person("样本甲")})
	b.face("front", "已登记")
	b.do(chromedp.Reload())
	b.face("front", "已登记")
	b.wait(`document.querySelectorAll("#last li").length === 1`)
}

// The page follows every fault of readers, queue and bus, and their end,
// without a reload.
func TestFaultsComeAndGo(t *testing.T) {
	r := newRig(t)
	r.phase("front", reader.Starting)
	b := newTab(t, r.url)
	eval[any](b, `window.notReloaded = true`)
	lamp := func(text string) {
		t.Helper()
		b.wait(`document.getElementById("lamps").innerText.replace(/\s+/g, " ").includes(` + quote(text) + `)`)
	}
	b.face("front", "读卡器启动中")
	lamp("上级连接 正在连接")
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	lamp("上级连接 已连接")
	r.phase("front", reader.Ready)
	b.face("front", "请放证件")
	for _, step := range []struct {
		phase reader.Phase
		title string
	}{{reader.Away, "读卡器未连接"}, {reader.Denied, "无权使用读卡器"}, {reader.Busy, "读卡器被占用"}, {reader.Faulty, "读卡器故障"},
		{reader.NoIdentity, "读卡器不能读身份证"}, {reader.Stuck, "读卡器无响应"}} {
		r.phase("front", step.phase)
		b.face("front", step.title)
		lamp("front " + step.title)
		r.phase("front", reader.Ready)
		b.face("front", "请放证件")
	}
	r.tap(accepted("a1", "样本甲"))
	b.face("front", "已登记")
	r.board.Bus(desk.BusState{Mode: desk.BusAway})
	r.board.Queue(desk.QueueState{Waiting: 1, Oldest: r.clock.Now()})
	b.face("front", "已登记，待发送")
	lamp("上级连接 已断开 · 待发送 1 条")
	r.board.Bus(desk.BusState{Mode: desk.BusConnected, Problem: "desk_id_in_use"})
	lamp("未能送达")
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.board.Queue(desk.QueueState{})
	b.face("front", "已登记")
	r.phase("front", reader.Found)
	r.phase("front", reader.Ready)
	r.board.Queue(desk.QueueState{Full: true})
	b.face("front", "磁盘已满")
	r.board.Queue(desk.QueueState{Damaged: true})
	b.face("front", "请放证件")
	b.wait(`document.getElementById("damaged").offsetParent`)
	r.phase("side", reader.Ready)
	b.face("side", "请放证件")
	if !eval[bool](b, `window.notReloaded === true`) {
		t.Error("the page reloaded itself")
	}
}

func TestNoReader(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	b.scheme("light")
	b.face("没有读卡器", "没有读卡器")
	b.shoot("no-reader")
	r.phase("front", reader.Ready)
	b.face("front", "请放证件")
}
