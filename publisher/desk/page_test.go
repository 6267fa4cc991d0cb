package desk

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"idtap/reader"
	"idtap/reader/identity"
)

const weightLimit = 150 << 10 // bytes of all that the page loads, as sent

func assetFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(assets, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(assets, path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The page, with the texts in it and all that it loads, stays light.
func TestWeight(t *testing.T) {
	d := serve(t, nil)
	_, _, html := d.ask(t, "GET", "/", "")
	total := len(html)
	loaded := 1
	for path := range assetFiles(t) {
		name := strings.TrimPrefix(path, "assets/")
		if strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".html") {
			continue // part of the page
		}
		status, _, body := d.ask(t, "GET", "/assets/"+name, "")
		if status != 200 {
			t.Errorf("%s: %d", name, status)
		}
		total += len(body)
		loaded++
	}
	t.Logf("the page weighs %d bytes in %d files", total, loaded)
	if total > weightLimit {
		t.Errorf("more than %d", weightLimit)
	}
	if status, _, _ := d.ask(t, "GET", "/assets/texts.json", ""); status != 404 {
		t.Errorf("texts.json is served: %d", status)
	}
}

// What Chromium 86 does not know, in scripts and styles.
var tooNew = map[string]*regexp.Regexp{
	".js": regexp.MustCompile(`\.at\(|structuredClone|Object\.hasOwn|randomUUID|\.findLast|\.toSorted|\.groupBy|AbortSignal\.(timeout|any)|` +
		`static\s*\{|^await |\bimport .* with \{|#\w+ in |\.replaceAll\(.*=>|\.showPopover|\.requestClose|Array\.fromAsync|Promise\.withResolvers`),
	".css": regexp.MustCompile(`:has\(|:is\(|:where\(|@layer|@container|color-mix|oklch|\binset:|aspect-ratio|dvh|svh|text-wrap|\n\s+&|@property|` +
		`\btranslate:|\bscale:|accent-color|overflow: clip|@scope|light-dark\(`),
}

func TestOldBrowsers(t *testing.T) {
	for path, text := range assetFiles(t) {
		for ext, re := range tooNew {
			if strings.HasSuffix(path, ext) {
				for _, found := range re.FindAllString(text, -1) {
					t.Errorf("%s uses %q", path, found)
				}
			}
		}
	}
}

// Nothing is loaded from elsewhere, and nothing steers the page past the
// content policy.
func TestSelfContained(t *testing.T) {
	outside := regexp.MustCompile(`(https?:)?//[a-z0-9]|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\son[a-z]+="|style="`)
	for path, text := range assetFiles(t) {
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		for _, found := range outside.FindAllString(text, -1) {
			t.Errorf("%s: %q", path, found)
		}
	}
}

// Every face that the board can show has a look in both languages.
func TestEveryFaceHasALook(t *testing.T) {
	p, err := newPage()
	if err != nil {
		t.Fatal(err)
	}
	faces := []Face{FaceStarting, FaceReady, FaceFound, FaceReading, FaceAccepted, FaceKept, FaceRepeat, FaceCheck, FaceCompare, FacePlaceAgain,
		FaceRefused, FaceExpired, FaceNotID, FaceTwoCards, FaceUnreadable, FaceFull, FaceFailed, FaceCancelled, FaceLift, FaceAway, FaceDenied,
		FaceBusy, FaceFaulty, FaceNoIdentity, FaceStuck, FaceTelnet, FaceDialect, FaceStopped, "offline", "no_reader"}
	for _, f := range faces {
		l, ok := p.faces[f]
		if !ok || l.Title.Zh == "" || l.Title.En == "" || l.Do.Zh == "" || l.Do.En == "" || l.Icon == "" {
			t.Errorf("%s: %+v", f, l)
		}
		if !strings.Contains(assetFiles(t)["assets/page.html"], `id="i-`+l.Icon+`"`) {
			t.Errorf("%s: no icon %s", f, l.Icon)
		}
	}
	if len(p.faces) != len(faces) {
		t.Errorf("%d looks for %d faces", len(p.faces), len(faces))
	}
	for _, phase := range []reader.Phase{reader.Away, reader.Denied, reader.Busy, reader.Faulty, reader.NoIdentity, reader.Stuck, reader.Telnet, reader.Dialect, reader.Stopped} {
		if p.faces[troubles[phase]].Tone != "bad" {
			t.Errorf("%s does not show as bad", phase)
		}
	}
}

// Every text is there in both languages, used, and there is one for every key
// that the scripts name.
func TestTexts(t *testing.T) {
	p, err := newPage()
	if err != nil {
		t.Fatal(err)
	}
	files := assetFiles(t)
	var all strings.Builder
	for path, text := range files {
		if strings.HasSuffix(path, ".js") || strings.HasSuffix(path, ".html") {
			all.WriteString(text)
		}
	}
	for _, m := range regexp.MustCompile(`(?:say\("|data-text="|say \.Lang ")([a-z_.]+)"`).FindAllStringSubmatch(all.String(), -1) {
		if _, ok := p.texts[m[1]]; !ok && !strings.HasSuffix(m[1], ".") {
			t.Errorf("no text %q", m[1])
		}
	}
	built := regexp.MustCompile(`^(finding|kind|field|outcome|decided|status|error|said|cancel|today|bus|reason)\.`)
	for key, w := range p.texts {
		if w.Zh == "" || w.En == "" {
			t.Errorf("%s: %+v", key, w)
		}
		if !built.MatchString(key) && !strings.Contains(all.String(), `"`+key+`"`) {
			t.Errorf("%s is not used", key)
		}
	}
	for _, e := range identity.Catalogue() {
		if _, ok := p.texts["finding."+e.Code]; !ok {
			t.Errorf("no text for finding %s", e.Code)
		}
	}
}

func TestPageInBothLanguages(t *testing.T) {
	d := serve(t, nil)
	d.board.Reader(reader.State{Reader: `<b>"front"`, Phase: reader.Ready})
	_, _, zh := d.ask(t, "GET", "/", "")
	_, _, en := d.ask(t, "GET", "/?lang=en", "")
	if !strings.Contains(zh, `lang="zh-CN"`) || !strings.Contains(zh, ">请放证件<") {
		t.Error("zh")
	}
	if !strings.Contains(en, `lang="en"`) || !strings.Contains(en, ">Ready<") {
		t.Error("en")
	}
	if strings.Contains(zh, "<b>") && strings.Contains(zh, `<b>"front"`) {
		t.Error("a reader's name is not escaped")
	}
}
