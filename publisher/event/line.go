package event

import (
	"fmt"
	"strconv"
	"strings"
)

// Line returns an event as one masked line for people: time, type, the desk's
// sequence number, desk and reader, kind, masked name and number, the hukou as far
// as the county, and what is wrong with the record. data is the JSON of the event or
// its sealed form, lang zh or en. The time is in the zone of env.Time.
func Line(env Envelope, data []byte, lang string) string {
	w := lineBuilder{zh: lang == "zh"}
	w.add(env.Time.Format("15:04:05"))
	w.add(w.word(Token(env.Type), env.Type))
	if env.Seq > 0 {
		w.add("#" + strconv.FormatUint(env.Seq, 10))
	}
	w.add(printable(strings.TrimPrefix(env.Source, sourcePrefix)))
	if env.Content == ContentJOSE {
		w.sealed(data)
		return w.String()
	}
	v, err := Decode(env.Type, data)
	if err != nil {
		w.add(w.say("无法解析的数据", "data that cannot be read"))
		return w.String()
	}
	switch e := v.(type) {
	case *Registration:
		w.registration(e)
	case *Confirmed:
		w.follow(e.Refers, e.Test)
	case *Corrected:
		w.follow(e.Refers, e.Test)
		for _, c := range e.Changes {
			w.add(printable(c.Field))
		}
	case *Cancelled:
		w.follow(e.Refers, e.Test)
		w.add(w.word(e.Reason, e.Reason))
	case *ReaderStatus:
		w.test(e.Test)
		w.add(w.word("reader "+e.State, e.State))
		w.add(printable(e.Model))
	}
	return w.String()
}

// lineBuilder collects the parts of a line that are present.
type lineBuilder struct {
	zh    bool
	parts []string
}

func (w *lineBuilder) add(part string) {
	if part != "" {
		w.parts = append(w.parts, part)
	}
}

func (w *lineBuilder) String() string { return strings.Join(w.parts, "  ") }

func (w *lineBuilder) say(zh, en string) string {
	if w.zh {
		return zh
	}
	return en
}

// word returns the label of a coded value in the line's language, or the code.
func (w *lineBuilder) word(key, code string) string {
	if t, ok := words[key]; ok {
		return w.say(t[0], t[1])
	}
	return printable(code)
}

func (w *lineBuilder) test(test bool) {
	if test {
		w.add(w.say("[测试]", "[test]"))
	}
}

func (w *lineBuilder) registration(r *Registration) {
	w.test(r.Test)
	w.add(w.word("kind "+r.Document.Kind, r.Document.Kind))
	w.add(r.Person.Label())
	w.add(MaskNumber(r.Document.Number))
	if r.Person.Under14 {
		w.add(w.say("不满14周岁", "under 14"))
	}
	if h := r.Hukou; h != nil {
		place := printable(strings.Join(h.Path, ""))
		if place == "" {
			place = printable(h.Division)
		}
		if place == "" {
			place = w.say("未识别", "not resolved")
		}
		w.add(w.say("户籍 ", "hukou ") + place)
	}
	if rel := r.Residence.Relation; rel != "unknown" {
		w.add(w.word(rel, rel))
	}
	w.add(w.word(r.Document.Status, ""))
	if r.Quality.Status != Clean {
		var codes []string
		for _, f := range r.Quality.Findings {
			codes = append(codes, printable(f.Code))
		}
		w.add(fmt.Sprintf("%s: %s", w.word(r.Quality.Status, r.Quality.Status), strings.Join(codes, ", ")))
	}
}

func (w *lineBuilder) follow(refers string, test bool) {
	w.test(test)
	w.add("-> " + printable(refers))
}

func (w *lineBuilder) sealed(data []byte) {
	s, err := parseSealed(data)
	if err != nil {
		w.add(w.say("损坏的加密数据", "damaged sealed data"))
		return
	}
	if n := len(s.Recipients); n > 1 {
		w.add(w.say(fmt.Sprintf("已加密，%d 个接收方", n), fmt.Sprintf("sealed to %d recipients", n)))
		return
	}
	w.add(w.say("已加密，1 个接收方", "sealed to 1 recipient"))
}

// words are the labels of the coded values that a line shows, in zh and en. A valid
// card needs none.
var words = map[string][2]string{
	"recorded":  {"登记", "recorded"},
	"confirmed": {"确认", "confirmed"},
	"corrected": {"更正", "corrected"},
	"cancelled": {"撤销", "cancelled"},
	"":          {"读卡器", "reader"},

	"kind resident":        {"居民身份证", "resident ID card"},
	"kind hmt_permit":      {"港澳台居民居住证", "HMT residence permit"},
	"kind foreign_pr_2017": {"外国人永久居留证(2017)", "foreign PR card (2017)"},
	"kind foreign_pr_2023": {"外国人永久居留证(2023)", "foreign PR card (2023)"},
	"kind unknown":         {"未知", "unknown"},

	"same_county":         {"本县(区)", "same county"},
	"same_city_districts": {"市内跨区", "same city, other district"},
	"same_prefecture":     {"市内跨县", "same prefecture"},
	"same_province":       {"省内跨市", "same province"},
	"other_province":      {"跨省", "other province"},
	"hmt":                 {"港澳台", "Hong Kong, Macao or Taiwan"},
	"foreign":             {"外国籍", "foreign"},

	"expired":       {"证件过期", "card expired"},
	"not_yet_valid": {"证件未生效", "card not yet valid"},

	"flagged":    {"需核对", "flagged"},
	"unverified": {"未核实", "unverified"},

	"wrong_person": {"人证不符", "wrong person"},
	"test_tap":     {"测试刷卡", "test tap"},
	"withdrawal":   {"本人撤回", "withdrawal"},
	"discarded":    {"队列中剔除", "discarded from the queue"},

	"reader ready":       {"就绪", "ready"},
	"reader away":        {"断开", "away"},
	"reader denied":      {"无权限", "no permission"},
	"reader busy":        {"被占用", "held by another program"},
	"reader faulty":      {"故障", "faulty"},
	"reader no_identity": {"无安全模块", "no security module"},
	"reader stuck":       {"无响应", "stuck"},
	"reader stopped":     {"已停止", "stopped"},
}
