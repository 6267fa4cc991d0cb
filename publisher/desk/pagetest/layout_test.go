package pagetest

import (
	"strings"
	"testing"
	"time"

	"idtap/publisher"
	"idtap/publisher/desk"
	"idtap/reader"
)

// busyDesk is a morning at a desk with two readers.
func busyDesk(r *rig) {
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.phase("front", reader.Ready)
	r.phase("side", reader.Ready)
	r.tap(accepted("a1", "样本丁"))
	r.tap(accepted("a2", "样本䶮", "name_private_use"))
	r.tap(publisher.Tapped{ID: "q1", Reader: "side", Outcome: publisher.Refused, Quarantined: true, Verified: true, Data: person("样本乙", "number_check")})
	r.tap(publisher.Tapped{Reader: "side", Outcome: publisher.Repeat, Earlier: r.clock.Now().Add(-time.Minute), Data: person("样本丁")})
	r.tap(publisher.Tapped{Outcome: publisher.Refused, Data: person("样本乙", "number_check"), Quarantined: true, ID: "q2"})
	r.tap(accepted("a3", "阿依·样本"))
}

// The page works on a monitor, a tablet held upright and a phone, in light and
// dark, in both languages: nothing is cut off, no sideways scrolling.
func TestLayouts(t *testing.T) {
	r := newRig(t)
	busyDesk(r)
	for _, test := range []struct {
		shot          string
		width, height int64
		scheme, lang  string
	}{
		{"two-readers-light", 1024, 768, "light", "zh"},
		{"two-readers-dark", 1024, 768, "dark", "zh"},
		{"two-readers-english", 1280, 800, "light", "en"},
		{"tablet", 768, 1024, "light", "zh"},
		{"phone", 390, 844, "light", "zh"},
		{"phone-dark-english", 360, 740, "dark", "en"},
	} {
		t.Run(test.shot, func(t *testing.T) {
			b := newTab(t, r.url+"/?lang="+test.lang)
			b.scheme(test.scheme)
			b.size(test.width, test.height)
			b.wait(`document.querySelectorAll("#last li").length === 6`)
			b.wait(`document.querySelectorAll("#todo li").length === 2`)
			if wide := eval[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
				t.Errorf("%v points too wide", wide)
			}
			cut := eval[[]string](b, `[...document.querySelectorAll("button, .title, .do, dd, dt, .what, .lamp")].filter((n) => n.offsetParent && n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).display !== "inline").map((n) => n.className + " " + n.innerText)`)
			if len(cut) > 0 {
				t.Errorf("cut off: %s", strings.Join(cut, "; "))
			}
			b.shoot(test.shot)
		})
	}
}
