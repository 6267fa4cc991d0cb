package division

import (
	"strings"
	"unicode/utf8"
)

// Resolution is the division that an address names.
type Resolution struct {
	Code   string   // current code where a successor is known; "" if nothing is certain
	County bool     // down to the county level
	Path   []string // current names, province first
	Rest   string   // the address after the names
	// Retired is the code of a unit that no longer exists and has not one
	// successor; Successors are the units of today that it was divided among, "" where
	// the sources do not tell. Code is then what all of them lie in.
	Retired    string
	Successors []string
}

// Resolve finds the division at the head of an address. Each level may be left
// out; old names and old parents count; the longest reading wins. Two readings
// that name different units answer nothing: better no answer than a wrong one.
// Only the head is read, so that a 北京路 or 上海城 further on cannot mislead. What
// is no valid UTF-8 is no address.
func Resolve(address string) Resolution {
	if !utf8.ValidString(address) {
		return Resolution{}
	}
	t := loaded()
	w := walk{t: t, text: withoutSpaces(address)}
	w.step(0, trail{})
	return w.answer()
}

// headLimit is how much of an address can name divisions, in bytes: three
// levels of at most twenty characters.
const headLimit = 3 * 3 * 20

// withoutSpaces removes the spaces that some registers put between levels.
func withoutSpaces(s string) string {
	if strings.IndexByte(s, ' ') >= 0 || strings.Contains(s, "\u3000") {
		s = strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "\u3000", "")
	}
	return s
}

// trail is what a reading has named so far.
type trail struct {
	province   string // two digits
	prefecture string // four digits
	shorts     int    // stems used
}

// reading is the best of one class of units.
type reading struct {
	code     string // today's
	explicit bool   // its prefecture was named
	many     bool   // units of different codes read equally well
}

func (r *reading) add(code string, explicit bool) {
	switch {
	case r.code == "":
		*r = reading{code: code, explicit: explicit}
	case r.code != code:
		r.many = true
	default:
		r.explicit = r.explicit || explicit
	}
}

// walk tries every reading of a text.
type walk struct {
	t    *table
	text string

	end, shorts            int // of the best readings to the county level
	current, recent, stale reading

	partEnd int // of the best reading to province or prefecture
	part    reading
}

// step tries every name that can stand at pos.
func (w *walk) step(pos int, at trail) {
	text := w.text[pos:]
	if pos > headLimit || len(text) < 6 {
		return
	}
	entries := w.t.index.at(text)
	for i := range entries {
		e := &entries[i]
		if !strings.HasPrefix(text, e.name) {
			continue
		}
		u := &w.t.units[e.unit]
		if at.province != "" && u.Code[:2] != at.province {
			continue
		}
		end := pos + len(e.name)
		next := at
		next.province = u.Code[:2]
		if e.short {
			next.shorts++
		}
		switch e.level {
		case province:
			if at.province == "" {
				w.step(end, next)
				w.partial(end, e)
			}
		case prefecture:
			// 伊犁哈萨克自治州 has prefectures of its own: 伊犁哈萨克自治州塔城地区额敏县.
			within := !e.short && u.Code[:4] != at.prefecture && at.prefecture == yili
			if at.prefecture == "" || within {
				next.prefecture = u.Code[:4]
				w.step(end, next)
				if w.t.cityWithoutDistricts(u) && !e.short {
					w.county(end, e, next)
				} else {
					w.partial(end, e)
				}
			}
		case county:
			direct := u.Code[2:4] == "90"
			if at.prefecture == "" || u.Code[:4] == at.prefecture || direct {
				w.county(end, e, at)
			}
			if strings.HasSuffix(e.name, "市") && at.prefecture == "" && next.province != "" {
				w.below(end, next)
			}
		}
	}
	if pos > 0 {
		if rest, ok := cutHeading(text); ok {
			w.step(len(w.text)-len(rest), at)
		}
	}
}

// yili is the one prefecture that other prefectures (塔城, 阿勒泰) belong to.
const yili = "6540"

// below reads a county right after a city: the city was then a prefecture-level
// one that the lists know under another name or as a county-level city only, as
// in 吉林省浑江市抚松县.
func (w *walk) below(pos int, at trail) {
	text := w.text[pos:]
	if len(text) < 6 || pos > headLimit {
		return
	}
	entries := w.t.index.at(text)
	for i := range entries {
		e := &entries[i]
		u := &w.t.units[e.unit]
		if e.level != county || u.Code[:2] != at.province || !strings.HasPrefix(text, e.name) {
			continue
		}
		if strings.HasSuffix(e.name, "县") || strings.HasSuffix(e.name, "旗") {
			w.county(pos+len(e.name), e, at)
		}
	}
}

// county takes a reading down to the county level.
func (w *walk) county(end int, e *entry, at trail) {
	u := &w.t.units[e.unit]
	bare := at.province == ""
	switch {
	case !endsName(e.name, w.text[end:]):
		return
	case bare && !standsAlone(e.name, w.text[end:]):
		return
	case !u.Current && at.prefecture == "" && w.t.isPrefectureName(u.Code[:2], e.name):
		return // 吉安市 alone is the prefecture-level city, not the county-level one before it
	case end < w.end || end == w.end && at.shorts > w.shorts:
		return
	case end > w.end || at.shorts < w.shorts:
		w.end, w.shorts = end, at.shorts
		w.current, w.recent, w.stale = reading{}, reading{}, reading{}
	}
	class := &w.recent
	if u.Current {
		class = &w.current
	} else if e.stale {
		class = &w.stale
	}
	code := u.Code
	if !u.Current {
		code = w.t.current(int(e.unit))
	}
	class.add(code, at.prefecture != "")
	if at.prefecture == "" && !Municipality(u.Code) && manyHad(e.name) {
		class.many = true
	}
}

