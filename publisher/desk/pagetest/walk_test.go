package pagetest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/reader"
)

// windows are the sizes that a page of a desk has: what browser and task bar
// leave of the usual monitors, 200 % zoom of the commonest, and a phone.
var windows = [][2]int64{{1366, 625}, {1280, 560}, {1024, 600}, {1024, 768}, {683, 312}, {360, 640}}

// outside is a script that lists what a clerk must see of the large panel and
// does not: the result, the instruction, the button, each whole, inside the
// window and inside every box that cuts it off.
const outside = `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done((() => {
	const seen = (n) => {
		const r = n.getBoundingClientRect();
		if (r.width < 1 || r.height < 1) return false;
		const inside = (box) => r.left >= box.left - 1 && r.top >= box.top - 1 && r.right <= box.right + 1 && r.bottom <= box.bottom + 1;
		if (!inside({ left: 0, top: 0, right: innerWidth, bottom: innerHeight })) return false;
		for (let p = n.parentElement; p; p = p.parentElement) {
			if (getComputedStyle(p).overflow !== "visible" && !inside(p.getBoundingClientRect())) return false;
		}
		return n.scrollWidth <= n.clientWidth + 1 || getComputedStyle(n).display === "inline";
	};
	const missing = [];
	const panels = [...document.querySelectorAll(".panel")];
	for (const p of panels) {
		const title = p.querySelector(".title");
		if (!seen(title)) missing.push("result of " + p.dataset.reader + " " + JSON.stringify(title.getBoundingClientRect()));
	}
	const panel = document.querySelector(".panel[data-reader=front]");
	if (panel.dataset.tone !== "idle" && !panel.hasAttribute("data-active")) missing.push("front is not the large panel");
	for (const [what, selector] of panel.dataset.tone === "idle" ? [] : [["instruction", ".do"], ["button", ".compare"]]) {
		const n = panel.querySelector(selector);
		if (n && !seen(n)) missing.push(what + " " + JSON.stringify(n.getBoundingClientRect()));
	}
	if (panel.dataset.tone === "idle" && panel.querySelector(".do").offsetParent === null) return missing; // another reader's result is large
	const boxes = [".head", ".face", ".why", ".foot"].map((s) => panel.querySelector(":scope > " + s)).filter(Boolean).map((n) => n.getBoundingClientRect());
	for (let i = 1; i < boxes.length; i++) if (boxes[i].top < boxes[i - 1].bottom - 1) missing.push("overlap " + i);
	for (const n of [panel.querySelector(".title"), panel.querySelector(".do")]) {
		if (n.getBoundingClientRect().bottom > panel.querySelector(".face").getBoundingClientRect().bottom + 1) missing.push("text below its box");
	}
	if (document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight + 1) missing.push("the page scrolls");
	return missing;
})()))))`

// No state of the page puts the result, what to do or the button that does it
// outside any of the windows: with one, two and four readers, with nothing, a
// little and a morning's worth to check, in both languages.
func TestNothingLeavesTheWindow(t *testing.T) {
	names := []string{"front", "side", "left", "right"}
	for _, desk := range []struct {
		readers, todo int
		lang          string
	}{{1, 0, "zh"}, {1, 8, "zh"}, {1, 150, "en"}, {2, 0, "en"}, {2, 8, "zh"}, {2, 150, "zh"}, {4, 0, "zh"}, {4, 8, "en"}, {4, 150, "zh"}} {
		t.Run(fmt.Sprintf("%d readers, %d to check, %s", desk.readers, desk.todo, desk.lang), func(t *testing.T) {
			t.Parallel()
			walkStates(t, names[:desk.readers], desk.todo, desk.lang)
		})
	}
}

func walkStates(t *testing.T, readers []string, todo int, lang string) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	for _, name := range readers {
		r.phase(name, reader.Ready)
	}
	for i := range todo {
		tap := accepted(fmt.Sprintf("todo-%d", i), "样本䶮", "name_private_use", "address_unresolved")
		tap.Reader = readers[i%len(readers)]
		r.tap(tap)
	}
	b := newTab(t, r.url+"/?lang="+lang)
	b.scheme("light")
	b.wait(fmt.Sprintf(`document.getElementById("todo-count").innerText === %q`, strings.TrimPrefix(itoa(todo), "0")))
	worst := person("欧阳样本䶮", "name_private_use", "address_unresolved", "validity_term_unusual")
	worst.Person.NameEn = strings.Repeat("SAMPLE ", 6)
	all := append(states(), state{"three findings", "请核对", "Please check", func(r *rig) {
		r.tap(publisher.Tapped{ID: "worst", Outcome: publisher.Accepted, Data: worst})
	}})
	for _, s := range all {
		r.board.Bus(desk.BusState{Mode: desk.BusConnected})
		r.board.Queue(desk.QueueState{})
		r.phase("front", reader.Away) // away and back: the last state is gone
		r.phase("front", reader.Ready)
		s.provoke(r)
		b.face("front", map[string]string{"zh": s.zh, "en": s.en}[lang])
		for _, size := range windows {
			b.size(size[0], size[1])
			if missing := eval[[]string](b, outside); len(missing) > 0 {
				t.Errorf("%s at %dx%d: %s", s.shot, size[0], size[1], strings.Join(missing, "; "))
			}
			if os.Getenv("IDTAP_SCREENSHOTS") != "" {
				b.shoot(fmt.Sprintf("%s-%dx%d-%d-readers-%d-to-check", strings.ReplaceAll(s.shot, " ", "-"), size[0], size[1], len(readers), todo))
			}
		}
	}
}
