package pagetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"idtap/publisher/desk"
	"idtap/reader"
)

// BenchmarkAcceptedToPainted measures from the call that tells the board to the
// frame after which the clerk sees it, by the machine's one clock. The goal is
// 50 ms at the median.
func BenchmarkAcceptedToPainted(bench *testing.B) {
	r := newRig(bench)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	r.phase("front", reader.Ready)
	b := newTab(bench, r.url)
	b.face("front", "请放证件")
	eval[any](b, `(() => { window.painted = {};
		new MutationObserver(() => { const p = document.querySelector("[data-face=accepted] .when");
			if (!p) return; const seen = p.dateTime; if (window.painted[seen]) return; window.painted[seen] = -1;
			requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => { window.painted[seen] = performance.timeOrigin + performance.now(); }; c.port2.postMessage(0); });
		}).observe(document.getElementById("panels"), {childList: true, subtree: true}); })()`)
	var took []float64
	for i := 0; bench.Loop(); i++ {
		r.phase("front", reader.Found)
		r.phase("front", reader.Reading)
		b.face("front", "正在读取")
		r.clock.Advance(time.Second)
		tap := accepted(fmt.Sprint("a", i), "样本甲")
		tap.Reader, tap.At = "front", r.clock.Now()
		start := time.Now()
		r.board.Tapped(tap)
		painted := fmt.Sprintf(`window.painted[%s]`, quote(tap.At.Format("2006-01-02T15:04:05.000Z07:00")))
		b.wait(painted + ` > 0`)
		took = append(took, eval[float64](b, painted)-float64(start.UnixMicro())/1000)
	}
	slices.Sort(took)
	bench.ReportMetric(took[len(took)/2], "ms-median")
	bench.ReportMetric(took[len(took)*9/10], "ms-90%")
	bench.ReportMetric(0, "ns/op") // the whole loop is not what counts
}

// 5,000 taps leave the memory of daemon and browser flat.
func TestFiveThousandTaps(t *testing.T) {
	r := newRig(t)
	r.board.Bus(desk.BusState{Mode: desk.BusConnected})
	b := newTab(t, r.url)
	taps := func(from, to int) (daemon, page float64) {
		for i := from; i < to; i++ {
			r.phase("front", reader.Found)
			r.phase("front", reader.Reading)
			r.clock.Advance(time.Second)
			tap := accepted(fmt.Sprint("a", i), "样本甲")
			tap.Reader, tap.At = "front", r.clock.Now()
			r.board.Tapped(tap)
			r.phase("front", reader.Held)
			if i%50 == 49 { // at the pace of the page: every step is painted
				b.wait(fmt.Sprintf(`document.querySelector("[data-count=accepted] dd").innerText === "%d"`, i+1))
			}
		}
		r.clock.Advance(time.Minute) // every result is cleared
		b.face("front", "请取走证件")
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		used, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (float64, error) {
			for range 2 {
				if _, err := chromedp.Call(ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
					return 0, err
				}
			}
			usage, err := chromedp.Call(ctx, cdpruntime.GetHeapUsage, cdp.Empty{})
			return usage.UsedSize, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return float64(m.HeapAlloc) / (1 << 20), used / (1 << 20)
	}
	taps(0, 500) // caches fill
	daemon1, page1 := taps(500, 1000)
	daemon2, page2 := taps(1000, 5000)
	nodes := eval[int](b, `document.getElementsByTagName("*").length`)
	t.Logf("after 1,000 taps: daemon %.1f MiB, page %.1f MiB; after 5,000: daemon %.1f MiB, page %.1f MiB, %d elements", daemon1, page1, daemon2, page2, nodes)
	if daemon2 > daemon1+1 || page2 > page1+0.5 || nodes > 400 {
		t.Error("memory grows with taps")
	}
}