// partial takes a reading down to a province or prefecture.
func (w *walk) partial(end int, e *entry) {
	if e.short || end < w.partEnd || !endsName(e.name, w.text[end:]) {
		return
	}
	if end > w.partEnd {
		w.partEnd, w.part = end, reading{}
	}
	u := &w.t.units[e.unit]
	code := w.t.current(int(e.unit))
	if code == u.Code && !u.Current {
		code = u.Code[:2] + "0000"
	}
	w.part.add(code, false)
}

// answer weighs the readings: current units before retired ones, but a name
// that was another unit's within the life of today's cards decides nothing.
func (w *walk) answer() Resolution {
	best, end, isCounty := w.current, w.end, true
	switch {
	case w.end == 0:
		best, end, isCounty = w.part, w.partEnd, false
	case best.code == "" && w.recent.code != "":
		best = w.recent
	case best.code == "":
		best = w.stale
	case !best.explicit && (w.recent.differs(best) || w.stale.differs(best)):
		best.many = true
	}
	if best.code == "" || best.many {
		return Resolution{}
	}
	i, ok := w.t.find(best.code)
	if !ok {
		return Resolution{}
	}
	if u := &w.t.units[i]; isCounty && !u.Current {
		return w.t.retired(u, w.text[end:])
	}
	return Resolution{Code: best.code, County: isCounty, Path: w.t.path(i), Rest: w.text[end:]}
}

// differs reports whether a class of readings names another unit than best.
func (r reading) differs(best reading) bool {
	return r.code != "" && (r.many || r.code != best.code)
}

// retired answers for a unit without one successor: what all its successors lie
// in, for none of them is more likely than another.
func (t *table) retired(u *Unit, rest string) Resolution {
	r := Resolution{Retired: u.Code, Successors: u.Successors()}
	if len(r.Successors) == 0 {
		return r
	}
	r.Code = r.Successors[0][:4] + "00"
	for _, s := range r.Successors {
		if s[:4] != r.Code[:4] {
			r.Code = s[:2] + "0000"
		}
	}
	if Municipality(r.Code) || r.Code[2:4] == "90" {
		r.Code = r.Code[:2] + "0000"
	}
	if i, ok := t.find(r.Code); ok {
		r.Path, r.Rest = t.path(i), rest
	}
	return r
}

// cityWithoutDistricts reports a prefecture-level city that is its own
// county-level unit: Dongguan, Zhongshan, Danzhou.
func (t *table) cityWithoutDistricts(u *Unit) bool {
	if !u.Current {
		return false
	}
	i, _ := t.find(u.Code)
	for i++; i < len(t.units) && t.units[i].Code[:4] == u.Code[:4]; i++ {
		if t.units[i].Current && !t.units[i].Zone {
			return false
		}
	}
	return true
}

// isPrefectureName reports whether a current prefecture of the province bears
// the name.
func (t *table) isPrefectureName(province, name string) bool {
	for _, e := range t.index.at(name) {
		if e.level == prefecture && e.name == name && t.units[e.unit].Current && t.units[e.unit].Code[:2] == province {
			return true
		}
	}
	return false
}

// cutHeading skips a heading that some registers copied into addresses.
func cutHeading(text string) (string, bool) {
	for _, h := range [...]string{"市辖区", "省直辖县级行政区划", "省直辖县级行政单位", "自治区直辖县级行政区划", "自治区直辖县级行政单位"} {
		if rest, ok := strings.CutPrefix(text, h); ok {
			return rest, true
		}
	}
	return text, false
}

// endsName reports whether a division's name can end before rest: not where the
// two together name a street or market, 会宁县路1号. Townships that begin like
// one (大街街道, 路口镇, 场口镇) may follow.
func endsName(name, rest string) bool {
	if strings.HasPrefix(rest, "地区") { // 达县地区宣汉县 is not in 达县
		return false
	}
	if strings.HasSuffix(name, "县") && strings.HasPrefix(rest, "市") && !strings.HasPrefix(rest, "市场") {
		return false // 达县市 was a city of its own
	}
	for _, street := range [...]string{"路", "大道", "大街", "场"} {
		after, ok := strings.CutPrefix(rest, street)
		if !ok || street == "场" && !strings.HasSuffix(name, "市") {
			continue
		}
		r, _ := utf8.DecodeRuneInString(after)
		if after == "" || strings.ContainsRune("0123456789０１２３４５６７８９一二三四五六七八九十", r) {
			return false
		}
	}
	return true
}

// manyHad reports names of districts that cities of every province have had,
// many of them before the dated lists begin: without the city they name none.
func manyHad(name string) bool {
	switch name {
	case "郊区", "市郊区", "城区", "市区", "城郊区", "东市区", "中市区", "西市区", "南市区", "北市区":
		return true
	}
	return false
}

// standsAlone reports whether a county's name says where it is without its
// province: it is not just a direction or landmark, and does not run on into the
// name of a street, village or housing estate.
func standsAlone(name, rest string) bool {
	for _, more := range [...]string{"街", "巷", "村", "镇", "乡", "社区", "小区", "广场"} {
		if strings.HasPrefix(rest, more) {
			return false
		}
	}
	_, size := utf8.DecodeLastRuneInString(name)
	stem := name[:len(name)-size]
	if utf8.RuneCountInString(stem) < 2 {
		return !strings.HasSuffix(name, "区")
	}
	return strings.Trim(stem, "东西南北中城市郊矿新旧老港江河湖海山滨口桥铁高开发工业") != ""
}
