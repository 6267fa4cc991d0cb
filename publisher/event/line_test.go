package event

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

func lineOf(t *testing.T, golden, lang string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", golden+".json"))
	if err != nil {
		t.Fatal(err)
	}
	env := testEnvelope()
	env.Type = typeOf(golden)
	env.Time = env.Time.In(shanghai)
	if env.Type == StatusType {
		env.Seq = 0
	}
	return Line(env, data, lang)
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ golden, zh, en string }{
		{"recorded-resident",
			"17:30:00  登记  #1841  jinshui-wenhualu-03/front  居民身份证  测**  110***********002X  户籍 甘肃省白银市会宁县  跨省",
			"17:30:00  recorded  #1841  jinshui-wenhualu-03/front  resident ID card  测**  110***********002X  hukou 甘肃省白银市会宁县  other province"},
		{"recorded-hmt_permit",
			"17:30:00  登记  #1841  jinshui-wenhualu-03/front  港澳台居民居住证  测**  810***********0021  港澳台",
			"17:30:00  recorded  #1841  jinshui-wenhualu-03/front  HMT residence permit  测**  810***********0021  Hong Kong, Macao or Taiwan"},
		{"recorded-foreign_pr_2017",
			"17:30:00  登记  #1841  jinshui-wenhualu-03/front  外国人永久居留证(2017)  测**  ZZZ********0105  外国籍",
			"17:30:00  recorded  #1841  jinshui-wenhualu-03/front  foreign PR card (2017)  测**  ZZZ********0105  foreign"},
		{"recorded-foreign_pr_2023",
			"17:30:00  登记  #1841  jinshui-wenhualu-03/front  外国人永久居留证(2023)  T**** ****** *  932***********0017  外国籍  需核对: pr_nationality_mismatch",
			"17:30:00  recorded  #1841  jinshui-wenhualu-03/front  foreign PR card (2023)  T**** ****** *  932***********0017  foreign  flagged: pr_nationality_mismatch"},
		{"recorded-everything",
			"17:30:00  登记  #1841  jinshui-wenhualu-03/front  [测试]  居民身份证  测**  110***********002X  不满14周岁  户籍 甘肃省白银市会宁县  跨省  证件过期  需核对: name_private_use, card_expired, clock_untrusted",
			"17:30:00  recorded  #1841  jinshui-wenhualu-03/front  [test]  resident ID card  测**  110***********002X  under 14  hukou 甘肃省白银市会宁县  other province  card expired  flagged: name_private_use, card_expired, clock_untrusted"},
		{"recorded-unresolved",
			"17:30:00  登记  #1841  jinshui-wenhualu-03/front  居民身份证  测**  110***********002X  户籍 未识别",
			"17:30:00  recorded  #1841  jinshui-wenhualu-03/front  resident ID card  测**  110***********002X  hukou not resolved"},
		{"confirmed",
			"17:30:00  确认  #1841  jinshui-wenhualu-03/front  -> " + testID,
			"17:30:00  confirmed  #1841  jinshui-wenhualu-03/front  -> " + testID},
		{"corrected",
			"17:30:00  更正  #1841  jinshui-wenhualu-03/front  -> " + testID + "  person.name  person.birth_date  document.number  document.valid_to  hukou.division  document.long_term",
			"17:30:00  corrected  #1841  jinshui-wenhualu-03/front  -> " + testID + "  person.name  person.birth_date  document.number  document.valid_to  hukou.division  document.long_term"},
		{"cancelled",
			"17:30:00  撤销  #1841  jinshui-wenhualu-03/front  [测试]  -> " + testID + "  测试刷卡",
			"17:30:00  cancelled  #1841  jinshui-wenhualu-03/front  [test]  -> " + testID + "  test tap"},
		{"status-away",
			"17:30:00  读卡器  jinshui-wenhualu-03/front  断开  mock",
			"17:30:00  reader  jinshui-wenhualu-03/front  away  mock"},
	} {
		if got := lineOf(t, c.golden, "zh"); got != c.zh {
			t.Errorf("%s\ngot  %s\nwant %s", c.golden, got, c.zh)
		}
		if got := lineOf(t, c.golden, "en"); got != c.en {
			t.Errorf("%s\ngot  %s\nwant %s", c.golden, got, c.en)
		}
	}
}

// No line shows more of a person than ends and first characters.
func TestLineIsMasked(t *testing.T) {
	for name, v := range goldens(t) {
		r, ok := v.(*Registration)
		if !ok {
			continue
		}
		for _, lang := range []string{"zh", "en"} {
			line := lineOf(t, name, lang)
			secrets := []string{r.Document.Number, r.Document.Number[3:14], r.Document.PassNumber, r.Document.OldNumber, r.Person.Name, r.Person.NameRaw, r.Person.NameEn,
				r.Person.BirthDate, strings.ReplaceAll(r.Person.BirthDate, "-", ""), r.Person.Ref, r.Residence.CardAddress, "测试镇", "测试路"}
			for _, s := range secrets {
				if s != "" && strings.Contains(line, s) {
					t.Errorf("%s shows %q: %s", name, s, line)
				}
			}
		}
	}
}

func TestLineSealed(t *testing.T) {
	env := testEnvelope()
	a, b := newKey(t), newKey(t)
	for n, keys := range map[string][]PrivateKey{"1 recipient": {a}, "2 recipients": {a, b}} {
		line := Line(received(t, env), sealTo(t, testData, env, keys...), "en")
		if want := "09:30:00  recorded  #1841  jinshui-wenhualu-03/front  sealed to " + n; line != want {
			t.Errorf("got %s, want %s", line, want)
		}
	}
	if line := Line(received(t, env), []byte(testData), "zh"); !strings.HasSuffix(line, "损坏的加密数据") {
		t.Errorf("Line(no JWE) = %s, want it to end in 损坏的加密数据", line)
	}
}

// Whatever stands on a card or on the bus, a line stays one line and steers no
// terminal.
func TestLineHostile(t *testing.T) {
	evil := "\x1b]0;x\a\r\n\u202e\u2066\u0000"
	r := goldens(t)["recorded-resident"].(*Registration)
	r.Person.Name, r.Document.Number, r.Document.Kind = evil+"名", evil+"123456789012"+evil, evil
	r.Hukou.Path, r.Residence.Relation, r.Quality.Status = []string{evil}, evil, evil
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	env := testEnvelope()
	env.Source = "/idtap/" + evil + "/" + evil
	for _, lang := range []string{"zh", "en"} {
		for _, line := range []string{Line(env, data, lang), Line(Envelope{}, nil, lang), Line(env, []byte(`{`), lang)} {
			if line == "" || strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("Line = %q, want one line of printable characters", line)
			}
		}
	}
}

func TestStatusEnvelope(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	env, err := StatusEnvelope(Place{DeskDivision: "410105", DeskID: "jinshui-wenhualu-03"}, "ACS Reader 00", at)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseEnvelope(env.Headers(), env.Subject)
	if err != nil || got != env {
		t.Fatalf("ParseEnvelope(a status) = %+v, %v, want %+v", got, err, env)
	}
	for _, name := range []string{HeaderSequence, HeaderEpoch} {
		if env.Headers()[name] != nil {
			t.Errorf("header %s of a status = %q, want none", name, env.Headers()[name])
		}
	}
}
