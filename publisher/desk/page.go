package desk

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"sync"

	"golang.org/x/text/language"
)

//go:embed assets
var assets embed.FS

// words is one text of the page in both languages.
type words struct {
	Zh string `json:"zh"`
	En string `json:"en"`
}

func (w words) in(lang string) string {
	if lang == "en" {
		return w.En
	}
	return w.Zh
}

// look is how a face is shown: tone and icon are classes of the style sheet,
// the sound is the page's.
type look struct {
	Tone  string `json:"tone"` // idle, busy, good, info, look or bad
	Icon  string `json:"icon"`
	Sound string `json:"sound,omitempty"` // good, repeat, look or bad
	Title words  `json:"title"`
	Do    words  `json:"do"` // what to do now, one sentence
}

// page is the clerk's page: one template, its scripts, styles and texts.
type page struct {
	html  *template.Template
	faces map[Face]look
	texts map[string]words
}

// shown is what the template is given.
type shown struct {
	Lang    string // zh or en
	Ticket  string
	PIN     bool // operators have PINs
	Photo   bool // a decoder is configured
	Mask    bool
	Version string
	Regions map[string]string // ISO 3166 alpha-3 -> alpha-2, by which the browser names a nationality
	State   State
	Faces   map[Face]look
	Texts   map[string]words
}

func newPage() (*page, error) {
	p := &page{faces: map[Face]look{}, texts: map[string]words{}}
	for name, into := range map[string]any{"faces": &p.faces, "texts": &p.texts} {
		raw, err := assets.ReadFile("assets/" + name + ".json")
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			return nil, fmt.Errorf("desk page: %s: %w", name, err)
		}
	}
	for code, w := range findingWords() {
		p.texts["finding."+code] = w
	}
	var err error
	p.html, err = template.New("page.html").Funcs(template.FuncMap{"say": p.say, "in": words.in}).ParseFS(assets, "assets/page.html")
	if err != nil {
		return nil, fmt.Errorf("desk page: %w", err)
	}
	return p, nil
}

// regions are the countries of ISO 3166, alpha-3 -> alpha-2.
var regions = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			r, err := language.ParseRegion(string([]rune{a, b}))
			if err == nil && r.IsCountry() && r.ISO3() != "ZZZ" && r.Canonicalize() == r {
				all[r.ISO3()] = r.String()
			}
		}
	}
	return all
})

// say gives a text; a key without one is a mistake that the page shows.
func (p *page) say(lang string, key any) (string, error) {
	w, ok := p.texts[fmt.Sprint(key)]
	if !ok {
		return "", fmt.Errorf("no text %q", key)
	}
	return w.in(lang), nil
}

// servePage renders the page with the state as it is, masked, so that the first
// paint is right already.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	v := shown{Lang: "zh", Ticket: s.sessions.ticket(), PIN: s.o.PINFile != "", Photo: s.photos != nil, Mask: s.o.Mask,
		Version: s.o.Version, Regions: regions(), Faces: s.page.faces, Texts: s.page.texts, State: s.o.Board.state(s.o.Board.snapshot(), false)}
	if r.URL.Query().Get("lang") == "en" {
		v.Lang = "en"
	}
	if !fromLoopback(r) && !callerOf(r).token {
		v.State = State{} // the page asks for the token first
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := s.page.html.Execute(w, v); err != nil {
		s.o.Log.Error().Err(err).Msg("desk page: template")
	}
}

// assetKinds are the files that the page may load.
var assetKinds = map[string]string{
	".js":  "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
}

func (p *page) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	kind, ok := assetKinds[path.Ext(name)]
	b, err := fs.ReadFile(assets, "assets/"+name)
	if !ok || err != nil {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Write(b)
}
