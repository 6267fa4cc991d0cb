package pagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for the page; what comes at all comes much sooner.
const patience = 15 * time.Second

var browser struct {
	sync.Once
	ctx  context.Context
	stop context.CancelFunc
	err  error
}

func TestMain(m *testing.M) {
	if len(os.Args) > 2 { // this program in another role
		switch os.Args[1] {
		case "daemon":
			daemon(os.Args[2:])
			os.Exit(0)
		case "decoder":
			playDecoder(os.Args[2])
			os.Exit(0)
		}
	}
	code := m.Run()
	if browser.stop != nil {
		browser.stop()
	}
	os.Exit(code)
}

// startBrowser starts the one Chromium of the run.
func startBrowser() {
	path, err := exec.LookPath("chromium")
	if err != nil {
		browser.err = fmt.Errorf("%w: install Debian's packages chromium and fonts-noto-cjk", err)
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1024, 768),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "zh-CN"),
		chromedp.Flag("host-resolver-rules", "MAP rebound.test 127.0.0.1"))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	browser.ctx, browser.stop = ctx, func() { stop(); stopAllocator() }
	browser.err = chromedp.Do(ctx)
}

// tab is one page in the browser, with storage of its own.
type tab struct {
	t   testing.TB
	ctx context.Context
}

// newTab opens a tab of 1024 x 768 at an address.
func newTab(t testing.TB, url string) *tab {
	t.Helper()
	browser.Do(startBrowser)
	if browser.err != nil {
		t.Fatal(browser.err)
	}
	ctx, cancel := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext())
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() { stop(); cancel() })
	b := &tab{t, ctx}
	b.do(chromedp.EmulateViewport(1024, 768))
	b.open(url)
	return b
}

// open goes to an address; a page of ours has its stream then.
func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.wait(`!document.querySelector("main[aria-busy=true]")`)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval runs an expression in the page, awaits it and gives its value as JSON
// decodes it.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait waits until an expression is true in the page; across reloads too.
func (b *tab) wait(expression string) {
	b.t.Helper()
	// The page itself waits, a quarter of a second at a time.
	loop := fmt.Sprintf(`new Promise((done) => { const until = performance.now() + 250;
		const look = () => { let ok = false; try { ok = !!(%s); } catch (e) { /* not yet */ }
			if (ok || performance.now() > until) done(ok); else setTimeout(look, 5); }; look(); })`, expression)
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) && b.ctx.Err() == nil {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](loop, chromedp.EvalAwaitPromise))
		if err == nil && ok {
			return
		}
	}
	b.t.Fatalf("waited in vain for %s\nthe page says: %s", expression, b.text("body"))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`(document.querySelector(%s) || {innerText: "(nothing there)"}).innerText`, quote(selector)))
}

// face waits until a reader's panel, a region of that name, has a heading with
// this title.
func (b *tab) face(reader, title string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`[...document.querySelectorAll("section[aria-label]")].some((s) => s.getAttribute("aria-label") === %s && s.querySelector("h2").innerText === %s)`, quote(reader), quote(title)))
}

// button gives an expression for the button with an accessible name.
func button(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("button")].filter((b) => b.offsetParent && (b.getAttribute("aria-label") || b.innerText).includes(%s)).pop()`, quote(name))
}

func (b *tab) press(name string) {
	b.t.Helper()
	b.wait(button(name))
	eval[any](b, button(name)+`.click()`)
}

// confirm ticks every doubted field of the open dialog and confirms the record.
func (b *tab) confirm() {
	b.t.Helper()
	b.wait(`document.querySelector("dialog[open] .ticks input")`)
	eval[any](b, `document.querySelectorAll("dialog[open] .ticks input:not(:checked)").forEach((i) => i.click())`)
	b.press("与证件一致，确认")
}

// dark and light set the colour scheme.
func (b *tab) scheme(name string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (any, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return nil, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// shoot keeps a screenshot under the directory of IDTAP_SCREENSHOTS, if set;
// without it the screenshot is still taken, and must not be blank.
func (b *tab) shoot(name string) {
	b.t.Helper()
	eval[any](b, `document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null)))))`)
	raw, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
		return shot.Data, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	colours := map[color.Color]bool{}
	for y := 0; y < img.Bounds().Dy(); y += 7 {
		for x := 0; x < img.Bounds().Dx(); x += 7 {
			colours[img.At(x, y)] = true
		}
	}
	if len(colours) < 8 {
		b.t.Fatalf("%s: a blank page", name)
	}
	if dir := os.Getenv("IDTAP_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), shrink(b.t, img), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

// shrink keeps at most 256 colours of a screenshot, the most frequent ones that
// differ: flat areas and text lose nothing that shows.
func shrink(t testing.TB, img image.Image) []byte {
	t.Helper()
	count := map[color.Color]int{}
	r := img.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			count[img.At(x, y)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] }) {
		if len(palette) < 256 && (len(palette) == 0 || !alike(palette.Convert(c), c)) {
			palette = append(palette, c)
		}
	}
	index := map[color.Color]uint8{}
	out := image.NewPaletted(r, palette)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := img.At(x, y)
			i, ok := index[c]
			if !ok {
				i = uint8(palette.Index(c))
				index[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, out); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// alike reports whether two colours differ by less than an eye sees.
func alike(a, b color.Color) bool {
	near := func(x, y uint32) bool { return max(x, y)-min(x, y) < 10<<8 }
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	return near(r1, r2) && near(g1, g2) && near(b1, b2)
}

// space holds the space bar down or lets it go.
func (b *tab) space(event input.DispatchKeyEventType) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (any, error) {
		_, err := chromedp.Call(ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: event, Key: " ", Code: "Space", WindowsVirtualKeyCode: 32})
		return nil, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// before runs a script in every page that the tab opens from now on.
func (b *tab) before(script string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (any, error) {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return nil, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// count counts the calls of a method in a variable of the window.
func (b *tab) count(class, method, variable string) {
	b.t.Helper()
	b.before(fmt.Sprintf(`window.%[3]s = 0; { const f = %[1]s.prototype.%[2]s; %[1]s.prototype.%[2]s = function (...a) { window.%[3]s++; return f.apply(this, a); }; }`, class, method, variable))
}
