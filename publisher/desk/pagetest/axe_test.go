package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idtap/publisher/desk"
	"idtap/reader"
)

// readAxe reads axe-core as `make test` installs it.
func readAxe(t testing.TB) string {
	t.Helper()
	modules := os.Getenv("IDTAP_NODE_MODULES")
	if modules == "" {
		modules = "../../../build/npm/node_modules"
	}
	b, err := os.ReadFile(filepath.Join(modules, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("%v: run .ci/install test in the project's root", err)
	}
	return string(b)
}

// scan runs axe over the page as it is and reports what is serious.
func (b *tab) scan(axe, what string) {
	b.t.Helper()
	eval[any](b, axe+"\n;null")
	found := eval[[]string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical" || v.impact === "moderate")
		.map((v) => v.impact + " " + v.id + ": " + v.help + ": " + v.nodes.map((n) => n.target.join(" ") + " " + (n.any[0] || n.all[0] || n.none[0] || {}).message).join(" | ")))`)
	for _, f := range found {
		b.t.Errorf("%s: %s", what, f)
	}
}

// axe-core finds nothing serious, in light and dark, in any kind of state, with
// a dialog open, on a phone.
func TestAccessibility(t *testing.T) {
	axe := readAxe(t)
	r := newRig(t)
	busyDesk(r)
	b := newTab(t, r.url)
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.wait(`document.querySelectorAll("#todo li").length >= 2`)
		b.scan(axe, scheme+", two readers")
		for _, state := range []struct {
			name string
			set  func()
		}{
			{"ready", func() { r.phase("front", reader.Found); r.phase("front", reader.Ready) }},
			{"reading", func() { r.phase("front", reader.Reading) }},
			{"unreadable", func() { r.phase("front", reader.Unreadable) }},
			{"check", func() { r.tap(accepted("c-"+scheme, "样本䶮", "name_private_use")) }},
			{"kept", func() { r.board.Bus(desk.BusState{Mode: desk.BusAway}); r.tap(accepted("k-"+scheme, "样本甲")) }},
		} {
			state.set()
			b.wait(fmt.Sprintf(`document.querySelector("[data-reader=front]").dataset.face === %s`, quote(state.name)))
			b.scan(axe, scheme+", "+state.name)
		}
	}
	b.press("核对")
	b.wait(`document.querySelector("dialog[open]")`)
	b.scan(axe, "compare")
	b.press("更正")
	b.scan(axe, "correct")
	b.press("返回")
	b.press("撤销登记")
	b.scan(axe, "cancel")
	b.press("返回")
	b.press("关闭")
	b.size(390, 844)
	b.press("Switch to English")
	b.scan(axe, "phone, English")
	if lang := eval[string](b, `document.documentElement.lang`); !strings.HasPrefix(lang, "en") {
		t.Errorf("lang %q", lang)
	}
}
