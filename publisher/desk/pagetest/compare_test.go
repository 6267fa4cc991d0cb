package pagetest

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"idtap/publisher/desk"
	"idtap/publisher/event"
)

// A stray Enter, a scanner's too, confirms nothing: the doubted field is ticked
// first, and the focus is on it.
func TestEnterConfirmsNothing(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	r.tap(accepted("a1", "样本䶮", "name_private_use"))
	b.press("核对")
	b.wait(`document.activeElement.type === "checkbox"`)
	for range 3 {
		b.do(chromedp.KeyEvent("\r"))
	}
	if got := r.decisions.done(); len(got) != 0 {
		t.Fatalf("Enter decided %q, want nothing", got)
	}
	b.wait(`document.querySelector("dialog[open]")`)
	b.do(chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "))
	b.wait(`!document.querySelector("dialog")`)
	if got := r.decisions.done(); !slices.Equal(got, []string{"confirmed a1"}) {
		t.Errorf("decided %q, want confirmed a1", got)
	}
}

// The printed address stands beside the appended one, each under its name, and
// only the newest can be corrected.
func TestBothAddressesAreShown(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	tap := accepted("a1", "样本甲", "address_unresolved")
	tap.Data.Hukou.PrintedAddress = "甘肃省会宁县样本镇旧址1号"
	tap.Data.Hukou.AppendedAddresses = []string{"河南省样本路2号"}
	tap.Data.Hukou.Address = "河南省样本路2号"
	r.tap(tap)
	b.press("核对")
	b.wait(`document.querySelector("dialog[open]").innerText.includes("证面住址")`)
	for _, text := range []string{"甘肃省会宁县样本镇旧址1号", "芯片追加住址（最新）", "河南省样本路2号", "公民身份号码", "1949年12月31日", "2010.01.01"} {
		b.wait(`document.querySelector("dialog[open]").innerText.includes(` + quote(text) + `)`)
	}
	b.press("更正")
	b.wait(`document.querySelector("[name='hukou.address']") && !document.querySelector("[name='hukou.printed_address']")`)
}

// Every field of the kind is offered, empty ones too; sex and ethnic group by
// name, dates as people write them, long-term by a tick; a refused field is
// named and gets the focus.
func TestCorrectionForm(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	tap := accepted("a1", "样本甲", "validity_missing")
	tap.Data.Document.ValidFrom, tap.Data.Document.ValidTo, tap.Data.Document.LongTerm = "", event.ValidTo{}, false
	r.tap(tap)
	b.press("核对")
	b.press("更正")
	b.wait(`document.activeElement.name === "document.valid_from"`)
	if n := eval[float64](b, `document.querySelector("[name='person.ethnic']").options.length`); n != 59 {
		t.Errorf("%v ethnic groups, want 58 and none", n-1)
	}
	eval[any](b, `(() => { document.activeElement.value = "20100102"; document.getElementById("in-document.valid_to-long").click();
		document.querySelector("[name='person.sex']").value = "1"; document.querySelector("[name=reason]").selectedIndex = 2; })()`)
	b.press("提交更正")
	b.wait(`!document.querySelector("dialog")`)
	got := map[string]string{}
	for _, c := range r.decisions.changes {
		got[c.Field] = c.New
	}
	if got["document.valid_from"] != "2010-01-02" || got["document.long_term"] != "true" || got["person.sex"] != "1" || len(got) != 3 {
		t.Errorf("changes of %d fields: valid_from %q, long_term %q, sex %q; want 3 fields", len(got), got["document.valid_from"], got["document.long_term"], got["person.sex"])
	}
}

// An expired card and a child stand out on a good result, and the browser's tab
// tells the result to who works in another window.
func TestBadgesAndTab(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	tap := accepted("a1", "样本甲")
	tap.Data.Document.Status = "expired"
	tap.Data.Person.Under14 = true
	r.tap(tap)
	b.face("front", "已登记")
	b.wait(`document.querySelector(".badges").innerText.includes("证件已过期，请提醒换领") && document.querySelector(".badges").innerText.includes("未满14周岁")`)
	b.wait(`document.title.startsWith("✓ 已登记 10:32") && document.querySelector("link[rel=icon]").href.endsWith("icon-good.svg")`)
}

// A wrong person tapped is cancelled by keyboard alone.
func TestCancelByKeyboard(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	r.tap(accepted("a1", "样本甲"))
	b.face("front", "已登记")
	tabTo := func(text string) {
		t.Helper()
		for range 12 {
			b.do(chromedp.KeyEvent(kb.Tab))
			if eval[bool](b, `(document.activeElement.getAttribute("aria-label") || document.activeElement.innerText || document.activeElement.value || "").includes(`+quote(text)+`)`) {
				return
			}
		}
		t.Fatalf("%s is not reached by Tab", text)
	}
	tabTo("查看")
	b.do(chromedp.KeyEvent("\r"))
	b.wait(`document.querySelector("dialog[open]")`)
	tabTo("撤销登记")
	b.do(chromedp.KeyEvent("\r"))
	b.wait(`document.activeElement.value === "wrong_person"`)
	b.do(chromedp.KeyEvent(" "))
	tabTo("确定撤销")
	b.do(chromedp.KeyEvent("\r"))
	b.face("front", "已撤销")
	if got := r.decisions.done(); !slices.Equal(got, []string{"cancelled a1"}) {
		t.Errorf("decided %q, want cancelled a1", got)
	}
}
