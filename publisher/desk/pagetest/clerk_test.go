package pagetest

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/publisher/event"
	"idtap/reader"
)

// The name shows only while the button is held, by pointer and by key, and each
// time leaves an audit line.
func TestRevealWhileHeld(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	b.scheme("light")
	r.tap(accepted("a1", "样本甲"))
	b.face("front", "已登记")
	const name = `document.querySelector(".person dd.name").innerText`
	b.wait(name + ` === "样**"`)
	point := eval[[]float64](b, `(() => { const r = document.querySelector(".reveal").getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	b.do(chromedp.MouseEvent("mousePressed", point[0], point[1], chromedp.Button("left"), chromedp.ClickCount(1)))
	b.wait(name + ` === "样本甲"`)
	b.wait(`document.querySelector(".person").innerText.includes("11010519491231002X")`)
	b.shoot("revealed")
	b.do(chromedp.MouseEvent("mouseReleased", point[0], point[1], chromedp.Button("left"), chromedp.ClickCount(1)))
	b.wait(name + ` === "样**"`)

	eval[any](b, `document.querySelector(".reveal").focus()`)
	b.space("keyDown")
	b.wait(name + ` === "样本甲"`)
	b.space("keyUp")
	b.wait(name + ` === "样**"`)
	b.space("keyDown")
	b.wait(name + ` === "样本甲"`)
	b.do(chromedp.KeyEvent(kb.Tab)) // leaving the button hides as well
	b.wait(name + ` === "样**"`)
	if got := r.decisions.audited(); len(got) != 3 || got[0] != "page:not signed in reveal a1" {
		t.Errorf("audit: %q", got)
	}
	r.clock.Advance(20 * time.Second)
	b.wait(`!document.querySelector(".person")`)
	b.face("front", "已登记")
	r.clock.Advance(10 * time.Second)
	b.face("front", "请取走证件")
	if text := eval[string](b, `document.documentElement.outerHTML`); strings.Contains(text, "样本甲") || strings.Contains(text, "002X") {
		t.Error("personal fields are left in the page")
	}
}

// A flagged record is compared and confirmed.
func TestConfirm(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	b.scheme("light")
	r.tap(accepted("a1", "样本䶮", "name_private_use"))
	b.face("front", "请核对")
	b.wait(`document.querySelectorAll("#todo li").length === 1`)
	b.press("核对")
	b.wait(`document.querySelector("dialog[open] dd.name").innerText === "样本䶮"`)
	b.wait(`document.querySelector("dialog[open]").innerText.includes("请与证件上印的照片核对本人")`)
	b.shoot("compare-dialog")
	b.confirm()
	b.wait(`!document.querySelector("dialog") && document.querySelectorAll("#todo li").length === 0`)
	b.face("front", "已登记")
	b.wait(`document.getElementById("last").innerText.includes("已确认")`)
	if got := r.decisions.done(); !slices.Equal(got, []string{"confirmed a1"}) {
		t.Errorf("%q", got)
	}
	if got := r.decisions.operators; got[0].Authenticated {
		t.Errorf("nobody signed in, yet %+v", got)
	}
}

// A rare character is typed in.
func TestCorrect(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	b.scheme("light")
	r.tap(accepted("a1", "样本\ue863", "name_private_use"))
	b.press("核对")
	b.wait(`document.querySelector("dialog[open]")`)
	b.press("更正")
	b.wait(`document.activeElement.name === "person.name"`)
	eval[any](b, `document.activeElement.value = "样本䶮"`)
	b.press("提交更正")
	b.wait(`document.querySelector("dialog .problem").innerText.includes("请选择原因") && document.activeElement.name === "reason"`)
	eval[any](b, `document.querySelector("[name=reason]").selectedIndex = 1`)
	b.shoot("correct-dialog")
	b.press("提交更正")
	b.wait(`!document.querySelector("dialog") && document.querySelectorAll("#todo li").length === 0`)
	if got := r.decisions.done(); !slices.Equal(got, []string{"corrected a1"}) {
		t.Errorf("%q", got)
	}
	if got := r.decisions.changes; len(got) != 1 || got[0].Field != "person.name" || got[0].New != "样本䶮" || got[0].Old != "" {
		t.Errorf("%+v: one field, the old value left to the record", len(got))
	}
}

func TestCancel(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	b.scheme("light")
	r.tap(accepted("a1", "样本甲"))
	b.face("front", "已登记")
	b.press("查看")
	b.wait(`document.querySelector("dialog[open]")`)
	b.press("撤销登记")
	b.wait(`document.querySelector("dialog[open] [value=test_tap]")`)
	b.press("确定撤销")
	b.wait(`document.querySelector("dialog .problem").innerText === "请选择原因。"`)
	eval[any](b, `document.querySelector("[value=test_tap]").click()`)
	b.shoot("cancel-dialog")
	b.press("确定撤销")
	b.face("front", "已撤销")
	if got := r.decisions.done(); !slices.Equal(got, []string{"cancelled a1"}) {
		t.Errorf("%q", got)
	}
}

// A card that reads alike twice but is in error counts once it was compared.
func TestReleaseTwiceReadCard(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	data := person("样本乙", "number_check")
	r.tap(publisher.Tapped{ID: "q1", Outcome: publisher.Refused, Quarantined: true, Verified: true, Data: data})
	b.face("front", "尚未登记，请核对")
	b.press("核对")
	b.wait(`document.querySelector("dialog[open]").innerText.includes("这次刷证尚未登记")`)
	b.confirm()
	b.face("front", "已登记")
	b.wait(`document.querySelector("[data-count=accepted] dd").innerText === "1"`)
	if got := r.decisions.done(); !slices.Equal(got, []string{"released q1"}) {
		t.Errorf("%q", got)
	}
}

// With PINs the operator signs in first, stays signed in over a reload, and is
// named in the event.
func TestSignIn(t *testing.T) {
	pins := secret(t, "张敏:482913")
	r := newRig(t, func(o *desk.Options) { o.PINFile = pins })
	b := newTab(t, r.url)
	b.scheme("light")
	r.tap(accepted("a1", "样本䶮", "name_private_use"))
	b.face("front", "请核对")
	b.press("核对")
	b.wait(`document.activeElement.type === "password"`)
	b.do(chromedp.KeyEvent("0000\r"))
	b.wait(`document.querySelector("dialog .problem").innerText === "PIN 不正确。"`)
	b.shoot("sign-in")
	b.do(chromedp.KeyEvent("482913\r"))
	b.wait(`document.querySelector("dialog[open] dd.name").innerText === "样本䶮"`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.wait(`!document.querySelector("dialog")`)
	b.do(chromedp.Reload())
	b.wait(button("张敏 · 退出"))
	b.press("核对")
	b.confirm()
	b.wait(`document.querySelectorAll("#todo li").length === 0`)
	if got := r.decisions.operators; len(got) != 1 || got[0] != (event.Operator{Name: "张敏", Authenticated: true}) {
		t.Errorf("%+v", got)
	}
	if !slices.Contains(r.decisions.audited(), "operator:张敏 confirm a1") {
		t.Errorf("audit: %q", r.decisions.audited())
	}
	b.press("张敏 · 退出")
	b.wait(button("登录"))
}

// A queue that refuses is said in the dialog, and the click may be repeated.
func TestRefusedDecisionIsSaid(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	r.tap(accepted("a1", "样本䶮", "name_private_use"))
	b.press("核对")
	b.wait(`document.querySelector("dialog[open]")`)
	r.decisions.failNext()
	b.confirm()
	b.wait(`document.querySelector("dialog .problem").innerText.startsWith("磁盘已满")`)
	b.confirm()
	b.wait(`!document.querySelector("dialog")`)
	if got := r.decisions.done(); !slices.Equal(got, []string{"confirmed a1"}) {
		t.Errorf("%q", got)
	}
}

// Everything is reached by keyboard alone, in reading order.
func TestKeyboardAlone(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	r.tap(accepted("a1", "样本䶮", "name_private_use"))
	b.face("front", "请核对")
	var order []string
	for range 8 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if len(order) == 0 { // the first key lets the browser play sound
			b.wait(`document.getElementById("unblock").hidden`)
		}
		order = append(order, eval[string](b, `document.activeElement.getAttribute("aria-label") || document.activeElement.innerText`))
	}
	want := []string{"跳到待核对", "声音：开", "Switch to English", "核对", "按住显示", "10:32 样**：核对", "10:32 样**：查看"}
	if !slices.Equal(order[:len(want)], want) {
		t.Errorf("%q", order)
	}
	b.do(chromedp.KeyEvent("\r"))
}

// What a screen reader is told: a good result politely, a bad one at once.
func TestAnnouncements(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.phase("front", reader.Ready)
	b := newTab(t, r.url)
	b.face("front", "请放证件")
	r.tap(accepted("a1", "样本甲"))
	b.wait(`document.querySelector("[role=status]").innerText === "已登记。本次已计入，可以取走证件。"`)
	r.phase("front", reader.Unreadable)
	b.wait(`document.querySelector("[role=alert]").innerText.startsWith("证件无法读取。")`)
	if text := eval[string](b, `[...document.querySelectorAll("[role=status], [role=alert]")].map((n) => n.innerText).join()`); strings.Contains(text, "样") {
		t.Errorf("a name is read aloud: %s", text)
	}
}

// Tones come once the browser lets them; until then the page says so.
func TestSound(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.phase("front", reader.Ready)
	b := newTab(t, "about:blank")
	b.count("OscillatorNode", "start", "tones")
	b.open(r.url)
	b.wait(button("浏览器未放行声音，点此开启"))
	r.tap(accepted("a1", "样本甲"))
	b.face("front", "已登记")
	if n := eval[int](b, `window.tones`); n != 0 {
		t.Errorf("%d tones while blocked", n)
	}
	box := eval[[]float64](b, `(() => { const r = document.getElementById("unblock").getBoundingClientRect(); return [r.x + 9, r.y + 9]; })()`)
	b.do(chromedp.MouseClickXY(box[0], box[1]))
	b.wait(button("声音：开"))
	for _, step := range []struct {
		name  string
		tap   func()
		tones int
	}{
		{"good", func() { r.tap(accepted("a2", "样本乙")) }, 2},
		{"bad", func() { r.phase("front", reader.Unreadable) }, 2},
		{"look", func() { r.tap(accepted("a3", "样本丙", "name_private_use")) }, 3},
		{"repeat", func() { r.tap(publisher.Tapped{Outcome: publisher.Repeat, Data: person("样本乙")}) }, 1},
	} {
		before := eval[int](b, `window.tones`)
		step.tap()
		b.wait(`window.tones - ` + itoa(before) + ` >= ` + itoa(step.tones))
		if got := eval[int](b, `window.tones`) - before; got != step.tones {
			t.Errorf("%s: %d tones, want %d", step.name, got, step.tones)
		}
	}
	b.press("声音：开")
	b.wait(button("声音：关"))
	before := eval[int](b, `window.tones`)
	r.tap(accepted("a4", "样本丁"))
	b.face("front", "已登记")
	if got := eval[int](b, `window.tones`); got != before {
		t.Errorf("%d tones while off", got-before)
	}
}

// What the snapshot shows is no news: no sound, no announcement.
func TestReloadIsSilent(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.tap(accepted("a1", "样本甲"))
	b := newTab(t, r.url)
	b.face("front", "已登记")
	if got := eval[string](b, `document.querySelector("[role=status]").innerText`); got != "" {
		t.Errorf("announced %q", got)
	}
}

// With a decoder the portrait of the chip stands beside the fields; where it
// fails, the page asks for the printed one.
func TestPortrait(t *testing.T) {
	wlt := append([]byte("WL\x66\x00\x7e\x00"), make([]byte, 1018)...)
	for _, test := range []struct{ manner, want string }{
		{"good", `document.querySelector("dialog img").naturalWidth === 102 && document.querySelector("dialog img").naturalHeight === 126`},
		{"crashing", `document.querySelector("dialog[open] p.photo").innerText === "请与证件上印的照片核对本人。"`},
	} {
		t.Run(test.manner, func(t *testing.T) {
			r := newRig(t, func(o *desk.Options) { o.Decoder = []string{os.Args[0], "decoder", test.manner} })
			b := newTab(t, r.url)
			b.scheme("light")
			tap := accepted("a1", "样本䶮", "name_private_use")
			tap.Photo = wlt
			r.tap(tap)
			b.press("核对")
			b.wait(test.want)
			if test.manner == "good" {
				b.shoot("portrait")
			}
		})
	}
}

// playDecoder is the administrator's decoder: it draws a face of its own.
func playDecoder(manner string) {
	if manner == "crashing" {
		os.Exit(1)
	}
	img := image.NewRGBA(image.Rect(0, 0, 102, 126))
	for y := range 126 {
		for x := range 102 {
			c := color.RGBA{226, 232, 236, 255}
			head := (x-51)*(x-51)*9/7 + (y-52)*(y-52)
			shoulders := (x-51)*(x-51) + (y-140)*(y-140)*2
			if head < 26*26 || shoulders < 46*46 && y > 84 {
				c = color.RGBA{120, 138, 150, 255}
			}
			img.Set(x, y, c)
		}
	}
	png.Encode(os.Stdout, img)
}
