package pagetest

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"idtap/publisher/desk"
)

// A page of another origin that is open in the clerk's browser tries everything
// a page can try. Each attempt says "nothing" or what it got.
var attempts = []struct{ name, script string }{
	{"fetch", `fetch(target + "/api/v1/state").then((r) => r.text(), () => "nothing")`},
	{"fetch without CORS", `fetch(target + "/api/v1/state", {mode: "no-cors"}).then((r) => r.type === "opaque" ? "nothing" : r.text(), () => "nothing")`},
	{"fetch of the page", `fetch(target + "/").then((r) => r.text(), () => "nothing")`},
	{"fetch with credentials", `fetch(target + "/api/v1/state", {credentials: "include"}).then((r) => r.text(), () => "nothing")`},
	{"fetch with a guessed ticket", `fetch(target + "/api/v1/registrations/a1/reveal", {method: "POST", headers: {"Content-Type": "application/json", "Idtap-Page": "x"}, body: "{}"}).then((r) => r.text(), () => "nothing")`},
	{"stream", `fetch(target + "/api/v1/events").then((r) => r.body.getReader().read()).then((r) => new TextDecoder().decode(r.value), () => "nothing")`},
	{"EventSource", `new Promise((done) => { const s = new EventSource(target + "/api/v1/events"); s.onerror = () => { s.close(); done("nothing"); };
		for (const e of ["message", "snapshot", "change"]) s.addEventListener(e, (m) => done(m.data)); })`},
	{"image", `new Promise((done) => { const i = new Image(); i.onload = () => done("loaded"); i.onerror = () => done("nothing"); i.src = target + "/assets/icon.svg"; })`},
	{"script", `new Promise((done) => { window.steal = (d) => done(JSON.stringify(d)); const s = document.createElement("script"); s.onload = () => done("loaded"); s.onerror = () => done("nothing"); s.src = target + "/api/v1/state?callback=steal"; document.head.append(s); })`},
	{"module", `import(target + "/assets/api.js").then((m) => "loaded", () => "nothing")`},
	{"style", `new Promise((done) => { const s = document.createElement("link"); s.rel = "stylesheet"; s.onload = () => done("loaded"); s.onerror = () => done("nothing"); s.href = target + "/assets/page.css"; document.head.append(s); })`},
	{"frame", `new Promise((done) => { const f = document.createElement("iframe"); f.onload = () => { try { done(f.contentDocument ? "nothing" : (f.contentWindow.length, "nothing")); } catch (e) { done("nothing"); } }; f.src = target + "/"; document.body.append(f); })`},
	{"WebSocket", `new Promise((done) => { const s = new WebSocket(target.replace("http", "ws") + "/api/v1/events"); s.onopen = () => done("open"); s.onmessage = (m) => done(m.data); s.onerror = () => done("nothing"); })`},
	{"window", `new Promise((done) => { const w = window.open(target + "/"); const until = Date.now() + 5000; const end = (got) => { if (w) w.close(); done(got); };
		const look = () => { let got; try { got = w.document.body.innerText; } catch (e) { return end("nothing"); } if (got || Date.now() > until) end(got); else setTimeout(look, 20); }; look(); })`},
	{"beacon", `Promise.resolve(navigator.sendBeacon(target + "/api/v1/registrations/a1/cancel", new Blob(['{"reason":"test_tap"}'], {type: "text/plain"})) && "nothing")`},
}

func TestHostilePage(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.tap(accepted("a1", "样本甲", "name_private_use"))
	evil := elsewhere(t, map[string]string{"/": `<!doctype html><meta charset="utf-8"><title>evil</title><body>`})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(evil, "http://"))
	// Another port of 127.0.0.1 is another origin, yet the same site; localhost
	// is another site.
	for _, from := range []string{evil, "http://localhost:" + port} {
		b := newTab(t, from)
		for _, a := range attempts {
			t.Run(from[:strings.LastIndex(from, ":")]+" "+a.name, func(t *testing.T) {
				in := &tab{t, b.ctx}
				if got := eval[string](in, fmt.Sprintf(`(() => { const target = %s; return %s; })()`, quote(r.url), a.script)); got != "nothing" {
					t.Errorf("got %q", got)
				}
			})
		}
		t.Run(from[:strings.LastIndex(from, ":")]+" form", func(t *testing.T) {
			in := newTab(t, from)
			eval[any](in, fmt.Sprintf(`(() => { const f = document.createElement("form"); f.method = "POST"; f.enctype = "text/plain"; f.action = %s; f.innerHTML = '<input name=\'{"reason":"test_tap","note":"\' value=\'"}\'>'; document.body.append(f); f.submit(); })()`,
				quote(r.url+"/api/v1/registrations/a1/cancel")))
			in.wait(`document.body.innerText.includes("origin_not_allowed")`)
		})
	}
	if got := r.decisions.done(); len(got) != 0 {
		t.Errorf("decisions were taken: %q", got)
	}
	if got := r.decisions.audited(); len(got) != 0 {
		t.Errorf("something was revealed: %q", got)
	}
}

// A name that pointed elsewhere when the page was loaded and points to this
// machine now: the browser takes it for the same origin, the server does not.
func TestDNSRebinding(t *testing.T) {
	r := newRig(t)
	r.tap(accepted("a1", "样本甲"))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(r.url, "http://"))
	// Chromium is told at its start that rebound.test is 127.0.0.1.
	b := newTab(t, "about:blank")
	b.do(chromedp.Navigate("http://rebound.test:" + port + "/"))
	for _, path := range []string{"/", "/api/v1/state", "/api/v1/events", "/assets/page.js"} {
		got := eval[string](b, fmt.Sprintf(`fetch(%s).then((r) => r.status + " " + r.headers.get("content-type") + " " + r.url.length).then((s) => s, () => "refused")`, quote(path)))
		if !strings.HasPrefix(got, "421 ") {
			t.Errorf("%s: %s", path, got)
		}
	}
	if text := b.text("body"); !strings.Contains(text, "host_not_allowed") {
		t.Errorf("%s", text)
	}
}

// The page's own requests need no cookie, so that none can be misused.
func TestNoCookies(t *testing.T) {
	r := newRig(t)
	b := newTab(t, r.url)
	r.tap(accepted("a1", "样本甲"))
	b.face("front", "已登记，待发送")
	if got := eval[string](b, `document.cookie`); got != "" {
		t.Errorf("%q", got)
	}
}
